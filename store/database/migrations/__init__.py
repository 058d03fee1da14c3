"""Migrations of the index, in `versions`. The tests upgrade from each version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from fonoteka.core.errors import ConfigurationError
from store.database.dialect import lock_migrations


def upgrade(connection: Connection, to: str = "head") -> None:
    """Upgrade in the caller's transaction.

    Raises ConfigurationError if the index is of a newer version.
    """
    lock_migrations(connection)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError as error:
        raise ConfigurationError(
            f"store.database was made by a newer Fonoteka than this one; install that one ({error})"
        ) from error
