"""Rows of domains and users that are never revived; sessions that are listed; known devices."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PRESENT = sa.text("removed_at IS NULL")


def upgrade() -> None:
    """Make the indexes of names partial, describe sessions, create the table of known origins."""
    _divide_by_time("domains", "uq_domains_name", ["name"])
    _divide_by_time("users", "uq_users_domain_id_login", ["domain_id", "login"])
    op.create_index("ix_users_domain_id_login_valid_from", "users", ["domain_id", "login", "valid_from"])
    _describe_sessions()
    op.create_table(
        "login_origins",
        sa.Column("user_id", IDENTITY, autoincrement=False, nullable=False),
        sa.Column("origin", sa.String(length=80), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_login_origins_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "origin", name="pk_login_origins"),
    )
    op.create_index("ix_login_origins_origin", "login_origins", ["origin"])


def _divide_by_time(table: str, unique: str, name: list[str]) -> None:
    """Let removed rows share a name. SQLite copies the table, which needs foreign keys off."""
    with op.batch_alter_table(table) as batch:
        batch.add_column(sa.Column("valid_from", sa.BigInteger(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("valid_until", sa.BigInteger(), nullable=True))
        batch.drop_constraint(unique, type_="unique")
    op.create_index(f"uq_{table}_present", table, name, unique=True, sqlite_where=PRESENT, postgresql_where=PRESENT)


def _describe_sessions() -> None:
    """Name the open sessions; where they began is not known."""
    with op.batch_alter_table("sessions") as batch:
        batch.add_column(sa.Column("public_id", sa.String(length=32), nullable=True))
        batch.add_column(sa.Column("seen_at", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("address", sa.String(length=64), nullable=False, server_default=""))
        batch.add_column(sa.Column("device", sa.String(length=300), nullable=False, server_default=""))
    sessions = sa.table("sessions", *map(sa.column, ("token_hash", "public_id", "seen_at", "created_at")))
    connection = op.get_bind()
    for (token_hash,) in connection.execute(sa.select(sessions.c.token_hash)).all():
        named = sa.update(sessions).where(sessions.c.token_hash == token_hash)
        connection.execute(named.values(public_id=secrets.token_hex(8), seen_at=sessions.c.created_at))
    with op.batch_alter_table("sessions") as batch:
        batch.alter_column("public_id", existing_type=sa.String(length=32), nullable=False)
        batch.alter_column("seen_at", existing_type=sa.BigInteger(), nullable=False)
        batch.alter_column("address", existing_type=sa.String(length=64), server_default=None)
        batch.alter_column("device", existing_type=sa.String(length=300), server_default=None)
        batch.create_unique_constraint("uq_sessions_public_id", ["public_id"])
