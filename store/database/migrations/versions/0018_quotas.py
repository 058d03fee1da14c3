"""Quotas of domains."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("domains", sa.Column("quota_gb", sa.Float(), nullable=True))
    op.add_column("domains", sa.Column("quota_recordings", sa.BigInteger(), nullable=True))
    op.add_column("domains", sa.Column("quota_warned_at", sa.BigInteger(), nullable=True))
