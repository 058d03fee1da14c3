"""A real store for each test, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import pytest
from argon2 import PasswordHasher

from fonoteka.core.config import StoreSection
from store.database.store import Store
from store.people.accounts import Pbx
from tests.data import seed
from tests.support.postgresql import BINARIES, running


@pytest.fixture(scope="module", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Argon2 with its lowest cost, which is measured in the tests of the API."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("store.people.passwords._HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose database `migrated` is an empty store, for copies."""
    objects = f"file://{tmp_path_factory.mktemp('objects')}"
    with running(BINARIES) as server, ThreadPoolExecutor(1) as thread:

        async def migrate() -> None:
            await create_database(server, "migrated")
            await (await Store.open(StoreSection(database=f"{server}/migrated", objects=objects))).close()

        thread.submit(asyncio.run, migrate()).result()
        yield server


async def create_database(server: str, name: str, template: str = "template1") -> None:
    connection = await asyncpg.connect(f"{server}/postgres")
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    await connection.close()


@pytest.fixture(params=["sqlite", "postgresql"])
async def section(request: pytest.FixtureRequest, tmp_path: Path) -> StoreSection:
    """The settings of a new, empty store."""
    if request.param == "sqlite":
        return seed.section(tmp_path)
    server, name = request.getfixturevalue("postgresql"), f"test_{uuid4().hex}"
    await create_database(server, name, template="migrated")
    return StoreSection(database=f"{server}/{name}", objects=f"file://{tmp_path}/objects")


@pytest.fixture
async def store(section: StoreSection) -> AsyncIterator[Store]:
    """An open store with nothing in it."""
    opened = await Store.open(section, sweep=True)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def pbx(store: Store) -> Pbx:
    """The seed's domains and users, and a registered PBX; no calls yet."""
    return await seed.seed(store, count=0)
