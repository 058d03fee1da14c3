"""An index for the filters and statistics of waiting: trunk, queue, and how long callers waited."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0015"
branch_labels = None
depends_on = None

CONDITION = "merged_into IS NULL"
COLUMNS = ["domain_id", "started_at", "id", "direction", "result", "wait_ms", "queue", "number", "trunk", "merged_into"]


def upgrade() -> None:
    """Create the index."""
    where = sa.text(CONDITION)
    op.create_index("ix_calls_waiting", "calls", COLUMNS, sqlite_where=where, postgresql_where=where)
