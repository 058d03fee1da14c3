"""An index moves from SQLite to PostgreSQL: each row arrives once, while calls come in."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert, select, text, update

from api.readiness import readiness_of
from fonoteka.cli.migrate import migrated
from fonoteka.core.config import Configuration, StoreSection
from fonoteka.core.errors import ConfigurationError, StoreError
from store.database.schema import calls, commands
from store.database.store import Store
from store.database.tables import metadata
from store.intake.intake import upsert_calls
from store.integrity.verification import verified
from store.people.accounts import Pbx, pbx_of
from store.transfer import index
from store.transfer.index import Progress
from store.transfer.table import BATCH, difference
from tests.data import seed
from tests.support.new_stores import create_database, drop_database

BEGIN = datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.fixture
async def section(seeded: Path, tmp_path: Path) -> StoreSection:
    """The settings of a new SQLite store."""
    shutil.copytree(seeded, tmp_path, dirs_exist_ok=True)
    return seed.section(tmp_path)


@pytest.fixture
async def target(section: StoreSection, postgresql: str) -> AsyncIterator[StoreSection]:
    """The settings of the same store on a new, empty database of PostgreSQL."""
    name = f"moved_{uuid4().hex}"
    await create_database(postgresql, name)
    yield section.model_copy(update={"database": f"{postgresql}/{name}"})
    await drop_database(postgresql, name)


def nobody(_: Progress) -> None:
    """Take no notice."""


async def take(store: Store, pbx: Pbx, *numbers: int) -> None:
    """Store calls, the even ones with a recording."""
    for number in numbers:
        call = seed.a_call(number, BEGIN + timedelta(minutes=number))
        if number % 2:
            await upsert_calls(store, pbx, [seed.unanswered(call)])
        else:
            await seed.ship(store, pbx, call, (1000,))


def command(pbx: Pbx) -> dict[str, object]:
    """Return the row of a command."""
    return {"pbx_id": pbx.id, "linkedid": "1", "action": "stop", "asked_at": BEGIN}


async def content(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of all tables, JSON and times as Python has them."""
    async with store.reading() as connection:
        return {
            table.name: sorted((tuple(row) for row in await connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }


async def copied(source: Store, target: StoreSection) -> None:
    arriving = await Store.open(target, moves=True)
    try:
        await index.copy(source, arriving, nobody)
    finally:
        await arriving.close()


async def finished(source: Store, target: StoreSection) -> list[Progress]:
    seen: list[Progress] = []
    arriving = await Store.open(target, moves=True)
    try:
        await index.finish(source, arriving, seen.append)
    finally:
        await arriving.close()
    return seen


async def test_every_row_arrives_once_and_nothing_is_written_here_any_more(
    store: Store, pbx: Pbx, section: StoreSection, target: StoreSection
) -> None:
    await take(store, pbx, *range(6))
    async with store.writing() as connection:
        await connection.execute(insert(commands), [command(pbx)] * 2)
    await copied(store, target)
    await take(store, pbx, *range(6, 10))  # calls come in between
    async with store.writing() as connection:
        await connection.execute(update(calls).where(calls.c.id == 1).values(src_name="other\0name"))
        await connection.execute(delete(commands).where(commands.c.id == 1))
    before = await content(store)
    seen = await finished(store, target)
    compared = {progress.table: progress for progress in seen if progress.sha256}
    assert set(compared) == {table.name for table in metadata.sorted_tables}
    assert compared["calls"].total == 10 and compared["calls"].written == 5
    assert compared["commands"].total == compared["commands"].removed == 1

    with pytest.raises(StoreError, match="was moved to another database"):
        await take(store, pbx, 20)
    assert await content(store) == before  # it can still be read
    assert "store.database: the index was moved" in " ".join(await readiness_of(store).problems())
    with pytest.raises(ConfigurationError, match="was moved to postgresql://postgres@127"):
        await Store.open(section)
    moved = await Store.open(target)
    try:
        for name, rows in before.items():
            found = (await content(moved))[name]
            assert repr(found).replace("\N{REPLACEMENT CHARACTER}", "\\x00") == repr(rows), name
        assert (await verified(moved)).found == ()
        there = await pbx_of(moved, seed.PBX_TOKEN)
        assert there == pbx
        await take(moved, there, *range(8, 14))  # ids go on, and reports that come again change nothing
        assert len((await content(moved))["calls"]) == 10 + 4
    finally:
        await moved.close()


async def test_calls_that_come_in_during_the_move_are_refused_or_arrive(store: Store, pbx: Pbx, target: StoreSection) -> None:
    taken: list[int] = []

    async def agent() -> None:
        with pytest.raises(StoreError, match="was moved"):
            for number in range(100_000):
                await take(store, pbx, number)
                taken.append(number)

    shipping = asyncio.create_task(agent())
    for _ in range(2):
        await copied(store, target)
    await finished(store, target)
    await shipping
    assert len(taken) > 1
    moved = await Store.open(target)
    try:
        arrived = (await content(moved))["calls"]
        assert len(arrived) == len({row[1] for row in arrived}) >= len(taken)
        assert (await verified(moved)).found == ()
    finally:
        await moved.close()


async def test_ids_of_commands_are_never_given_again(store: Store, pbx: Pbx, target: StoreSection) -> None:
    async with store.writing() as connection:
        await connection.execute(insert(commands), [command(pbx)] * 5)
        await connection.execute(delete(commands))
    await finished(store, target)
    moved = await Store.open(target)
    try:
        async with moved.writing() as connection:
            new = await connection.execute(insert(commands).returning(commands.c.id), command(pbx))
            assert new.scalar_one() == 6
    finally:
        await moved.close()


async def test_an_interrupted_move_is_repeated_and_the_target_is_closed_until_its_end(
    store: Store, pbx: Pbx, target: StoreSection
) -> None:
    await take(store, pbx, *range(4))

    def fail(progress: Progress) -> None:
        if progress.table == "calls":
            raise KeyboardInterrupt

    arriving = await Store.open(target, moves=True)
    for step in (index.copy, index.finish):
        with pytest.raises(KeyboardInterrupt):
            await step(store, arriving, fail)
    await arriving.close()
    with pytest.raises(ConfigurationError, match="has not ended"):
        await Store.open(target)
    await take(store, pbx, 4)  # the index here is still open
    await finished(store, target)
    with pytest.raises(ConfigurationError, match=r"moved to .* already"):
        await finished(store, target)


async def test_another_installation_is_not_overwritten(store: Store, pbx: Pbx, target: StoreSection) -> None:
    other = await Store.open(target)
    try:
        await seed.seed(other, count=0)
        before = await content(other)
        for step in (index.copy, index.finish):
            with pytest.raises(ConfigurationError, match="an installation already"):
                await step(store, other, nobody)
            with pytest.raises(ConfigurationError, match=r"from SQLite .* to PostgreSQL"):
                await step(other, store, nobody)
        assert await content(other) == before
    finally:
        await other.close()
    await take(store, pbx, 1)


async def test_rows_that_do_not_arrive_end_the_move(
    store: Store, pbx: Pbx, target: StoreSection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison does not trust the copy."""
    await take(store, pbx, 2)

    async def forgets(*_: object) -> None:
        return

    monkeypatch.setattr("store.transfer.table.apply", forgets)
    with pytest.raises(StoreError, match="0 rows arrived"):
        await finished(store, target)
    await take(store, pbx, 3)  # the index here is still open


def test_what_differs() -> None:
    found = difference({(1,): (1, "a"), (2,): (2, "b"), (3,): (3, "c")}, {(1,): (1, "a"), (2,): (2, "x"), (9,): (9, "z")})
    assert found.missing == ((3, "c"),) and found.changed == ((2, "b"),)
    assert BATCH * 5 < 32_767  # parameters of a statement


async def test_json_and_null_stay_what_they_are(store: Store, pbx: Pbx, target: StoreSection) -> None:
    await take(store, pbx, 2, 4)
    kept = "SELECT id, muted IS NULL, CAST(muted AS TEXT), CAST(speech AS TEXT) FROM segments ORDER BY id"
    async with store.writing() as connection:
        await connection.execute(text("UPDATE segments SET muted = NULL WHERE id = 1"))
        await connection.execute(text("""UPDATE segments SET muted = '[[0,  1]]' WHERE id = 2"""))
        ours = [tuple(row) for row in await connection.execute(text(kept))]
    await finished(store, target)
    moved = await Store.open(target)
    try:
        async with moved.reading() as connection:
            assert [tuple(row) for row in await connection.execute(text(kept))] == ours
    finally:
        await moved.close()


async def test_the_command_prints_each_table_and_what_to_do_next(
    section: StoreSection, target: StoreSection, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = Configuration(store=section)
    await migrated(configuration, target.database, finish=False)
    assert "domains: 2 rows, 2 of them written\n" in (text := capsys.readouterr().out)
    assert text.endswith("the same command with --finish\n")
    await migrated(configuration, target.database, finish=True)
    lines = capsys.readouterr().out.splitlines()
    assert any(re.fullmatch(r"domains: 2 rows, 0 of them written; the same in both, SHA-256 [0-9a-f]{64}", line) for line in lines)
    assert lines[-1].startswith("the index is moved: set store.database to postgresql://postgres@127.0.0.1:")
