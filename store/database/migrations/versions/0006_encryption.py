"""Encryption at rest: its state, the wrapped keys of domains, the key of each recording."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables and the column. Recordings that are there stay plain."""
    op.create_table(
        "encryption",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("master_key_id", sa.String(length=64), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("rotation_began_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_encryption"),
    )
    op.create_table(
        "domain_keys",
        sa.Column("domain_id", IDENTITY, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wrapped", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"], name="fk_domain_keys_domain_id"),
        sa.PrimaryKeyConstraint("domain_id", "version", name="pk_domain_keys"),
    )
    op.add_column("segments", sa.Column("key_version", sa.Integer(), nullable=True))
