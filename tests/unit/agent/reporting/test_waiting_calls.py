"""Calls that only wait for the store are not in memory, and none of them is lost or changed."""

import asyncio
import gc
import os
import pathlib
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

import pytest
from pydantic import TypeAdapter
from structlog.testing import capture_logs

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call, RecordingStage
from agent.calls.events import Event, RecordingDone, RecordingLost
from agent.calls.merge import merged
from agent.cel.heard import HeardUntil
from agent.reporting import settlement
from agent.reporting.journal import Journal, name_of
from agent.reporting.settlement import CallSettlement
from agent.rules.directory import Directory
from agent.shipping import call_shipper
from agent.shipping.api_client import ApiClient
from agent.shipping.call_shipper import CallShipper
from agent.shipping.refused_calls import RefusedCalls
from fonoteka.core.agent_protocol import CallReceipt, CallReceipts
from fonoteka.core.call_report import CallReport, Reason
from fonoteka.core.domains import DomainSettings
from fonoteka.core.naming import segment_name
from lab.base import lateness
from tests.support.eventually import eventually
from tests.unit.agent.fixtures import ACME, DIRECTORY, at, events, play, played
from tests.unit.agent.rules.test_on_demand_rules import talk
from tests.unit.mixer.test_full_disk import fill, small_disk

TALK: Final = played(talk("152", "5.0 end t", "5.0 end p"))
MOST: Final = 50  # calls that wait in memory; the agent has more
LAST_SEEN: Final = 3  # calls that a loop's variable still holds
REPORT: Final = TypeAdapter(CallReport)


class Store:
    """Stands for the API: answers while it is there, and refuses the calls of `refused`."""

    def __init__(self) -> None:
        self.away, self.reports = True, list[CallReport]()
        self.refused: set[str] = set()
        self.away_after: int | None = None

    async def put_calls(self, contents: Sequence[bytes]) -> CallReceipts:
        while self.away or (self.away_after is not None and len(self.reports) >= self.away_after):
            await asyncio.sleep(0.02)
        reports = [REPORT.validate_json(content) for content in contents]
        self.reports += (report for report in reports if report.linkedid not in self.refused)
        return CallReceipts(receipts=tuple(map(self._receipt, reports)))

    def _receipt(self, report: CallReport) -> CallReceipt:
        refused = "never" if report.linkedid in self.refused else None
        return CallReceipt(linkedid=report.linkedid, revision=report.revision, refused=refused)

    @property
    def linkedids(self) -> list[str]:
        return [report.linkedid for report in self.reports]

    def newest(self, linkedid: str) -> CallReport:
        return max((report for report in self.reports if report.linkedid == linkedid), key=lambda report: report.revision)


class Settlement(CallSettlement):
    """Notes whether `run` has nothing to do."""

    idle = False

    async def _woken(self) -> None:
        self.idle = True
        await super()._woken()
        self.idle = False


class Agent:
    """The registry, the settlement and the shipper of an agent on a spool, as at its start."""

    def __init__(self, spool: Path, store: Store) -> None:
        self.spool = spool
        for folder in ("calls", "refused"):
            (spool / folder).mkdir(exist_ok=True)
        self.journal = Journal(spool / "calls")
        self.heard = HeardUntil(spool / "heard_until", spool / "heard")
        self.registry = CallRegistry(in_journal=self.journal.call)
        self.settling = Settlement(self.registry, self.journal, "pbx")
        self.settling.restore(self.heard.read())
        self.settling.journalled = self.heard.write
        self.shipper = CallShipper(cast(ApiClient, store), RefusedCalls(spool / "refused"), self.settling.acknowledged)
        self.settling.directory_changed(DIRECTORY)

    def put(self, calls: Iterable[Call]) -> None:
        for call in calls:
            self.registry.put(call)
            self.settling.changed(call)
            if call.ended_at is not None:
                self.settling.heard_at = max(self.settling.heard_at or call.ended_at, call.ended_at)

    async def end(self, calls: Iterable[Call]) -> None:
        """Let calls end, and wait until the agent has done with them what it can."""
        self.put(calls)
        await self.at_rest()

    async def at_rest(self) -> None:
        settling = self.settling
        await eventually(lambda: settling.idle and not settling._changed and not settling._wakeup.is_set())

    def take(self, event: Event) -> None:
        """Fold an event of a recording, as the coordinator does."""
        call = self.registry.take(event)
        if call is not None:
            self.settling.changed(call)

    def files(self) -> list[str]:
        return sorted(path.stem for path in (self.spool / "calls").glob("*.json"))


