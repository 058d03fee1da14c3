"""PostgreSQL is migrated while other processes read and write: nobody waits for a lock for long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy import Connection, event, text

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError
from store.database import migrating
from store.database.dialect import engine_for
from store.database.later_indexes import LATER_INDEXES, REPLACED_INDEXES
from store.database.migrations import pending, upgrade
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.people.accounts import Pbx, pbx_of
from store.queries.calls import page_of_calls
from store.selection.period import Period
from store.selection.selection import Selection, Sort
from tests.data import seed
from tests.store.test_call_queries import ZONE, scope_of
from tests.support.eventually import eventually
from tests.support.new_stores import create_database, drop_database

BEGIN = datetime(2026, 11, 22, 16, 43, tzinfo=UTC)
LAST_WITHOUT = "0016"  # the version before the indexes
EXTENSIONS = ("pg_trgm", "btree_gin")  # in the order of their migrations
# A statement that waits behind the migration fails. The migration itself waits for an open
# transaction here as long as that is open, so that no speed of the machine decides.
LONGEST_WAIT_MS = 10_000


@pytest.fixture
async def older(postgresql: str, tmp_path: Path) -> AsyncIterator[StoreSection]:
    """A seeded store with calls, as the version before the indexes left it."""
    name = f"test_{uuid4().hex}"
    await create_database(postgresql, name, "seeded")
    section = StoreSection(database=f"{postgresql}/{name}", objects=f"file://{tmp_path}/objects")
    store = await Store.open(section, sweep=True)
    await upsert_calls(store, await pbx(store), [seed.a_call(number, BEGIN) for number in range(40)])
    async with store.writing() as connection:
        for index in LATER_INDEXES:
            await connection.execute(text(f"DROP INDEX {index}"))
        for index in REPLACED_INDEXES:
            await connection.execute(text(f"CREATE INDEX {index} ON calls (domain_id, started_at, id)"))
        await connection.execute(text("DROP STATISTICS st_calls_kinds"))
        for extension in EXTENSIONS:
            await connection.execute(text(f"DROP EXTENSION {extension}"))
        await connection.execute(text("DROP TABLE object_places"))
        for column in ("quota_gb", "quota_recordings", "quota_warned_at", "objects"):  # of the versions after it
            await connection.execute(text(f"ALTER TABLE domains DROP COLUMN {column}"))
        await connection.execute(text("DROP TABLE object_locks"))
        await connection.execute(text("UPDATE alembic_version SET version_num = :last"), {"last": LAST_WITHOUT})
    await store.close()
    yield section
    await drop_database(postgresql, name)


async def pbx(store: Store) -> Pbx:
    registered = await pbx_of(store, seed.PBX_TOKEN)
    assert registered is not None
    return registered


def impatient(section: StoreSection) -> Store:
    """Return an older process's store, whose statements do not wait for a lock for long."""
    store = Store(engine_for(section.database), section)

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LONGEST_WAIT_MS}")

    event.listen(store.engine.sync_engine, "begin", begin)
    return store


async def indexes(store: Store) -> dict[str, bool]:
    """Return the indexes that are built later or replaced, and whether each is valid."""
    names = {*LATER_INDEXES, *REPLACED_INDEXES}
    query = text("SELECT indexrelid::regclass::text AS name, indisvalid FROM pg_index")
    async with store.reading() as connection:
        return {row.name: row.indisvalid for row in await connection.execute(query) if row.name in names}


