"""An index for the filter and the statistics of quality."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

CONDITION = "quality_mos IS NOT NULL AND merged_into IS NULL"
COLUMNS = [
    "domain_id",
    "started_at",
    "id",
    "quality_mos",
    "quality_loss_pct",
    "trunk",
    "employee",
    "direction",
    "result",
    "merged_into",
]


def upgrade() -> None:
    """Create the index."""
    where = sa.text(CONDITION)
    op.create_index("ix_calls_quality", "calls", COLUMNS, sqlite_where=where, postgresql_where=where)
