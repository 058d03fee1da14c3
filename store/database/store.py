"""The store: the index (SQL) and the objects (files, or S3)."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError, StoreError
from store.database import dialect, moved
from store.database.domain_keys import DomainKeys
from store.database.migrating import migrate
from store.database.object_places import KnownPlaces
from store.database.purge import has_any, truncate_journal, vacuum
from store.database.signals import Signal, Signals
from store.encryption.master_key import MasterKeySource
from store.objects.bucket_place import redirect_of
from store.objects.places import objects_of, workspace_of

T = TypeVar("T")

_PURGE_ATTEMPTS: Final = 50
_PURGE_PAUSE_S: Final = 0.1

log = structlog.get_logger()


class Store:
    """An index and its objects. Open it with `Store.open`, close it with `close`."""

    def __init__(self, engine: AsyncEngine, section: StoreSection) -> None:
        self.engine, self.section = engine, section
        self.keys = DomainKeys(self.reading, self.writing, MasterKeySource(section, workspace_of(section)))
        self.objects = objects_of(section, self.keys, KnownPlaces(self.reading))
        self.signals = _signals_of(engine, section)
        self._writer = asyncio.Lock()

    @classmethod
    async def open(cls, section: StoreSection, *, sweep: bool = False, blocking: bool = False, moves: bool = False) -> "Store":
        """Connect, migrate, check the master key and the objects.

        `sweep` also removes files of unfinished writes, and begins to encrypt in a new index,
        unless browsers are to read the objects from S3; only the API, the writer of objects, sets
        it. `blocking` is that of `dialect.engine_for`. `moves` also opens an index that was moved
        elsewhere, or is not complete yet. Raises ConfigurationError; nothing is written if the
        master key is missing or wrong.
        """
        engine = dialect.engine_for(section.database, blocking=blocking)
        store = cls(engine, section)
        try:
            await store.keys.check()
            await asyncio.to_thread(store.objects.prepare, sweep=sweep)
            with _database_errors():
                await migrate(engine, moves=moves)
            if sweep and redirect_of(section.objects) is None:
                await store.keys.begin_if_new()
        except StoreError as error:
            await store.close()
            raise ConfigurationError(f"store.database cannot be opened: {error}") from error
        except BaseException:
            await store.close()
            raise
        return store

    async def check_place(self) -> None:
        """Raise StoreError if the index was moved to another database since it was opened."""
        async with self.reading() as connection:
            if await connection.run_sync(moved.moved_to) is not None:
                raise StoreError("the index was moved to another database; restart with that one")

    async def close(self) -> None:
        """Close all connections."""
        self.objects.close()
        await self.engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for reading. Raises StoreError if the database fails."""
        with _database_errors():
            async with self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction; an exception rolls it back. Raises StoreError.

        What it publishes (`store.database.signals`) is delivered when it is committed.
        """
        with _database_errors():
            async with dialect.one_writer(self.engine, self._writer), self.engine.connect() as connection:
                await connection.execution_options(**{dialect.WRITES: True})
                with self.signals.collecting(connection) as signals:
                    async with connection.begin():
                        yield connection
        await self.signals.send(signals)

    @property
    def has_replicas(self) -> bool:
        """Whether other APIs may use the index, so that what all must know is in it."""
        return dialect.has_replicas(self.engine)

    async def tell(self, signal: Signal) -> None:
        """Deliver a signal that belongs to no change of the index."""
        await self.signals.send([signal])

    @asynccontextmanager
    async def alone(self, work: str) -> AsyncIterator[bool]:
        """Yield whether this process does a piece of work alone, of all processes of the index.

        Nobody else does it until the block or the process ends. Raises StoreError.
        """
        if not self.has_replicas:
            yield True
            return
        async with self.reading() as connection:
            yield await dialect.try_alone(connection, work)

    async def purge(self, erased: Sequence[str] = ()) -> None:
        """Overwrite what was deleted in the files of an SQLite index, such as some erased texts.

        PostgreSQL does this by itself, in time. If it fails, the log says so: the rows are deleted
        in any case.
        """
        index = dialect.index_file(self.engine)
        if index is None:
            return
        try:
            await self._truncate_journal(index)
            if await asyncio.to_thread(has_any, index, erased):
                await self._alone(vacuum, index)
                await self._truncate_journal(index)
        except (sqlite3.Error, OSError) as error:
            log.error("index.not_purged", reason=str(error))

    async def _truncate_journal(self, index: Path) -> None:
        """Truncate the journal once no transaction needs it; log if it is needed for long."""
        for _ in range(_PURGE_ATTEMPTS):
            if await self._alone(truncate_journal, index):
                return
            await asyncio.sleep(_PURGE_PAUSE_S)
        log.warning("index.not_purged", reason="a transaction needs the write-ahead log; the next deletion tries again")

    async def _alone(self, work: Callable[[Path], T], index: Path) -> T:
        """Run work that other writers of this process wait for."""
        async with self._writer:
            return await asyncio.to_thread(work, index)


def _signals_of(engine: AsyncEngine, section: StoreSection) -> Signals:
    if not dialect.has_replicas(engine):
        return Signals()
    from store.database.postgres_signals import PostgresSignals  # the driver takes 60 ms to load

    return PostgresSignals(engine, section.listen_database or section.database)


@contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(f"the index refuses: {getattr(error, 'orig', None) or error}") from error
