"""Buckets of domains."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the column and the table."""
    op.add_column("domains", sa.Column("objects", sa.Text(), nullable=True))
    op.create_table(
        "object_places",
        sa.Column("id", _IDENTITY, primary_key=True),
        sa.Column("domain_id", _IDENTITY, nullable=False),
        sa.Column("objects", sa.Text(), nullable=False),
        sa.Column("mark", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_object_places"),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"], name="fk_object_places_domain_id_domains"),
        sa.UniqueConstraint("domain_id", "objects", name="uq_object_places_domain_id_objects"),
        sa.UniqueConstraint("mark", name="uq_object_places_mark"),
        sqlite_autoincrement=True,
    )
