"""Columns for how a call came and went: trunk, queue, wait, quality; and for who spoke."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; calls and recordings of older versions have null in them."""
    for column in (
        sa.Column("trunk", sa.String(128)),
        sa.Column("queue", sa.String(128)),
        sa.Column("wait_ms", sa.BigInteger()),
        sa.Column("quality_mos", sa.Float()),
        sa.Column("quality_loss_pct", sa.Float()),
        sa.Column("quality_jitter_ms", sa.Integer()),
        sa.Column("quality_rtt_ms", sa.Integer()),
    ):
        op.add_column("calls", column)
    op.add_column("segments", sa.Column("speech", sa.JSON()))
