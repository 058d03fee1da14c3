"""From each version of the index to the next, with calls in it."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, MetaData, insert, select

from fonoteka.core.config import StoreSection
from store.database.dialect import engine_for
from store.database.migrations import upgrade
from store.database.schema import calls
from store.database.store import Store
from store.database.tables import group_tallies, hour_lengths, hour_tallies
from store.intake.intake import upsert_calls
from store.people.accounts import Pbx
from tests.data import seed
from tests.store.conftest import create_database
from tests.store.test_call_backs import ANOTHER, FIRST, LATE, MISSED, SECOND, backs, newer, out
from tests.store.test_call_queries import table
from tests.store.test_tally import kept_lengths

IN_ORDER = ("domains", "pbxs", "users", "numbers", "calls", "call_paths", "participants", "segments", "settings")


@pytest.fixture
async def first_version(request: pytest.FixtureRequest, section: StoreSection, tmp_path: Path) -> str:
    """A database as version 0001 made it."""
    database = f"sqlite:///{tmp_path}/old.db"
    if section.database.startswith("postgresql"):
        server, name = request.getfixturevalue("postgresql"), f"old_{uuid4().hex}"
        await create_database(server, name)
        database = f"{server}/{name}"
    engine = engine_for(database)
    async with engine.begin() as connection:
        await connection.run_sync(lambda on: upgrade(on, "0001"))
    await engine.dispose()
    return database


async def test_the_calls_there_are_get_their_figures_and_call_backs(
    store: Store, pbx: Pbx, first_version: str, section: StoreSection
) -> None:
    """What is written now is what the migration makes of the same calls."""
    part = newer(LATE, merged_into=MISSED.linkedid, segments=())
    await upsert_calls(store, pbx, [MISSED, ANOTHER, LATE, FIRST, SECOND, out(6, 30, "anonymous")])
    await upsert_calls(store, pbx, [part, *[seed.but(call, linkedid=f"t{letter}") for letter, call in table().items()]])
    assert await backs(store, MISSED, ANOTHER) == [10, 10]
    await copied(store, first_version)
    migrated = await Store.open(StoreSection(database=first_version, objects=section.objects))
    try:
        for what in (hour_tallies, group_tallies, hour_lengths, calls):
            found = await content(migrated, what)
            assert found == await content(store, what), what.name
            assert found, what.name
    finally:
        await migrated.close()


async def copied(store: Store, database: str) -> None:
    """Put the rows of a store into an older database, without the columns that it has not got."""
    engine, old = engine_for(database), MetaData()
    async with engine.begin() as target, store.engine.connect() as source:
        await target.run_sync(old.reflect)
        new = MetaData()
        await source.run_sync(new.reflect)
        for name in IN_ORDER:
            columns = [new.tables[name].c[column.name] for column in old.tables[name].c]
            rows = [dict(row) for row in (await source.execute(select(*columns))).mappings()]
            if name == "calls":
                rows = [row | {"called_back_at": None} for row in rows]
            await target.run_sync(fill, old, name, rows)
    await engine.dispose()


def fill(connection: Connection, into: MetaData, name: str, rows: list[dict[str, Any]]) -> None:
    connection.execute(into.tables[name].delete())
    if rows:
        connection.execute(insert(into.tables[name]), rows)


async def content(store: Store, what: Any) -> list[dict[str, Any]]:
    """The rows in which there is anything, in order; the migration needs no party for calls that became a part of another."""
    async with store.reading() as connection:
        rows = (await connection.execute(select(what).order_by(*what.primary_key))).mappings().all()
    keys = {column.name for column in what.primary_key}
    if what is calls:
        return [dict(row) | {"peer": None} if row["merged_into"] else dict(row) for row in rows]
    if what is hour_lengths:
        return [dict(row) | {"lengths": kept_lengths(row["lengths"])} for row in rows]
    return [dict(row) for row in rows if any(value for name, value in row.items() if name not in keys)]
