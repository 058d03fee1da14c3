"""New stores on SQLite and on PostgreSQL, as copies of two that are made once.

`migrated` is empty, `seeded` has the seed's domains, users and PBX. A copy takes a tenth of the
time of the migrations and of the seed.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy import delete

from fonoteka.core.config import StoreSection
from store.database.schema import encryption
from store.database.store import Store
from tests.data import seed
from tests.support import pgbouncer, radosgw
from tests.support.eventually import eventually
from tests.support.postgresql import BINARIES, running
from tests.support.radosgw import S3Server

# The kinds of stores that tests run on. `make test-scale` names another.
STORES: Final = tuple(os.environ.get("FONOTEKA_TEST_STORES", "sqlite postgresql").split())


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty SQLite store."""
    folder = tmp_path_factory.mktemp("migrated")
    finish(lambda: _prepare(seed.section(folder), seeded=False))
    return folder


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a SQLite store with the seed's domains, users and PBX, without calls."""
    folder = tmp_path_factory.mktemp("seeded")
    finish(lambda: _prepare(seed.section(folder), seeded=True))
    return folder


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the databases `migrated` and `seeded`, for copies."""
    objects = f"file://{tmp_path_factory.mktemp('postgresql')}/objects"
    with running(BINARIES) as server:

        async def fill() -> None:
            for name, source in (("migrated", "template1"), ("seeded", "migrated")):
                await create_database(server, name, source)
                section = StoreSection(database=f"{server}/{name}", objects=objects)
                await _prepare(section, seeded=name == "seeded")

        finish(fill)
        yield server


@pytest.fixture(scope="session")
def pooler(postgresql: str) -> Iterator[str]:
    """PgBouncer before the server `postgresql`, in transaction mode."""
    with pgbouncer.running(postgresql) as address:

        async def answers() -> bool:
            try:
                connection = await asyncpg.connect(f"{address}/postgres", statement_cache_size=0)
            except OSError:
                return False
            await connection.close()
            return True

        async def wait() -> None:
            await eventually(answers)

        finish(wait)
        yield address


async def create_database(server: str, name: str, template: str = "template1") -> None:
    """Create a database as a copy of another one, to which nobody is connected."""
    await _execute(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")


async def drop_database(server: str, name: str) -> None:
    """Delete a database, which has thousands of files."""
    await _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(server: str, statement: str) -> None:
    connection = await asyncpg.connect(f"{server}/postgres")
    await connection.execute(statement)
    await connection.close()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A server of S3, for buckets."""
    with radosgw.running() as server:
        yield server


@pytest.fixture(params=STORES)
async def section(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreSection]:
    """The settings of a new store: a seeded one for a test that uses `pbx`, else an empty one.

    Modules that say so have the objects in S3 (parameters `s3`, for SQLite, and `postgresql-s3`),
    or in a folder, with the keys of S3 for buckets of domains (`folder-s3`), or PgBouncer before
    PostgreSQL (`pgbouncer`).
    """
    template = "seeded" if "pbx" in request.fixturenames else "migrated"
    async with new_section(request, request.param, template, tmp_path) as made:
        yield made


@asynccontextmanager
async def new_section(request: pytest.FixtureRequest, kind: str, template: str, folder: Path) -> AsyncIterator[StoreSection]:
    """Yield the settings of a new store of a kind, a copy of `migrated` or `seeded`."""
    if kind in ("sqlite", "folder-s3", "s3"):
        shutil.copytree(request.getfixturevalue(template), folder, dirs_exist_ok=True)
        in_folder = seed.section(folder) if kind == "sqlite" else radosgw.with_keys(seed.section(folder))
        yield in_folder if kind != "s3" else in_bucket(request.getfixturevalue("s3"), folder)
        return
    server, name = request.getfixturevalue("postgresql"), f"test_{uuid4().hex}"
    await create_database(server, name, template)
    if kind in ("postgresql", "pgbouncer"):
        address = server if kind == "postgresql" else request.getfixturevalue("pooler")
        yield StoreSection(database=f"{address}/{name}", objects=f"file://{folder}/objects")
    else:
        bucket: S3Server = request.getfixturevalue("s3")
        yield bucket.section(f"{server}/{name}", bucket.new_bucket(), folder / "objects")
    await drop_database(server, name)


def in_bucket(server: S3Server, folder: Path) -> StoreSection:
    """Return the settings of the SQLite store in a folder, with objects in a new bucket."""
    return server.section(seed.section(folder).database, server.new_bucket(), folder / "objects")


@pytest.fixture
async def store(section: StoreSection) -> AsyncIterator[Store]:
    """An open store."""
    opened = await Store.open(section, sweep=True)
    try:
        yield opened
    finally:
        await opened.close()


async def _prepare(section: StoreSection, *, seeded: bool) -> None:
    """Fill a store, without a master key: each copy makes its own when it is first opened."""
    store = await Store.open(section, sweep=True)
    if seeded:
        await seed.seed(store, count=0)
    async with store.writing() as connection:
        await connection.execute(delete(encryption))
    await store.close()
    store.keys.source.file.unlink()


def finish(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine in an event loop of its own, as fixtures of a session have none."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(work())).result()
