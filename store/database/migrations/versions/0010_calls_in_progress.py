"""An index of the calls in progress, which are few among those of a day."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

CONDITION = "ended_at IS NULL AND merged_into IS NULL"


def upgrade() -> None:
    """Create the index."""
    where = sa.text(CONDITION)
    columns = ["domain_id", "ended_at", "started_at", "id"]
    op.create_index("ix_calls_in_progress", "calls", columns, sqlite_where=where, postgresql_where=where)