async def test_others_read_and_write_while_an_index_is_migrated(older: StoreSection) -> None:
    async with AsyncExitStack() as stack:
        others = impatient(older)
        stack.push_async_callback(others.close)
        assert await indexes(others) == dict.fromkeys(REPLACED_INDEXES, True)
        scope, selection = await scope_of(others), Selection(period=Period(start=BEGIN, end=BEGIN + timedelta(days=1)), zone=ZONE)
        migration = await stack.enter_async_context(asyncio.TaskGroup())
        async with others.writing() as connection:  # a transaction that has written, and goes on
            await connection.execute(text("UPDATE calls SET src_name = 'meanwhile' WHERE id = (SELECT min(id) FROM calls)"))
            opening = migration.create_task(Store.open(older))
            await eventually(lambda: _builds(others))
            for number in range(100, 110):
                await upsert_calls(others, await pbx(others), [seed.a_call(number, BEGIN)])
                seen = await page_of_calls(others, scope, selection, sort=Sort.STARTED_DOWN, after=None, limit=5, now=BEGIN)
                assert seen.total == number - 100 + 41
            assert not opening.done()
        migrated = await opening
        stack.push_async_callback(migrated.close)
        assert await indexes(migrated) == dict.fromkeys(LATER_INDEXES, True)
        async with migrated.reading() as connection:
            assert await connection.run_sync(pending) == []


async def _builds(store: Store) -> bool:
    """Whether the building of an index waits for the transactions before it."""
    async with store.reading() as connection:
        phases = await connection.execute(text("SELECT phase FROM pg_stat_progress_create_index"))
        return "waiting for writers before build" in set(phases.scalars())


async def test_an_exclusive_lock_is_tried_again_and_stops_nobody(older: StoreSection, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    def alter(connection: Connection, revision: str) -> None:
        attempts.append(revision)
        connection.execute(text("ALTER TABLE calls ADD COLUMN IF NOT EXISTS another integer"))
        upgrade(connection, revision)

    monkeypatch.setattr(migrating, "upgrade", alter)
    others = impatient(older)
    try:
        async with asyncio.TaskGroup() as tasks, others.writing() as connection:
            await connection.execute(text("UPDATE calls SET src_name = 'meanwhile' WHERE id = (SELECT min(id) FROM calls)"))
            opening = tasks.create_task(Store.open(older))
            await eventually(lambda: len(attempts) > 1)
            await upsert_calls(others, await pbx(others), [seed.a_call(100, BEGIN)])
        migrated = await opening
        async with migrated.reading() as connection:
            assert (await connection.execute(text("SELECT count(*) FROM calls WHERE another IS NULL"))).scalar() == 41
        await migrated.close()
    finally:
        await others.close()


async def test_two_processes_migrate_one_after_the_other(older: StoreSection) -> None:
    stores = await asyncio.gather(*(Store.open(older) for _ in range(3)))
    assert await indexes(stores[0]) == dict.fromkeys(LATER_INDEXES, True)
    for store in stores:
        await store.close()


async def test_an_index_whose_building_was_interrupted_is_built_again(older: StoreSection) -> None:
    await (await Store.open(older)).close()
    others = impatient(older)
    async with others.writing() as connection:
        await connection.execute(text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_calls_length'::regclass"))
    assert not (await indexes(others))["ix_calls_length"]
    await others.close()
    store = await Store.open(older)
    assert await indexes(store) == dict.fromkeys(LATER_INDEXES, True)
    await store.close()


async def test_a_refused_extension_is_named(older: StoreSection) -> None:
    """The owner of the tables is not the owner of the database: an administrator must help."""
    role = f"poor_{uuid4().hex}"
    owner = await asyncpg.connect(older.database)
    try:
        await owner.execute(f"CREATE ROLE {role} LOGIN; ALTER SCHEMA public OWNER TO {role}")
        for table in await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            await owner.execute(f'ALTER TABLE "{table["tablename"]}" OWNER TO {role}')
        poor = older.model_copy(update={"database": older.database.replace("postgres@", f"{role}@")})
        for name in EXTENSIONS:
            with pytest.raises(ConfigurationError, match=f"refuses the extension {name}.*CREATE EXTENSION {name}"):
                await Store.open(poor)
            await owner.execute(f"CREATE EXTENSION {name}")
        await (await Store.open(poor)).close()
    finally:
        await owner.execute(f"REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}; DROP ROLE {role}")
        await owner.close()
