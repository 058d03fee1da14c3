"""Signals of changes, and work that one process does alone, on SQLite and on PostgreSQL."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import pytest
from structlog.testing import capture_logs

from fonoteka.core.config import StoreSection
from store.database import postgres_signals
from store.database.signals import Signal, SignalKind, Subscriber, parsed, publish
from store.database.store import Store
from tests.data import seed
from tests.support.eventually import eventually
from tests.support.new_stores import create_database, drop_database

CALL = Signal(kind=SignalKind.CALL, of=1, what="01ABC")
SETTINGS = Signal(kind=SignalKind.SETTINGS)
MANY = [Signal(kind=SignalKind.CALL, of=2, what=str(number)) for number in range(1000)]


@dataclass
class Heard:
    """What a subscriber was called with."""

    signals: list[Signal] = field(default_factory=list)
    missed: int = 0
    unheard: int = 0

    def subscribe(self, store: Store) -> "Heard":
        def missed() -> None:
            self.missed += 1

        def unheard() -> None:
            self.unheard += 1

        store.signals.subscribers.append(Subscriber(take=self.signals.append, unheard=unheard, missed=missed))
        return self


@asynccontextmanager
async def listening(store: Store) -> AsyncIterator[Heard]:
    """Listen with a store, once it hears the others if it ever will."""
    heard = Heard().subscribe(store)
    task = asyncio.create_task(store.signals.run())
    try:
        if store.engine.dialect.name == "postgresql":
            await eventually(lambda: store.signals.hears_others)
        yield heard
    finally:
        task.cancel()
        await asyncio.wait([task])


async def published(store: Store, *signals: Signal) -> None:
    async with store.writing() as connection:
        publish(connection, *signals)


def test_a_signal_is_a_short_text_without_names() -> None:
    assert (str(CALL), str(SETTINGS)) == ("call 1 01ABC", "settings 0 ")
    assert [parsed(str(signal)) for signal in (CALL, SETTINGS)] == [CALL, SETTINGS]
    assert [parsed(text) for text in ("test abc", "unheard-of 1 x", "call x y", "")] == [None] * 4


async def test_signals_are_delivered_once_the_transaction_is_committed(store: Store) -> None:
    async with listening(store) as heard:
        with pytest.raises(ZeroDivisionError):
            async with store.writing() as connection:
                publish(connection, CALL)
                _ = 1 / 0
        async with store.writing() as connection:
            publish(connection, SETTINGS)
            publish(connection, CALL)
            assert heard.signals == []
        await published(store, *MANY)
        await eventually(lambda: heard.signals[-1:] == MANY[-1:])
        assert heard.signals == [SETTINGS, CALL, *MANY]


@pytest.fixture
async def on_postgresql(postgresql: str, tmp_path: Path) -> AsyncIterator[StoreSection]:
    """The settings of a new store on PostgreSQL."""
    name = f"test_{uuid4().hex}"
    await create_database(postgresql, name, "migrated")
    yield StoreSection(database=f"{postgresql}/{name}", objects=f"file://{tmp_path}/objects")
    await drop_database(postgresql, name)


@asynccontextmanager
async def opened(section: StoreSection) -> AsyncIterator[Store]:
    store = await Store.open(section)
    try:
        yield store
    finally:
        await store.close()


async def test_every_process_hears_them(on_postgresql: StoreSection) -> None:
    async with (
        opened(on_postgresql) as one,
        opened(on_postgresql) as other,
        opened(on_postgresql) as command,
        listening(one) as of_one,
        listening(other) as of_other,
    ):
        for writer in (one, other, command):
            await published(writer, CALL)
        await eventually(lambda: len(of_one.signals) == len(of_other.signals) == 3)


async def test_after_a_lost_connection_it_says_that_signals_may_be_missed(on_postgresql: StoreSection) -> None:
    async with opened(on_postgresql) as store, listening(store) as heard:
        assert (heard.missed, heard.unheard) == (1, 0)
        with capture_logs() as lines:
            server = await asyncpg.connect(on_postgresql.database)
            listener = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            )
            assert len(await server.fetch(listener)) == 1
            await server.close()
            await eventually(lambda: heard.missed == 2)
        assert heard.unheard == 1
        assert [line["event"] for line in lines] == ["signals.lost", "signals.heard"]
        await published(store, CALL)
        await eventually(lambda: heard.signals == [CALL])


@contextmanager
def little_patience() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres_signals, "_HEARD_WITHIN_S", 0.2)
        patch.setattr(postgres_signals, "_RETRIED_AFTER_S", 0.0)
        yield


async def test_where_nothing_is_heard_it_says_why_and_its_own_signals_still_arrive(
    on_postgresql: StoreSection, postgresql: str, pooler: str
) -> None:
    """As behind a pooler in transaction mode."""
    behind = on_postgresql.model_copy(update={"database": on_postgresql.database.replace(postgresql, pooler)})
    async with opened(behind) as store:
        heard = Heard().subscribe(store)
        with little_patience(), capture_logs() as lines:
            task = asyncio.create_task(store.signals.run())
            await eventually(lambda: heard.unheard >= 2)
        assert [line["event"] for line in lines] == ["signals.lost"]
        assert "set store.listen_database to the address of PostgreSQL itself" in lines[0]["reason"]
        await published(store, CALL)
        assert (heard.signals, heard.missed, store.signals.hears_others) == ([CALL], 0, False)
        task.cancel()
        await asyncio.wait([task])


async def test_behind_a_pooler_it_listens_to_the_server_itself(on_postgresql: StoreSection, postgresql: str, pooler: str) -> None:
    database = on_postgresql.database
    behind = on_postgresql.model_copy(update={"database": database.replace(postgresql, pooler), "listen_database": database})
    async with opened(behind) as one, opened(behind) as other, listening(one) as heard:
        await published(other, CALL)
        await eventually(lambda: heard.signals == [CALL])
        async with one.alone("work") as first, other.alone("work") as second:
            assert (first, second) == (True, False)


HOLDER = """
import asyncio, sys
from fonoteka.core.config import StoreSection
from store.database.store import Store
async def hold():
    store = await Store.open(StoreSection(database=sys.argv[1], objects=sys.argv[2]))
    async with store.alone("work") as is_alone:
        print(is_alone, flush=True)
        await asyncio.Event().wait()
asyncio.run(hold())
"""


async def test_work_is_done_by_one_process_and_another_takes_over_when_it_dies(on_postgresql: StoreSection) -> None:
    command = (sys.executable, "-c", HOLDER, on_postgresql.database, on_postgresql.objects)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"True\n"
    async with opened(on_postgresql) as store:

        async def is_alone(work: str) -> bool:
            async with store.alone(work) as alone:
                return alone

        assert (await is_alone("work"), await is_alone("other work")) == (False, True)
        process.kill()
        await process.wait()
        await eventually(lambda: is_alone("work"))


async def test_an_index_in_a_file_has_one_api_which_is_always_alone(tmp_path: Path) -> None:
    async with opened(seed.section(tmp_path)) as store, store.alone("work") as first, store.alone("work") as second:
        assert (first, second) == (True, True)
