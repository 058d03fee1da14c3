"""Running the migrations of an index, without stopping those who use it.

SQLite is migrated in one transaction. PostgreSQL may be in use by other processes: each migration
is a transaction that waits for a lock only briefly, as all who come later wait behind it, and tries
again. What reads a whole table comes afterwards (`store.database.later_indexes`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from store.database import dialect, moved
from store.database.later_indexes import build_later_indexes
from store.database.migrations import pending, upgrade

_LOCK_WAIT_MS: Final = 200
_PAUSE_S: Final = 0.5
_ATTEMPTS: Final = 600
_LOCK_NOT_AVAILABLE: Final = "55P03"

log = structlog.get_logger()


async def migrate(engine: AsyncEngine, *, moves: bool) -> None:
    """Migrate an index to this version. `moves` also allows one that was moved or is incomplete.

    Raises ConfigurationError.
    """
    if engine.dialect.name == "sqlite":
        await _in_one_transaction(engine, moves=moves)
        return
    async with _alone(engine):
        async with engine.connect() as connection:
            if not moves:
                await connection.run_sync(moved.check)
            revisions = await connection.run_sync(pending)
        for revision in revisions:
            await _in_short_locks(engine, revision)
        await build_later_indexes(engine)


async def _in_one_transaction(engine: AsyncEngine, *, moves: bool) -> None:
    async with engine.connect() as connection:
        await connection.execution_options(**{dialect.WRITES: True, dialect.MIGRATES: True})
        async with connection.begin():
            if not moves:
                await connection.run_sync(moved.check)
            await connection.run_sync(upgrade)
        await connection.invalidate()  # other connections check foreign keys


@asynccontextmanager
async def _alone(engine: AsyncEngine) -> AsyncIterator[None]:
    """Let one process migrate at a time.

    A statement that waits for the lock would be waited for by the building of an index.
    """
    async with engine.connect() as connection:
        while not await connection.run_sync(dialect.try_lock_migrations):
            log.info("index.migration_waiting", reason="another process migrates the index")
            await connection.rollback()
            await asyncio.sleep(_PAUSE_S)
        # The transaction has the lock, and does nothing else.
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield
        await connection.rollback()


async def _in_short_locks(engine: AsyncEngine, revision: str) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            async with engine.begin() as connection:
                await connection.execute(text(f"SET LOCAL lock_timeout = {_LOCK_WAIT_MS}"))
                await connection.run_sync(upgrade, revision)
            return
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE or attempt == _ATTEMPTS:
                raise
            log.info("index.migration_waiting", revision=revision, reason="a transaction uses the table; trying again")
            await asyncio.sleep(_PAUSE_S)
