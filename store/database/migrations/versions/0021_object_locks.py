"""Recordings that a bucket locks; `store.database.later_indexes` has PostgreSQL's index."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and the index of calls under legal hold."""
    op.create_table(
        "object_locks",
        sa.Column("segment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segments.id"], name=op.f("fk_object_locks_segment_id_segments"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("segment_id", "object_key", name=op.f("pk_object_locks")),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.create_index("ix_calls_held", "calls", ["id"], sqlite_where=sa.text("legal_hold = 1"))
