"""Everything in which SQLite and PostgreSQL differ, and nothing else knows of it."""

import json
import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    FromClause,
    Table,
    Text,
    bindparam,
    cast,
    event,
    func,
    literal_column,
    make_url,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.types import TypeEngine

from fonoteka.core.errors import ConfigurationError

WRITES: Final = "fonoteka_writes"  # execution option of a connection whose transaction will write
_MAPPED_BYTES: Final = 2**30  # of the file's beginning; for reading alone
_MIGRATION_LOCK: Final = 0x464F4E4F  # any constant, the same in every replica
_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

Insert = sqlite.Insert | postgresql.Insert


def engine_for(database: str) -> AsyncEngine:
    """An engine for `store.database`; for SQLite the file's folder is made. Raises ConfigurationError."""
    try:
        url = make_url(database)
        driver = _DRIVERS[url.get_backend_name()]
    except Exception:
        raise ConfigurationError(
            "store.database must begin with sqlite:/// or postgresql:// (its value may hold a password)"
        ) from None
    url = url.set(drivername=driver)
    if driver != _DRIVERS["sqlite"]:
        engine = create_async_engine(url, pool_pre_ping=True)
        event.listen(engine.sync_engine, "before_cursor_execute", _without_nul, retval=True)
        return engine
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("store.database = 'sqlite://': name a file, for example sqlite:///fonoteka.db")
    _make_private(Path(url.database))
    engine = create_async_engine(url, pool_size=8, max_overflow=8)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _make_private(database: Path) -> None:
    """Make the file and its folder where they are not there; nobody else reads it, nor its journals, which SQLite makes alike."""
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"store.database: the folder {str(database.parent)!r} cannot be made: {error.strerror}") from error
    try:
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ConfigurationError(f"store.database: the file {str(database)!r} cannot be written: {error.strerror}") from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions begin too late to hold a read and the write that follows from it together.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",  # readers never wait for the writer
        # An agent deletes its copy on our receipt, so what we have acknowledged must outlive a power cut. NORMAL would not do.
        "synchronous = FULL",
        "busy_timeout = 10000",
        "foreign_keys = ON",
        f"mmap_size = {_MAPPED_BYTES}",  # pages are looked at where the system holds them; a third of the time of single rows
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    # SQLite's own lower() knows ASCII only; a filter must find «ПЕТРОВ» by «петров».
    connection.create_function("lower", 1, _lower, deterministic=True)


def _without_nul(_: object, __: object, statement: str, parameters: Any, *___: object) -> tuple[str, Any]:
    """PostgreSQL's text cannot hold NUL. Whoever asks for a name with one in it finds nothing, which is as it should be."""
    many = bool(parameters) and isinstance(parameters[0], tuple)  # rows; the driver is also called "many" with one long row
    return statement, [_replaced(row) for row in parameters] if many else _replaced(parameters)


def _replaced(row: Any) -> Any:
    if not any(isinstance(value, str) and "\0" in value for value in row):
        return row
    return tuple(value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value for value in row)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later may fail at once with SQLITE_BUSY, whatever the time-out.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES) else "BEGIN")


def insert(dialect: Dialect, table: Table) -> Insert:
    """INSERT with `on_conflict_…`, which the two spell alike in different classes."""
    return _insert(dialect.name, table)


@cache
def _insert(dialect: str, table: Table) -> Insert:
    """Made once: its `excluded` copies the whole table, which took a tenth of the time that a call's writing takes."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def given_rows(
    dialect: Dialect, rows: Sequence[Sequence[Any]], types: Sequence[type[TypeEngine[Any]]]
) -> tuple[FromClause, list[ColumnElement[Any]], dict[str, str]]:
    """Rows of our own to join with: where to select from, its columns, and the parameters to execute with.

    As one JSON, so that the statement is the same whatever the number of rows, and is compiled once.
    """
    told = bindparam("given_rows", type_=Text())
    if dialect.name == "sqlite":
        source: FromClause = func.json_each(told).table_valued("value", name="given")
        columns: list[ColumnElement[Any]] = [
            func.json_extract(source.c.value, f"$[{place}]", type_=of()) for place, of in enumerate(types)
        ]
    else:
        source = func.json_array_elements(cast(told, postgresql.JSON)).table_valued("value", name="given")
        columns = [cast(source.c.value.op("->>")(literal_column(str(place))), of()) for place, of in enumerate(types)]
    return source, columns, {"given_rows": json.dumps(rows)}


def one_writer(engine: AsyncEngine, lock: AbstractAsyncContextManager[Any]) -> AbstractAsyncContextManager[Any]:
    """SQLite has one writer: ours queue here, in order, instead of sleeping inside the driver. PostgreSQL needs no queue."""
    return lock if engine.dialect.name == "sqlite" else nullcontext()


def hold_migrations(connection: Connection) -> None:
    """Let one replica migrate while the others wait; held until the transaction ends. SQLite's transaction is enough."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
