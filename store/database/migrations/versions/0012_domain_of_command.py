"""Whose call a command to a recorder concerns: one call may concern several domains."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. A command of before, which lasts ten seconds, is of no domain."""
    op.add_column("commands", sa.Column("domain_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
