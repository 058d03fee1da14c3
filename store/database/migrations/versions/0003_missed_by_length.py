"""The index of missed calls holds their lengths too: call backs «longer than» are told from it alone."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MISSED = sa.text("direction = 'in' AND result <> 'answered' AND merged_into IS NULL")
COLUMNS = ["domain_id", "started_at", "called_back_at", "direction", "result", "merged_into", "duration_s"]


def upgrade() -> None:
    op.drop_index("ix_calls_missed", "calls")
    op.create_index("ix_calls_missed", "calls", COLUMNS, sqlite_where=MISSED, postgresql_where=MISSED)
