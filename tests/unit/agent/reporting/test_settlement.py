"""What is written down of calls, and when: a recording that is to begin waits for no other call's place on the disk."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call, RecordingStage
from agent.reporting.journal import Journal
from agent.reporting.settlement import Settling
from agent.shipping.shippers import CallShipper
from fonoteka.core.call_report import CallReport
from tests.unit.agent.fixtures import DIRECTORY, at, played
from tests.unit.agent.rules.test_on_demand_rules import talk

OVER = replace(played(talk("152", "5.0 end t", "5.0 end p")), linkedid="over")
TALKING = replace(played(talk("421")), linkedid="talking")


class Disk:
    """Has nothing for good until it is let; counts what it was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.let, self.asked = threading.Event(), 0
        monkeypatch.setattr(os, "fsync", self._sync)

    def _sync(self, _descriptor: int) -> None:
        self.asked += 1
        assert self.let.wait(10)


class Told(CallShipper):
    """The calls that the store would have been told of."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def send(self, report: CallReport) -> None:
        self.calls.append(report.linkedid)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@asynccontextmanager
async def settling(folder: Path, told: Told, *calls: Call) -> AsyncIterator[Settling]:
    """Running, with these calls, of all of which there is news."""
    working = Settling(CallRegistry(calls), Journal(folder), "pbx")
    working.directory_changed(DIRECTORY)
    running = asyncio.create_task(working.run(told))
    yield working
    running.cancel()
    await asyncio.wait([running])
    await working.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


def kept(folder: Path) -> dict[str, Call]:
    return {call.linkedid: call for call in Journal(folder).read()}


async def test_what_is_begun_waits_for_no_other_calls_end(tmp_path: Path, disk: Disk) -> None:
    told = Told()
    async with settling(tmp_path, told, OVER, TALKING) as working:
        await until(lambda: disk.asked > 0)
        (tmp_path / "talking.json").unlink()
        working.keep(TALKING)
        assert kept(tmp_path) == {"talking": TALKING}
        assert told.calls == [], "the store is told of nothing that may be lost here"
        disk.let.set()
        await until(lambda: len(told.calls) == 2)
    assert kept(tmp_path) == {"talking": TALKING, "over": OVER}


async def test_many_ends_cost_the_disk_one_folder(tmp_path: Path, disk: Disk) -> None:
    told, ended = Told(), [replace(OVER, linkedid=f"{number}.0") for number in range(20)]
    disk.let.set()
    async with settling(tmp_path, told, *ended):
        await until(lambda: len(told.calls) == 20)
        assert disk.asked == 21
    assert len(kept(tmp_path)) == 20


async def test_what_comes_while_it_is_written_is_written_next_and_at_the_latest_at_the_end(tmp_path: Path, disk: Disk) -> None:
    told, board = Told(), CallRegistry([OVER, TALKING])
    working = Settling(board, Journal(tmp_path), "pbx")
    working.directory_changed(DIRECTORY)
    running = asyncio.create_task(working.run(told))
    await until(lambda: disk.asked > 0)
    board.calls["talking"] = replace(TALKING, taken_at=at(1))
    working.changed(board.calls["talking"])
    running.cancel()
    await asyncio.wait([running])
    disk.let.set()
    await working.close()
    assert kept(tmp_path) == {"talking": replace(TALKING, taken_at=at(1)), "over": OVER}


async def test_what_the_store_has_already_is_not_told_again(tmp_path: Path) -> None:
    """A recording that the mixer has taken, and the store got, changes the call's revision and no word of its report."""
    told, (known,) = Told(), OVER.recordings
    ended = replace(OVER, recordings=(replace(known, stage=RecordingStage.CLOSED),))
    board = CallRegistry([ended])
    working = Settling(board, Journal(tmp_path), "pbx")
    working.directory_changed(DIRECTORY)
    running = asyncio.create_task(working.run(told))
    await until(lambda: told.calls == ["over"])
    shipped = replace(ended, revision=ended.revision + 1, recordings=(replace(known, stage=RecordingStage.DONE),))

    board.calls["over"] = shipped
    working.changed(shipped)
    await until(lambda: told.calls == ["over", "over"])  # no receipt yet: the store may have nothing
    working.acknowledged("over", shipped.revision)
    assert not board.calls, "it is settled"

    board.calls["over"] = ended
    working.changed(ended)
    await until(lambda: len(told.calls) == 3)
    working.acknowledged("over", ended.revision)
    board.calls["over"] = shipped
    working.changed(shipped)
    await until(lambda: not board.calls)
    assert len(told.calls) == 3
    running.cancel()
    await asyncio.wait([running])
    await working.close()
    assert kept(tmp_path) == {}
