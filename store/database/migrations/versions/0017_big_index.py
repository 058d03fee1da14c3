"""What PostgreSQL needs for millions of calls; `store.database.later_indexes` has its indexes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError

from fonoteka.core.errors import ConfigurationError

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
    _create_extension(connection)
    op.execute(f"ALTER TABLE calls SET ({VACUUMED})")
    op.execute("CREATE STATISTICS st_calls_kinds ON direction, result, recording_state FROM calls")


def _create_extension(connection: sa.Connection) -> None:
    if connection.execute(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")).first() is not None:
        return
    try:
        op.execute("CREATE EXTENSION pg_trgm")
    except DBAPIError as error:
        raise ConfigurationError(
            "store.database: PostgreSQL refuses the extension pg_trgm; its package is postgresql-contrib, and an administrator "
            f"of the server may run CREATE EXTENSION pg_trgm in the database ({error.orig})"
        ) from error
