"""What PostgreSQL needs for millions of calls; `store.database.later_indexes` has its indexes."""

from alembic import op

from store.database.extensions import create_extension

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# The index of the list is read alone only where VACUUM has been since the last change.
VACUUMED = (
    "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02"
)


def upgrade() -> None:
    """Create the extension and the statistics."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    create_extension(connection, "pg_trgm")
    op.execute(f"ALTER TABLE calls SET ({VACUUMED})")
    op.execute("CREATE STATISTICS st_calls_kinds ON direction, result, recording_state FROM calls")
