"""Extensions of PostgreSQL that the indexes need."""

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from fonoteka.core.errors import ConfigurationError


def create_extension(connection: sa.Connection, name: str) -> None:
    """Create an extension of `postgresql-contrib` unless it is there; on SQLite do nothing.

    Raises ConfigurationError if PostgreSQL refuses it.
    """
    if connection.dialect.name != "postgresql":
        return
    found = sa.text("SELECT 1 FROM pg_extension WHERE extname = :name")
    if connection.execute(found, {"name": name}).first() is not None:
        return
    try:
        connection.execute(sa.text(f"CREATE EXTENSION {name}"))
    except DBAPIError as error:
        raise ConfigurationError(
            f"store.database: PostgreSQL refuses the extension {name}; its package is postgresql-contrib, and an administrator "
            f"of the server may run CREATE EXTENSION {name} in the database ({error.orig})"
        ) from error
