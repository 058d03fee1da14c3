"""The store: the index (SQL) and the objects (files)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError, StoreError
from store.database import dialect
from store.database.migrations import upgrade
from store.objects.folder import ObjectFolder, folder_of


class Store:
    """An index and its objects. Open it with `Store.open`, close it with `close`."""

    def __init__(self, engine: AsyncEngine, objects: ObjectFolder) -> None:
        self.engine = engine
        self.objects = objects
        self._writer = asyncio.Lock()

    @classmethod
    async def open(cls, section: StoreSection, *, sweep: bool = False) -> "Store":
        """Connect, migrate, and check the objects' folder. Raises ConfigurationError.

        `sweep` also removes files of unfinished writes; only the API, their writer, sets it.
        """
        engine = dialect.engine_for(section.database)
        store = cls(engine, ObjectFolder(folder_of(section.objects)))
        try:
            await asyncio.to_thread(store.objects.prepare, sweep=sweep)
            await store._migrate()
        except StoreError as error:
            await engine.dispose()
            raise ConfigurationError(f"store.database cannot be opened: {error}") from error
        except BaseException:
            await engine.dispose()
            raise
        return store

    async def _migrate(self) -> None:
        with _database_errors():
            async with self.engine.connect() as connection:
                await connection.execution_options(**{dialect.WRITES: True, dialect.MIGRATES: True})
                async with connection.begin():
                    await connection.run_sync(upgrade)
                await connection.invalidate()  # other connections check foreign keys

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for reading. Raises StoreError if the database fails."""
        with _database_errors():
            async with self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction; an exception rolls it back. Raises StoreError."""
        with _database_errors():
            async with dialect.one_writer(self.engine, self._writer), self.engine.connect() as connection:
                await connection.execution_options(**{dialect.WRITES: True})
                async with connection.begin():
                    yield connection


@contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(f"the index refuses: {getattr(error, 'orig', None) or error}") from error
