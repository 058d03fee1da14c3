"""Retention of calls, retention by user, and the mark of deleted audio."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, all empty, and the partial indexes that retention reads."""
    op.add_column("domains", sa.Column("calls_retention_days", sa.Integer(), nullable=True))
    op.add_column("users", sa.Column("retention_days", sa.Integer(), nullable=True))
    op.add_column("segments", sa.Column("expired_at", sa.BigInteger(), nullable=True))
    _index("ix_calls_audio", "calls", ["domain_id", "started_at", "id"], "recording_ms IS NOT NULL")
    _index("ix_calls_merged", "calls", ["domain_id", "merged_into"], "merged_into IS NOT NULL")
    _index("ix_segments_undeleted", "segments", ["id"], "expired_at IS NOT NULL AND object_key IS NOT NULL")


def _index(name: str, table: str, columns: list[str], condition: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))
