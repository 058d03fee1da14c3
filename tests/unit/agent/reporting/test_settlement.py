"""Calls are written to the journal in time; no recording waits for the flush of another call."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

import pytest

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call, RecordingStage
from agent.reporting.journal import Journal
from agent.reporting.settlement import CallSettlement, interval_s
from agent.shipping.api_client import ApiClient
from agent.shipping.call_shipper import CallShipper
from agent.shipping.refused_calls import RefusedCalls, report_key
from fonoteka.core.call_report import CallReport
from tests.unit.agent.fixtures import DIRECTORY, at, events, play, played
from tests.unit.agent.rules.test_companies import TABLES, THREE
from tests.unit.agent.rules.test_on_demand_rules import talk

LIMIT_S: Final = 30.0  # long, so that a stalled machine fails no test
OVER = replace(played(talk("152", "5.0 end t", "5.0 end p")), linkedid="over")
TALKING = replace(played(talk("421")), linkedid="talking")


class SlowDisk:
    """Blocks every fsync until it is released, and counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.released, self.syncs = threading.Event(), 0
        monkeypatch.setattr(os, "fsync", self._sync)

    def _sync(self, _descriptor: int) -> None:
        self.syncs += 1
        assert self.released.wait(LIMIT_S)


class Shipped(CallShipper):
    """Collects the calls instead of shipping them."""

    def __init__(self) -> None:
        super().__init__(cast(ApiClient, None), cast(RefusedCalls, None), lambda *_: None)
        self.calls: list[str] = []

    def send(self, report: CallReport) -> None:
        self.calls.append(report.linkedid)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    return SlowDisk(monkeypatch)


@asynccontextmanager
async def settlement(folder: Path, shipper: Shipped, board: CallRegistry) -> AsyncIterator[CallSettlement]:
    """Run a settlement with the calls of a board, all of them changed."""
    settling = CallSettlement(board, Journal(folder), "pbx")
    settling.directory_changed(DIRECTORY)
    running = asyncio.create_task(settling.run(shipper))
    yield settling
    running.cancel()
    await asyncio.wait([running])
    await settling.close()


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0.005)


def in_journal(folder: Path) -> dict[str, Call]:
    return {call.linkedid: call for call in Journal(folder).read()}


async def test_keeping_a_call_does_not_wait_for_the_flush_of_another(tmp_path: Path, disk: SlowDisk) -> None:
    shipper = Shipped()
    async with settlement(tmp_path, shipper, CallRegistry([OVER, TALKING])) as settling:
        await eventually(lambda: disk.syncs > 0)
        (tmp_path / "talking.json").unlink()
        settling.keep(TALKING)
        assert in_journal(tmp_path) == {"talking": TALKING}
        assert shipper.calls == [], "nothing is shipper that the journal may lose"
        disk.released.set()
        await eventually(lambda: len(shipper.calls) == 2)
    assert in_journal(tmp_path) == {"talking": TALKING, "over": OVER}


async def test_a_call_is_written_before_its_parts(tmp_path: Path, disk: SlowDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a part alone in the journal, a restarted agent would take the call for a known one."""
    written: list[str] = []
    write = Journal.write

    def noted(journal: Journal, call: Call, *, sync: bool = False) -> bool:
        written.append(call.linkedid)
        return write(journal, call, sync=sync)

    monkeypatch.setattr(Journal, "write", noted)
    disk.released.set()
    parts = [replace(OVER, linkedid=f"part {number}", merged_into=f"whole {number}", recordings=()) for number in range(20)]
    wholes = [replace(OVER, linkedid=part.merged_into) for part in parts]
    shipper = Shipped()
    async with settlement(tmp_path, shipper, CallRegistry([*parts, *wholes])):
        await eventually(lambda: len(shipper.calls) == 40)
    assert {linkedid.partition(" ")[0] for linkedid in written[:20]} == {"whole"}


async def test_many_ended_calls_flush_the_folder_once(tmp_path: Path, disk: SlowDisk) -> None:
    shipper, ended = Shipped(), [replace(OVER, linkedid=f"{number}.0") for number in range(20)]
    disk.released.set()
    async with settlement(tmp_path, shipper, CallRegistry(ended)):
        await eventually(lambda: len(shipper.calls) == 20)
        assert disk.syncs == 21
    assert len(in_journal(tmp_path)) == 20


async def test_a_change_during_a_write_is_written_next_or_at_close(tmp_path: Path, disk: SlowDisk) -> None:
    shipper, board = Shipped(), CallRegistry([OVER, TALKING])
    settling = CallSettlement(board, Journal(tmp_path), "pbx")
    settling.directory_changed(DIRECTORY)
    running = asyncio.create_task(settling.run(shipper))
    await eventually(lambda: disk.syncs > 0)
    board.calls["talking"] = replace(TALKING, taken_at=at(1))
    settling.changed(board.calls["talking"])
    running.cancel()
    await asyncio.wait([running])
    disk.released.set()
    await settling.close()
    assert in_journal(tmp_path) == {"talking": replace(TALKING, taken_at=at(1)), "over": OVER}


async def test_a_report_that_the_store_has_is_not_shipped_again(tmp_path: Path) -> None:
    """A recording that is shipper changes the revision of the call, but not its report."""
    shipper, (recording,) = Shipped(), OVER.recordings
    ended = replace(OVER, recordings=(replace(recording, stage=RecordingStage.CLOSED),))
    stored = replace(ended, revision=ended.revision + 1, recordings=(replace(recording, stage=RecordingStage.DONE),))
    board = CallRegistry([ended])
    async with settlement(tmp_path, shipper, board) as settling:
        await eventually(lambda: shipper.calls == ["over"])
        board.calls["over"] = stored
        settling.changed(stored)
        await eventually(lambda: shipper.calls == ["over", "over"])  # no receipt yet: the store may have nothing
        settling.acknowledged("over", stored.revision)
        assert not board.calls, "the call is settled"

        board.calls["over"] = ended
        settling.changed(ended)
        await eventually(lambda: len(shipper.calls) == 3)
        settling.acknowledged("over", ended.revision)
        board.calls["over"] = stored
        settling.changed(stored)
        await eventually(lambda: not board.calls)
        assert len(shipper.calls) == 3
    assert in_journal(tmp_path) == {}


async def test_a_call_of_two_companies_is_kept_until_the_store_has_both_reports(tmp_path: Path, disk: SlowDisk) -> None:
    disk.released.set()
    table, _, _ = TABLES["a call that is answered"]
    (call,) = play(events(table), THREE).calls.values()
    over = replace(call, recordings=tuple(replace(recording, stage=RecordingStage.DONE) for recording in call.recordings))
    board, shipper = CallRegistry([over]), Shipped()
    async with settlement(tmp_path, shipper, board) as settling:
        settling.directory_changed(THREE)
        await eventually(lambda: len(shipper.calls) >= 2)
        ours, theirs = settling.reports(over)
        assert [(each.domain, each.further) for each in (ours, theirs)] == [("acme", False), ("initech", True)]
        assert settling.report(over, "initech") == theirs and settling.report(over, "globex") is None
        settling.acknowledged(report_key(ours), over.revision)
        assert "1" in board.calls
        settling.acknowledged(report_key(theirs), over.revision)
        assert "1" not in board.calls


@pytest.mark.parametrize(("changed", "expected_s"), [(0, 0.4), (8, 0.4), (20, 1.0), (30, 1.5), (5000, 1.5)])
def test_a_busy_pbx_reports_its_changes_together(changed: int, expected_s: float) -> None:
    assert interval_s(changed) == pytest.approx(expected_s)