@asynccontextmanager
async def agent(spool: Path, store: Store) -> AsyncIterator[Agent]:
    started = Agent(spool, store)
    running = [asyncio.create_task(work) for work in (started.shipper.run(), started.settling.run(started.shipper))]
    try:
        yield started
    finally:
        assert not any(task.done() for task in running), running
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await started.settling.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the pauses out, and the flushes: thousands of calls, and no machine that crashes."""
    for module, name in (
        (settlement, "GATHER_S"),
        (settlement, "BETWEEN_S"),
        (settlement, "MOST_BETWEEN_S"),
        (call_shipper, "GATHER_S"),
    ):
        monkeypatch.setattr(module, name, 0.0)
    monkeypatch.setattr(settlement, "AGAIN_S", 0.02)
    monkeypatch.setattr(settlement, "MOST_WAITING", MOST)
    monkeypatch.setattr(call_shipper, "RESCAN_S", 0.05)
    monkeypatch.setattr(os, "fsync", lambda _: None)


def linkedid(number: int) -> str:
    return f"{1795947469 + number}.{number}"


def call(number: int, stage: RecordingStage = RecordingStage.CLOSED) -> Call:
    """An ended call with a recording. Each part is an object of its own, as after the fold."""
    name = linkedid(number)
    (recording,) = TALK.recordings
    return replace(
        TALK,
        linkedid=name,
        started_at=at(number),
        ended_at=at(number + 5),
        channels={uniqueid: replace(channel) for uniqueid, channel in TALK.channels.items()},
        moments=tuple(map(replace, TALK.moments)),
        recordings=(replace(recording, segment=segment_name(name, f"{name}1", 1), stage=stage),),
    )


def done(ended: Call) -> RecordingDone:
    (recording,) = ended.recordings
    return RecordingDone(at=at(9000), linkedid=ended.linkedid, segment=recording.segment)


# A thread of the tests notes each delay of the machine: more of them on a busy one. And pathlib
# interns the names of files: where many are interned already, Python's table of them doubles here,
# by 4 MB at once.
OF_THE_AGENT: Final = (
    tracemalloc.Filter(inclusive=False, filename_pattern=lateness.__file__),
    tracemalloc.Filter(inclusive=False, filename_pattern=pathlib.__file__),
)


def traced_bytes() -> int:
    """Return the memory that is in use and was taken since the tracing began."""
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(OF_THE_AGENT).traces)


def calls_in_memory() -> int:
    gc.collect()
    return sum(isinstance(found, Call) for found in gc.get_objects())


async def test_the_memory_does_not_grow_with_the_calls_that_wait(tmp_path: Path) -> None:
    store, figures = Store(), dict[int, tuple[int, int]]()
    async with agent(tmp_path, store) as pbx:
        before = calls_in_memory()
        tracemalloc.start(1)
        for first in range(0, 3000, 250):
            await pbx.end(call(number) for number in range(first, first + 250))
            if first + 250 in (500, 3000):
                figures[first + 250] = calls_in_memory() - before, traced_bytes()
        tracemalloc.stop()
        (few, few_bytes), (many, many_bytes) = figures[500], figures[3000]
        assert len(pbx.files()) == 3000, "all are in the journal"
        assert MOST <= few <= many <= MOST + LAST_SEEN
        assert many_bytes - few_bytes < 500_000, "of 2,500 calls, which are 8 MB"

        store.away = False
        await eventually(lambda: len(store.reports) >= 3000)
        await pbx.at_rest()
        assert store.linkedids == [linkedid(number) for number in range(3000)], "once each, in order"
        # Nor with the recordings that wait: MOST were there, and the last reports are of MOST more.
        await eventually(lambda: calls_in_memory() - before <= 2 * MOST + LAST_SEEN)


async def test_recordings_arrive_before_and_after_the_reports(tmp_path: Path) -> None:
    store, calls = Store(), [call(number) for number in range(3 * MOST)]
    async with agent(tmp_path, store) as pbx:
        await pbx.end(calls)
        for ended in calls[::2]:
            pbx.take(done(ended))
        await pbx.at_rest()
        assert len(pbx.registry.calls) == MOST
        store.away = False
        await eventually(lambda: len(set(store.linkedids)) == len(calls))
        for ended in calls[1::2]:
            pbx.take(done(ended))
        await eventually(lambda: not pbx.registry.calls and not pbx.files())
        assert max(Counter(store.linkedids).values()) <= 2, "at most again after its recording"


async def test_all_arrive_once_although_the_agent_restarts_twice_in_the_middle(tmp_path: Path) -> None:
    store, calls = Store(), [call(number, RecordingStage.DONE) for number in range(600)]
    async with agent(tmp_path, store) as pbx:
        await pbx.end(calls[:400])
    async with agent(tmp_path, store) as pbx:
        assert not pbx.registry.calls, "none is read into memory at the start"
        await pbx.at_rest()
        await pbx.end(calls[400:])
        assert len(pbx.registry.calls) == MOST
        store.away, store.away_after = False, 200
        await eventually(lambda: len(store.reports) >= 200)  # a batch may go beyond
        await pbx.at_rest()
    store.away_after = None
    async with agent(tmp_path, store) as pbx:
        await eventually(lambda: len(store.reports) == 600)
        await eventually(lambda: not pbx.files())
    assert store.linkedids == [ended.linkedid for ended in calls], "once each, in order"


async def test_a_late_change_of_a_call_that_is_not_in_memory_arrives(tmp_path: Path) -> None:
    store, calls = Store(), [call(number) for number in range(2 * MOST)]
    failed = calls[-1]
    (recording,) = failed.recordings
    async with agent(tmp_path, store) as pbx:
        await pbx.end(calls)
        assert failed.linkedid not in pbx.registry.calls
        pbx.take(RecordingLost(at=at(9000), linkedid="", segment=recording.segment, reason=Reason.AUDIO_DAMAGED))
        assert failed.linkedid in pbx.registry.calls, "found by the name of the recording"
        await pbx.at_rest()
        assert failed.linkedid not in pbx.registry.calls
        store.away = False
        await eventually(lambda: failed.linkedid in store.linkedids)
    report = store.newest(failed.linkedid)
    assert report.revision > failed.revision
    assert [segment.reason for segment in report.segments] == [Reason.AUDIO_DAMAGED]


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_recording_of_a_merged_call_that_is_not_in_memory_is_found(tmp_path: Path, restarted: bool) -> None:
    """It is named for the call that became a part of another."""
    channels = {f"y{uniqueid}": replace(channel, uniqueid=f"y{uniqueid}") for uniqueid, channel in TALK.channels.items()}
    older, younger = call(5000), replace(call(5001), channels=channels, dials=(), moments=())
    whole, part = merged(older, younger)
    whole = replace(whole, ended_at=at(5006))
    store, others = Store(), [call(number) for number in range(MOST)]
    async with agent(tmp_path, store) as pbx:
        await pbx.end([*others, whole, part])
        if not restarted:
            assert_found(pbx, whole, younger)
    if restarted:
        async with agent(tmp_path, store) as pbx:
            await pbx.at_rest()
            (tmp_path / "calls" / f"{name_of(part.linkedid)}.json").unlink()  # the store has the part
            assert_found(pbx, whole, younger)


def assert_found(pbx: Agent, whole: Call, younger: Call) -> None:
    assert whole.linkedid not in pbx.registry.calls
    (recording,) = younger.recordings
    changed = pbx.registry.take(done(younger))
    assert changed is not None and changed.linkedid == whole.linkedid
    assert [each.stage for each in changed.recordings if each.segment == recording.segment] == [RecordingStage.DONE]


async def test_a_changed_directory_reports_the_calls_that_are_not_in_memory_too(tmp_path: Path) -> None:
    store, calls = Store(), [call(number) for number in range(3 * MOST)]
    store.away = False
    async with agent(tmp_path, store) as pbx:
        pbx.settling.directory_changed(Directory(settings=DomainSettings(version=2)))
        await pbx.end(calls)
        assert store.reports == [], "the calls belong to no domain"
        assert len(pbx.registry.calls) == MOST
        pbx.settling.directory_changed(Directory(settings=DomainSettings(version=3, domains=(ACME,))))
        await eventually(lambda: len(set(store.linkedids)) == len(calls))


async def test_a_call_that_ended_after_the_begin_of_the_gap_is_in_memory_at_the_start(tmp_path: Path) -> None:
    """Else the gap would be filled with the same call again, without its recording."""
    async with agent(tmp_path, Store()) as pbx:
        await pbx.end([call(0), call(1)])
    assert pbx.heard.read() == at(6)
    pbx.heard.write(at(5.5))
    restarted = Agent(tmp_path, Store())
    assert list(restarted.registry.calls) == [linkedid(1)]
    assert restarted.registry.knows(linkedid(0)), "and the other one is known"
    assert not restarted.registry.knows(linkedid(2))
    await restarted.settling.close()


async def test_an_event_for_a_call_that_is_not_in_memory_changes_it_or_nothing(tmp_path: Path) -> None:
    (ended,) = play(events("0.0 start t PJSIP/trunk-1 2458152 8913\n1.0 end t")).calls.values()
    again, new = events("0.0 start t PJSIP/trunk-1 2458152 8913\n2.0 start q PJSIP/acme-152-1 s")
    async with agent(tmp_path, Store()) as pbx:
        await pbx.end([ended])
        pbx.registry.leave(ended)
        before, after = pbx.registry.fold(again)
        assert before is after and before == ended and not pbx.registry.calls
        pbx.take(new)
        assert pbx.registry.calls[ended.linkedid].channels.keys() == {"t", "q"}


@pytest.mark.parametrize("ended", [True, False])
async def test_heard_until_stays_while_a_call_is_not_in_the_journal(tmp_path: Path, ended: bool) -> None:
    """Else a restart would not look for the call in the journal of Asterisk."""
    async with agent(tmp_path, Store()) as pbx:
        await pbx.end([call(0)])
        assert pbx.heard.read() == at(5)
        obstacle = tmp_path / "calls" / f"{name_of(linkedid(1))}.json"
        obstacle.mkdir()
        with capture_logs() as logs:
            pbx.put([replace(call(1), ended_at=at(6) if ended else None)])
            await eventually(lambda: len(logs) > 1)  # tried again
            assert {(line["event"], line["linkedid"]) for line in logs} == {("journal.write_failed", linkedid(1))}
            await pbx.end([call(2)])
            assert name_of(linkedid(2)) in pbx.files()
            assert pbx.heard.read() == at(5)
            obstacle.rmdir()
            await eventually(lambda: pbx.heard.read() == at(7))
        assert [each.linkedid for each in pbx.journal.read()] == [linkedid(0), linkedid(1), linkedid(2)]


async def test_a_call_that_was_not_kept_in_progress_is_written_again(tmp_path: Path) -> None:
    talking = replace(call(0), ended_at=None)
    async with agent(tmp_path, Store()) as pbx:
        await pbx.end([talking])
        path = tmp_path / "calls" / f"{name_of(talking.linkedid)}.json"
        path.unlink()
        path.mkdir()
        with capture_logs():
            pbx.settling.keep(talking)
        path.rmdir()
        await eventually(path.is_file)


async def test_a_refused_call_is_set_aside_as_soon_as_the_disk_has_room(tmp_path: Path) -> None:
    """The others go on meanwhile."""
    store, calls = Store(), [call(number, RecordingStage.DONE) for number in range(4)]
    store.away, store.refused = False, {linkedid(0)}
    with small_disk(tmp_path / "disk", "1m") as disk, capture_logs() as logs:
        async with agent(disk, store) as pbx:
            filler = fill(disk)
            pbx.put(calls)
            await eventually(lambda: sum(line["event"] == "call.not_set_aside" for line in logs) > 1)
            assert store.linkedids == [linkedid(1), linkedid(2), linkedid(3)]
            assert list(pbx.registry.calls) == [linkedid(0)]
            filler.unlink()
            await eventually(lambda: not pbx.registry.calls and not pbx.files())
        assert [path.name for path in (disk / "refused").iterdir()] == [f"{name_of(linkedid(0))}.json"]
