"""The audit's entries by their subject, such as those about a call."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index. Entries are not touched."""
    op.create_index("ix_audit_domain_id_subject", "audit", ["domain_id", "subject"])
