"""Migrations of the index, in `versions`. The tests upgrade from each version."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Connection

from fonoteka.core.errors import ConfigurationError


def upgrade(connection: Connection, to: str = "head") -> None:
    """Upgrade in the caller's transaction; an index of this version is left as it is.

    Raises ConfigurationError if the index is of a newer version.
    """
    current = MigrationContext.configure(connection).get_current_revision()
    if to == "head" and current == _scripts().get_current_head():
        return
    config = _config()
    config.attributes["connection"] = connection
    with _newer_is_refused():
        command.upgrade(config, to)


def pending(connection: Connection) -> list[str]:
    """Return the versions to which an index is still to be upgraded, in order.

    Raises ConfigurationError if the index is of a newer version.
    """
    current = MigrationContext.configure(connection).get_current_revision()
    with _newer_is_refused():
        scripts = _scripts().iterate_revisions("head", current or "base")
        return [script.revision for script in scripts][::-1]


@cache
def _scripts() -> ScriptDirectory:
    """Read the migrations once: a process may open many stores."""
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


@contextmanager
def _newer_is_refused() -> Iterator[None]:
    try:
        yield
    except (CommandError, RevisionError) as error:
        raise ConfigurationError(
            f"store.database was made by a newer Fonoteka than this one; install that one ({error})"
        ) from error
