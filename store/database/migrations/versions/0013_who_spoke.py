"""Who spoke how long in the recording of a call, and of each user, for filters and statistics."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

COLUMNS = ("spoken_outside_ms", "spoken_employee_ms", "spoken_both_ms", "silence_ms", "longest_silence_ms")
CONDITION = "longest_silence_ms IS NOT NULL"


def upgrade() -> None:
    """Add the columns, null for all calls so far, and an index of the calls that have them."""
    for table in ("calls", "participants"):
        for column in COLUMNS:
            op.add_column(table, sa.Column(column, sa.BigInteger()))
    where = sa.text(CONDITION)
    columns = ["domain_id", "started_at", "id", "employee", "merged_into", *COLUMNS]
    op.create_index("ix_calls_speech", "calls", columns, sqlite_where=where, postgresql_where=where)
