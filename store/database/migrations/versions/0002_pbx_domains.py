"""Add the domains that a PBX serves. PBXs that are registered already keep all domains."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add `pbxs.serves`, with `unset` for the PBXs that exist, and the table `pbx_domains`."""
    op.add_column("pbxs", sa.Column("serves", sa.String(length=8), server_default="unset", nullable=False))
    op.create_table(
        "pbx_domains",
        sa.Column("pbx_id", IDENTITY, autoincrement=False, nullable=False),
        sa.Column("domain_id", IDENTITY, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["pbx_id"], ["pbxs.id"], name="fk_pbx_domains_pbx_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"], name="fk_pbx_domains_domain_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pbx_id", "domain_id", name="pk_pbx_domains"),
    )
