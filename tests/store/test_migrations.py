"""Migrations create the schema of the code, keep all data, and refuse a newer index."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, insert, select, text

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError
from store.database import migrations
from store.database.dialect import engine_for
from store.database.migrations import upgrade
from store.database.store import Store
from store.database.tables import metadata
from store.intake.intake import upsert_calls
from store.people.accounts import Pbx
from tests.data import seed
from tests.store.conftest import create_database
from tests.store.test_call_backs import ANOTHER, FIRST, LATE, MISSED, SECOND, out
from tests.store.test_call_queries import table

VERSIONS = sorted(file.stem.split("_")[0] for file in (Path(migrations.__file__).parent / "versions").glob("0*.py"))


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
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


@pytest.fixture(params=VERSIONS)
async def older(request: pytest.FixtureRequest, section: StoreSection, tmp_path: Path) -> StoreSection:
    """An empty index as each version creates it."""
    database = f"sqlite:///{tmp_path}/older.db"
    if section.database.startswith("postgresql"):
        server, name = request.getfixturevalue("postgresql"), f"older_{uuid4().hex}"
        await create_database(server, name)
        database = f"{server}/{name}"
    engine = engine_for(database)
    async with engine.begin() as connection:
        await connection.run_sync(lambda on: upgrade(on, request.param))
    await engine.dispose()
    return StoreSection(database=database, objects=section.objects)


async def test_an_index_with_calls_is_upgraded_from_each_version(store: Store, pbx: Pbx, older: StoreSection) -> None:
    """The upgraded index holds what the store holds. From the newest version nothing changes."""
    part = seed.but(LATE, revision=LATE.revision + 1, merged_into=MISSED.linkedid, segments=())
    await upsert_calls(store, pbx, [MISSED, ANOTHER, LATE, FIRST, SECOND, out(6, 30, "anonymous")])
    await upsert_calls(store, pbx, [part, *[seed.but(call, linkedid=f"t{letter}") for letter, call in table().items()]])
    has_no_served_domains = "serves" not in await copy_rows(store, older)
    for _ in range(2):
        upgraded = await Store.open(older)
        try:
            async with upgraded.reading() as connection:
                assert await connection.run_sync(differences) == []
            expected = await content(store)
            if has_no_served_domains:
                expected["pbxs"] = [row | {"serves": "unset"} for row in expected["pbxs"]]
            assert await content(upgraded) == expected
        finally:
            await upgraded.close()


async def copy_rows(store: Store, older: StoreSection) -> set[str]:
    """Copy a store's rows into an older index, without the tables and columns it lacks.

    Returns the columns of `pbxs` in the older index.
    """
    engine, old = engine_for(older.database), MetaData()
    async with engine.begin() as target, store.reading() as source:
        await target.run_sync(old.reflect)
        new = MetaData()
        await source.run_sync(new.reflect)
        for name in (table.name for table in metadata.sorted_tables if table.name in old.tables):
            columns = [new.tables[name].c[column.name] for column in old.tables[name].c]
            rows = [dict(row) for row in (await source.execute(select(*columns))).mappings()]
            await target.execute(old.tables[name].delete())
            if rows:
                await target.execute(insert(old.tables[name]), rows)
    await engine.dispose()
    return set(old.tables["pbxs"].c.keys())


async def content(store: Store) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, in the order of their keys."""
    async with store.reading() as connection:
        rows = {
            table.name: (await connection.execute(select(table).order_by(*table.primary_key))).mappings().all()
            for table in metadata.sorted_tables
        }
    assert rows["calls"] and rows["hour_counters"] and rows["group_counters"]
    return {name: [dict(row) for row in of_table] for name, of_table in rows.items()}
