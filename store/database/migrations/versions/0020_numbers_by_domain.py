"""Pieces of numbers are found in one company: their index begins with it (`ix_calls_numbers`)."""

from alembic import op

from store.database.extensions import create_extension

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the extension with which such an index can hold the number of a company."""
    create_extension(op.get_bind(), "btree_gin")
