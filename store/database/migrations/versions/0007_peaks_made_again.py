"""The SHA-256 of peaks that `fonoteka verify --fix-index` made again."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; the peaks of all recordings are those that came with them."""
    op.add_column("segments", sa.Column("peaks_sha256", sa.String(length=64), nullable=True))
