"""The differences between SQLite and PostgreSQL, all in this module."""

import json
import os
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import aiosqlite
from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    FromClause,
    Select,
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
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.types import TypeEngine

from fonoteka.core.errors import ConfigurationError
from store.database.pooler import connect_through_poolers

WRITES: Final = "fonoteka_writes"  # execution option: the transaction will write
MIGRATES: Final = "fonoteka_migrates"  # execution option: the transaction may copy SQLite's tables
_MAPPED_BYTES: Final = 2**30  # of the start of the file, for reads only
_MIGRATION_LOCK: Final = 0x464F4E4F  # any constant, equal in all replicas
_AUDIT_LOCK: Final = 0x41554449  # the upper half of the key; the lower one is the domain
_ENCRYPTION_LOCK: Final = 0x454E4352
_WORK_LOCK: Final = 0x574F524B  # the upper half of the key; the lower one is of the work's name
_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

Insert = sqlite.Insert | postgresql.Insert


def engine_for(database: str, *, create: bool = True, blocking: bool = False) -> AsyncEngine:
    """Create the engine of `store.database`; with `create` an SQLite file and its folder, too.

    With `blocking`, SQLite's statements run in the thread of the event loop, for a process that has
    nothing else to do: the driver's thread would need two switches for each step of a statement,
    mostly while the lock is held. Raises ConfigurationError.
    """
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
        connect_through_poolers(engine)
        event.listen(engine.sync_engine, "before_cursor_execute", _replace_nul, retval=True)
        return engine
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("store.database = 'sqlite://': name a file, for example sqlite:///fonoteka.db")
    if create:
        _make_private(Path(url.database))
    arguments = {"async_creator_fn": _blocking_connection} if blocking else {}
    engine = create_async_engine(url, pool_size=8, max_overflow=8, connect_args=arguments)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


class _BlockingConnection(aiosqlite.Connection):
    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)


def _blocking_connection(database: str, **options: Any) -> aiosqlite.Connection:
    connection = _BlockingConnection(partial(sqlite3.connect, database, **options), 64)
    thread: Any = getattr(connection, "_thread", connection)  # opens and closes; before 0.22 the connection was it
    thread.daemon = True
    return connection


def _make_private(database: Path) -> None:
    """Create the file and its folder, readable by the owner only.

    SQLite creates its journals with the same mode.
    """
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"store.database: the folder {str(database.parent)!r} cannot be made: {error.strerror}") from error
    try:
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ConfigurationError(f"store.database: the file {str(database)!r} cannot be written: {error.strerror}") from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver begins its own transactions at the first write: a read before it would be outside.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",  # readers do not wait for the writer
        # An agent deletes its copy on the receipt, so acknowledged data must survive a power cut:
        # NORMAL does not guarantee that.
        "synchronous = FULL",
        "busy_timeout = 10000",
        "foreign_keys = ON",
        "secure_delete = ON",  # the default of Debian's SQLite, not of others; see `store.database.purge`
        f"mmap_size = {_MAPPED_BYTES}",  # reads pages in place: single rows take a third of the time
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    # SQLite's lower() folds ASCII only; a filter must find «ПЕТРОВ» by «петров».
    connection.create_function("lower", 1, _lower, deterministic=True)


def _replace_nul(_: object, __: object, statement: str, parameters: Any, *___: object) -> tuple[str, Any]:
    many = bool(parameters) and isinstance(parameters[0], tuple)  # the driver's flag is also set for one long row
    return statement, [without_nul(row) for row in parameters] if many else without_nul(parameters)


def without_nul(row: Any) -> Any:
    """Replace NUL, which PostgreSQL's text cannot hold: a search for it finds nothing."""
    if not any(isinstance(value, str) and "\0" in value for value in row):
        return row
    return tuple(value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value for value in row)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads before it writes can fail at once with SQLITE_BUSY,
    # whatever the time-out.
    options = connection.get_execution_options()
    if options.get(MIGRATES):
        # To drop the old copy of a table would delete the rows that refer to it. SQLite ignores
        # the pragma inside a transaction, so the connection must not be used for anything else.
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(WRITES) else "BEGIN")


def insert(dialect: Dialect, table: Table) -> Insert:
    """Return an INSERT with `on_conflict_…`, spelled alike in two classes."""
    return _insert(dialect.name, table)


