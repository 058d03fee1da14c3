"""The calls that were deleted, so that no PBX brings them back."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table. Calls that were deleted before are in the audit only, and are left out."""
    op.create_table(
        "erased_calls",
        sa.Column("public_id", sa.String(length=26), nullable=False),
        sa.Column("erased_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("public_id", name=op.f("pk_erased_calls")),
    )
