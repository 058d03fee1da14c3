"""Migrations create the schema of the code, keep all data, and refuse a newer index."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, insert, select, text

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError
from store.database import migrations
from store.database.dialect import engine_for
from store.database.later_indexes import LATER_INDEXES, REPLACED_INDEXES
from store.database.migrations import upgrade
from store.database.schema import EPOCH, users
from store.database.store import Store
from store.database.tables import metadata
from store.intake.intake import upsert_calls
from store.people.accounts import account_of, pbx_of
from store.people.sessions import sessions_of
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.data import seed
from tests.store.test_call_backs import ANOTHER, FIRST, LATE, MISSED, SECOND, out
from tests.store.test_call_queries import table
from tests.support.new_stores import create_database, new_section

VERSIONS = sorted(file.stem.split("_")[0] for file in (Path(migrations.__file__).parent / "versions").glob("0*.py"))


def differences(connection: Connection) -> list[object]:
    others = {*LATER_INDEXES, *REPLACED_INDEXES} if connection.dialect.name == "postgresql" else set()

    def is_compared(_: object, name: str | None, *__: object) -> bool:
        return name not in others

    context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": is_compared})
    return list(compare_metadata(context, metadata))


async def test_the_migrations_create_the_schema_of_the_code(store: Store) -> None:
    async with store.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_index_of_a_newer_version_is_refused(store: Store, section: StoreSection) -> None:
    async with store.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="made by a newer Fonoteka than this one; install that one"):
        await Store.open(section)
    async with store.reading() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar() == "9999"


@dataclass(frozen=True, kw_only=True, slots=True)
class WithCalls:
    """A store of this version, all its rows, and its tables as the database describes them."""

    store: Store
    section: StoreSection
    rows: dict[str, list[dict[str, Any]]]
    tables: MetaData


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["sqlite", "postgresql"])
async def with_calls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WithCalls]:
    """A store with calls, which the tests only read."""
    async with new_section(request, request.param, "seeded", tmp_path_factory.mktemp("with_calls")) as section:
        store = await Store.open(section, sweep=True)
        try:
            await _fill(store)
            tables = MetaData()
            async with store.reading() as connection:
                await connection.run_sync(tables.reflect)
            yield WithCalls(store=store, section=section, rows=await content(store), tables=tables)
        finally:
            await store.close()


async def _fill(store: Store) -> None:
    pbx = await pbx_of(store, seed.PBX_TOKEN)
    assert pbx is not None
    part = seed.but(LATE, revision=LATE.revision + 1, merged_into=MISSED.linkedid, segments=())
    await upsert_calls(store, pbx, [MISSED, ANOTHER, LATE, FIRST, SECOND, out(6, 30, "anonymous")])
    await upsert_calls(store, pbx, [part, *[seed.but(call, linkedid=f"t{letter}") for letter, call in table().items()]])


async def _empty(section: StoreSection, version: str, folder: Path) -> StoreSection:
    """Create an empty index beside another one, as a version creates it."""
    database = f"sqlite:///{folder}/older.db"
    if section.database.startswith("postgresql"):
        server, name = section.database.rpartition("/")[0], f"older_{uuid4().hex}"
        await create_database(server, name)
        database = f"{server}/{name}"
    engine = engine_for(database)
    async with engine.begin() as connection:
        await connection.run_sync(lambda on: upgrade(on, version))
    await engine.dispose()
    return StoreSection(database=database, objects=section.objects)


@pytest.mark.one_machine
@pytest.mark.parametrize("version", VERSIONS)
async def test_an_index_with_calls_is_upgraded_from_each_version(with_calls: WithCalls, version: str, tmp_path: Path) -> None:
    """The upgraded index holds what the store holds. From the newest version nothing changes."""
    older = await _empty(with_calls.section, version, tmp_path)
    columns = await copy_rows(with_calls, older)
    expected = {name: list(rows) for name, rows in with_calls.rows.items()}
    if "serves" not in columns["pbxs"]:
        expected["pbxs"] = [row | {"serves": "unset"} for row in expected["pbxs"]]
    if "encryption" not in columns:
        expected["encryption"] = []  # of an older installation, until somebody asks for it
    if "wait_ms" not in columns["calls"]:  # what older calls do not have is null
        expected["calls"] = [row | dict.fromkeys(("trunk", "wait_ms")) for row in expected["calls"]]
    for is_compared in (True, False):
        upgraded = await Store.open(older)
        try:
            if is_compared:
                async with upgraded.reading() as connection:
                    assert await connection.run_sync(differences) == []
            assert await content(upgraded) == expected
        finally:
            await upgraded.close()


@pytest.mark.one_machine
async def test_removed_names_and_sessions_of_the_first_version_are_upgraded(section: StoreSection, tmp_path: Path) -> None:
    """Rows that were removed before stay removed; an open session stays open and gets a name."""
    older = await _empty(section, "0001", tmp_path)
    engine = engine_for(older.database)
    async with engine.begin() as connection:
        for statement in _FIRST_VERSION:
            await connection.execute(text(statement))
    await engine.dispose()
    now = datetime(2026, 11, 29, tzinfo=UTC)
    upgraded = await Store.open(older)
    try:
        account = await account_of(upgraded, "a token", now)
        assert account is not None and (account.user_id, account.login, account.since) == (101, "152", EPOCH)
        (session,) = await sessions_of(upgraded, account.scope, "152", now, token="a token") or pytest.fail("no session")
        assert (session.address, session.device, session.is_current, len(session.id)) == ("", "", True, 16)
        await apply(upgraded, parse_directory(seed.DIRECTORY, source="test"))
        async with upgraded.reading() as connection:
            query = select(users.c.id, users.c.removed_at).where(users.c.domain_id == 101, users.c.login == "421")
            rows = (await connection.execute(query.order_by(users.c.valid_from))).all()
            assert [row.removed_at is not None for row in rows] == [True, False] and rows[0].id == 102
            if section.database.startswith("sqlite"):
                assert (await connection.execute(text("PRAGMA foreign_keys"))).scalar() == 1
                assert (await connection.execute(text("PRAGMA foreign_key_check"))).all() == []
    finally:
        await upgraded.close()


_FIRST_VERSION = (
    "INSERT INTO domains (id, name, title, timezone, country, area_codes, retention_days) "
    "VALUES (101, 'acme', 'Акме', 'Asia/Krasnoyarsk', 'RU', '[]', 180)",
    "INSERT INTO users (id, domain_id, login, name, extension, endpoints, role, record, removed_at) "
    "VALUES (101, 101, '152', 'Петров', '152', '[]', 'user', 'all', NULL), "
    "(102, 101, '421', 'Бывший', '421', '[]', 'user', 'all', 1)",
    "INSERT INTO sessions (token_hash, user_id, created_at, expires_at) "  # of the token "a token"
    "VALUES ('e3316e2bafebb6103a3418e8778c0adc960d40213a03a7e7f4fcd3426ed807bf', 101, 1795824000000, 1795996800000)",
)


async def copy_rows(source: WithCalls, older: StoreSection) -> dict[str, set[str]]:
    """Copy a store's rows into an older index, without the tables and columns it lacks.

    Returns the columns of each table of the older index.
    """
    engine, old = engine_for(older.database), MetaData()
    async with engine.begin() as target, source.store.reading() as reader:
        await target.run_sync(old.reflect)
        for name in (table.name for table in metadata.sorted_tables if table.name in old.tables):
            columns = [source.tables.tables[name].c[column.name] for column in old.tables[name].c]
            rows = [dict(row) for row in (await reader.execute(select(*columns))).mappings()]
            await target.execute(old.tables[name].delete())
            if rows:
                await target.execute(insert(old.tables[name]), rows)
    await engine.dispose()
    return {name: set(table.c.keys()) for name, table in old.tables.items()}


async def content(store: Store) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, in the order of their keys."""
    async with store.reading() as connection:
        rows = {
            table.name: (await connection.execute(select(table).order_by(*table.primary_key))).mappings().all()
            for table in metadata.sorted_tables
        }
    assert rows["calls"] and rows["hour_counters"] and rows["group_counters"]
    return {name: [dict(row) for row in of_table] for name, of_table in rows.items()}