@cache
def _insert(dialect: str, table: Table) -> Insert:
    """Cached: `excluded` copies the table, which took a tenth of the time of writing a call."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def parameter_rows(
    dialect: Dialect, rows: Sequence[Sequence[Any]], types: Sequence[type[TypeEngine[Any]]]
) -> tuple[FromClause, list[ColumnElement[Any]], dict[str, str]]:
    """Make rows of parameters to join with; return source, columns and the statement's parameters.

    The rows are one JSON, so that one compiled statement serves any number of rows.
    """
    document = bindparam("parameter_rows", type_=Text())
    if dialect.name == "sqlite":
        source: FromClause = func.json_each(document).table_valued("value", name="given")
        columns: list[ColumnElement[Any]] = [
            func.json_extract(source.c.value, f"$[{place}]", type_=of()) for place, of in enumerate(types)
        ]
    else:
        source = func.json_array_elements(cast(document, postgresql.JSON)).table_valued("value", name="given")
        columns = [cast(source.c.value.op("->>")(literal_column(str(place))), of()) for place, of in enumerate(types)]
    return source, columns, {"parameter_rows": json.dumps(rows)}


def few_groups(
    dialect: Dialect, source: FromClause, value: ColumnElement[int], count: int
) -> tuple[FromClause, ColumnElement[int]]:
    """Return a source, and its column to group by instead of a value from 0 to before `count`.

    PostgreSQL takes a value that is computed from each call for as many groups as there are calls,
    and sorts them all in one process; by a column of few rows it groups in several, by hashing.
    """
    if dialect.name == "sqlite":
        return source, value
    series = func.generate_series(0, count - 1).table_valued("value", name="groups").render_derived()
    return source.join(series, series.c.value == value), series.c.value


def computed_once(dialect: Dialect, query: Select[Any]) -> Select[Any]:
    """Let SQLite compute the columns of a subquery before it groups by them.

    Grouping sorts there, and would compute them in each comparison. PostgreSQL would not divide
    such a query between several processes.
    """
    return query.offset(0) if dialect.name == "sqlite" else query


def has_later_indexes(dialect: Dialect) -> bool:
    """Whether the calls have the indexes of `store.database.later_indexes`."""
    return dialect.name == "postgresql"


def one_writer(engine: AsyncEngine, lock: AbstractAsyncContextManager[Any]) -> AbstractAsyncContextManager[Any]:
    """Return a lock that queues writers: SQLite has one, and its driver would sleep.

    PostgreSQL needs none.
    """
    return lock if engine.dialect.name == "sqlite" else nullcontext()


def try_lock_migrations(connection: Connection) -> bool:
    """Let one process migrate PostgreSQL until its transaction ends; False if another one does."""
    locked: bool = connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK}).scalar_one()
    return locked


async def lock_names(connection: AsyncConnection, names: Collection[str]) -> datetime:
    """Lock some names until the transaction ends; return the time of PostgreSQL's clock."""
    keys = sorted(int.from_bytes(sha256(name.encode()).digest()[:8], signed=True) for name in names)  # one order for all
    lock = "SELECT count(pg_advisory_xact_lock(CAST(value AS bigint))) FROM json_array_elements_text(CAST(:keys AS json))"
    await connection.execute(text(lock), {"keys": json.dumps(keys)})
    moment: datetime = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
    return moment


async def try_alone(connection: AsyncConnection, work: str) -> bool:
    """Lock a piece of work until the transaction ends, however it ends; return False if it is."""
    await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    key = _WORK_LOCK << 32 | crc32(work.encode())
    return bool((await connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key})).scalar_one())


def has_replicas(engine: AsyncEngine) -> bool:
    """Return whether several APIs may use the index."""
    return engine.dialect.name == "postgresql"


async def notify(connection: AsyncConnection, channel: str, texts: Sequence[str]) -> None:
    """Send texts to the processes that listen to a channel, when the transaction is committed.

    Nothing else may be written by it, as its commit does not wait for the disk.
    """
    each = (
        "SELECT set_config('synchronous_commit', 'off', true), pg_notify(:channel, value) "
        "FROM json_array_elements_text(CAST(:texts AS json))"
    )
    await connection.execute(text(each), {"channel": channel, "texts": json.dumps(texts)})


def driver_options(database: str) -> dict[str, Any]:
    """Return what the driver of PostgreSQL takes to connect to a database."""
    url = make_url(database).set(drivername=_DRIVERS["postgresql"])
    _, options = url.get_dialect()().create_connect_args(url)
    return {key: value for key, value in options.items() if not key.startswith("prepared_statement_")}


def address_of(engine: AsyncEngine) -> str:
    """Return the address of a database as `store.database` names it, with `***` for a password."""
    return engine.url.set(drivername=engine.url.get_backend_name()).render_as_string(hide_password=True)


def index_file(engine: AsyncEngine) -> Path | None:
    """Return the file of an SQLite database; None for PostgreSQL."""
    return Path(engine.url.database) if engine.dialect.name == "sqlite" and engine.url.database else None


async def lock_audit(connection: AsyncConnection, domain_id: int) -> None:
    """Let one transaction extend the audit's chain of a domain, until it ends.

    SQLite needs no lock: it has one writer.
    """
    if connection.dialect.name == "postgresql":
        key = _AUDIT_LOCK << 32 | domain_id & 0xFFFFFFFF
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


async def lock_encryption(connection: AsyncConnection, *, begins: bool) -> None:
    """Let the begin of encryption wait for all that is being stored plain, and the reverse.

    SQLite needs no lock: it has one writer.
    """
    if connection.dialect.name == "postgresql":
        function = "pg_advisory_xact_lock" if begins else "pg_advisory_xact_lock_shared"
        await connection.execute(text(f"SELECT {function}(:key)"), {"key": _ENCRYPTION_LOCK})


async def read_snapshot(connection: AsyncConnection) -> None:
    """Let all queries of the transaction that begins next see one state of the index.

    In SQLite every transaction does.
    """
    if connection.dialect.name == "postgresql":
        await connection.execution_options(isolation_level="REPEATABLE READ")
