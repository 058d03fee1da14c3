"""The catching up after a gap: what is kept, what waits, what is logged, what is started."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import RecordingStage
from agent.calls.events import BridgeEntered, ChannelStarted
from agent.cel import events, gap
from agent.cel.gap import GapFolder
from agent.cel.heard import HeardUntil
from agent.cel.journal import CelJournal
from agent.recording.coordinator import RecordingCoordinator
from agent.recording.effects import StartRecording
from agent.reporting.settlement import CallSettlement
from agent.rules.directory import Directory
from fonoteka.core.call_report import Reason
from fonoteka.core.domains import DomainSettings
from tests.unit.agent.calls.test_recorded_streams import STREAMS
from tests.unit.agent.cel.test_same_row import EVER, FoldOnly, rows_of, stream
from tests.unit.agent.fixtures import DIRECTORY, play, report_of
from tests.unit.mixer.test_full_disk import fill, small_disk

CALL = "in_answered"
SECOND = timedelta(seconds=1)
BEGIN, END = rows_of(CALL)[0].at, rows_of(CALL)[-1].at


class Bench:
    """A folder of gaps with one journal, which holds one answered call."""

    def __init__(self, folder: Path) -> None:
        self.journal = CelJournal(path=folder / "fonoteka.csv")
        self.journal.path.write_bytes((STREAMS / f"{CALL}.csv").read_bytes())
        self.pending = folder / "gaps.json"
        self.registry = CallRegistry()
        self.acting = FoldOnly(self.registry)

    def gaps(self, journal: CelJournal | None = None) -> GapFolder:
        """Make a new one, as a new agent does."""
        acting = cast(RecordingCoordinator, self.acting), cast(CallSettlement, self.acting)
        return GapFolder(journal, self.pending, self.registry, *acting)

    async def after(self, since: datetime | None, until: datetime = EVER[1], listed: Any = ()) -> None:
        gaps = self.gaps(self.journal)
        await gaps.go_on(since, until, listed)
        await gaps.fold_missed()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(gap, "WRITTEN_WITHIN_S", 0)
    monkeypatch.setattr(gap, "PAUSE_S", 0)
    yield Bench(tmp_path)


async def test_a_call_of_the_gap_is_there_and_the_gap_is_done(bench: Bench) -> None:
    with capture_logs() as lines:
        await bench.after(BEGIN - SECOND)
    (call,) = bench.registry.calls.values()
    assert (report_of(call).result, report_of(call).reason) == ("answered", Reason.AGENT_WAS_DOWN)
    assert [(line["event"], line["calls"], line["damaged_lines"]) for line in lines] == [("journal.folded", 1, 0)]
    assert bench.pending.read_text() == "[]"


async def test_a_call_that_ended_before_the_gap_is_not_doubled(bench: Bench) -> None:
    await bench.after(END)
    assert not bench.registry.calls


async def test_an_agent_that_is_new_on_the_pbx_takes_no_history(bench: Bench) -> None:
    await bench.after(None)
    assert not bench.registry.calls


async def test_a_call_that_began_after_the_login_is_left_to_its_events(bench: Bench) -> None:
    await bench.after(BEGIN - 2 * SECOND, BEGIN - SECOND)
    assert not bench.registry.calls


async def test_an_agent_that_dies_while_it_folds_leaves_the_gap_to_the_next(bench: Bench) -> None:
    await bench.gaps(bench.journal).go_on(BEGIN - SECOND, EVER[1], [])
    assert not bench.registry.calls
    await bench.gaps(bench.journal).fold_missed()
    assert len(bench.registry.calls) == 1
    once = dict(bench.registry.calls)
    await bench.after(BEGIN - SECOND)
    assert bench.registry.calls == once, "folded twice, it is the same call"


async def test_a_gap_waits_for_the_settings(bench: Bench) -> None:
    bench.acting.directory = Directory(settings=DomainSettings(version=0))
    gaps = bench.gaps(bench.journal)
    await gaps.go_on(BEGIN - SECOND, EVER[1], [])
    await gaps.fold_missed()
    assert not bench.registry.calls
    bench.acting.directory = DIRECTORY
    await gaps.fold_missed()
    assert len(bench.registry.calls) == 1


async def test_a_journal_that_cannot_be_read_is_logged_and_the_gap_waits(bench: Bench) -> None:
    bench.journal.path.unlink()
    with capture_logs() as lines:
        await bench.after(BEGIN - SECOND)
    assert {line["event"] for line in lines} == {"journal.not_read"}
    assert "since" in bench.pending.read_text()


@pytest.mark.parametrize(("since", "events"), [(BEGIN, ["journal.not_configured"]), (None, [])], ids=["a gap", "a new agent"])
async def test_without_a_journal_one_line_says_what_is_missing(bench: Bench, since: datetime | None, events: list[str]) -> None:
    with capture_logs() as lines:
        await bench.gaps().go_on(since, EVER[1], [])
    assert [line["event"] for line in lines] == events
    assert all("pbx.cel_journal" in line["hint"] for line in lines)


def listed_at(until: datetime) -> list[ChannelStarted | BridgeEntered]:
    """Return the channels of the call as Asterisk lists them: where the caller stands now."""
    started = [event for event in stream(CALL) if isinstance(event, ChannelStarted) and event.at < until]
    return [replace(event, exten="152", at=event.at + SECOND) for event in started]


@pytest.mark.parametrize("new", [False, True], ids=["restarted", "new on this PBX"])
async def test_a_call_found_ringing_is_recorded_whole(bench: Bench, new: bool) -> None:
    until = BEGIN + timedelta(seconds=0.5)
    await bench.after(None if new else BEGIN - SECOND, until, listed_at(until))
    (call,) = bench.registry.calls.values()
    assert (call.origin and call.origin.exten, call.started_at) == ("2458152", BEGIN)
    assert [(each.stage, each.started_at) for each in call.recordings] == [(RecordingStage.RUNNING, None)]
    assert [each.segment for each in bench.acting.effects if isinstance(each, StartRecording)] == [call.recordings[0].segment]


async def test_a_talk_is_recorded_if_the_settings_come_while_its_past_is_folded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_steps, unknown = gap._in_steps, Directory(settings=DomainSettings(version=0))
    to_come = iter([unknown, DIRECTORY])  # after the rows were searched for ids, and after they were folded

    async def then_settings(items: Iterator[Any]) -> AsyncIterator[list[Any]]:
        async for step in in_steps(items):
            yield step
        bench.acting.directory = next(to_come, DIRECTORY)

    monkeypatch.setattr(gap, "_in_steps", then_settings)
    bench.acting.directory = unknown
    until = END - SECOND
    await bench.gaps(bench.journal).go_on(BEGIN - SECOND, until, listed_at(until))
    assert [type(effect) for effect in bench.acting.effects].count(StartRecording) == 1


async def test_a_talk_found_in_progress_is_recorded_from_then_on(bench: Bench) -> None:
    until = END - SECOND
    await bench.after(BEGIN - SECOND, until, listed_at(until))
    (call,) = bench.registry.calls.values()
    lost, running = call.recordings
    assert (lost.stage, lost.reason) == (RecordingStage.LOST, Reason.AGENT_WAS_DOWN)
    assert (running.stage, running.started_at) == (RecordingStage.RUNNING, until)
    assert [each.segment for each in bench.acting.effects if isinstance(each, StartRecording)] == [running.segment]
    assert [each.name for each in report_of(call).segments] == [lost.segment, running.segment]


@pytest.mark.parametrize("ended", [False, True], ids=["in progress", "ended"])
async def test_an_error_in_a_call_ends_neither_the_agent_nor_the_gap(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("channel")

    monkeypatch.setattr(bench.acting, "adopt", fail)
    until = EVER[1] if ended else END - SECOND
    with capture_logs() as lines:
        await bench.after(BEGIN - SECOND, until, [] if ended else listed_at(until))
    assert [line["event"] for line in lines] == ["journal.call_failed", "journal.folded"]
    assert len(bench.registry.calls) == 1
    assert bench.pending.read_text() == "[]"


async def test_an_error_in_a_row_does_not_stop_the_rows_after_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("channel")

    monkeypatch.setitem(cast(dict[str, Any], events._STEPS), "APP_START", fail)
    with capture_logs() as lines:
        await bench.after(BEGIN - SECOND)
    assert {line["event"] for line in lines} == {"journal.row_failed", "journal.folded"}
    assert len(bench.registry.calls) == 1


async def test_a_channel_that_has_just_ended_gets_no_recorder(bench: Bench) -> None:
    """Its end comes with the next event, or with the comparison."""
    await bench.after(BEGIN - SECOND, END - SECOND, listed_at(END)[:1])
    (call,) = bench.registry.calls.values()
    assert [(each.stage, each.reason) for each in call.recordings] == [(RecordingStage.LOST, Reason.AGENT_WAS_DOWN)]
    assert not [each for each in bench.acting.effects if isinstance(each, StartRecording)]


async def test_a_journal_without_the_begin_of_a_call_changes_nothing(bench: Bench) -> None:
    """It was enabled, or its old file removed, while the call went on."""
    heard = [event for event in stream(CALL) if event.at < END - SECOND]
    bench.registry = play(heard)
    bench.acting = FoldOnly(bench.registry)
    before = dict(bench.registry.calls)
    rows = bench.journal.path.read_bytes().splitlines(keepends=True)
    bench.journal.path.write_bytes(b"".join(rows[2:]))
    await bench.after(heard[-1].at)
    assert bench.registry.calls == before


async def test_a_call_that_cannot_be_folded_does_not_stop_the_agent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    until = END - SECOND
    monkeypatch.setattr(gap, "with_past", fail)
    bench.registry = play([event for event in stream(CALL) if event.at < until])
    bench.acting = FoldOnly(bench.registry)
    with capture_logs() as lines:
        await bench.after(BEGIN - SECOND, until)
    assert [line["event"] for line in lines] == ["journal.call_failed", "journal.folded"]


async def test_calls_wait_while_the_store_has_not_taken_those_before(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap, "MOST_UNSETTLED", 3)
    monkeypatch.setattr(gap, "AT_A_TIME", 1)
    rows = bench.journal.path.read_text(encoding="utf-8")
    caller, callee = dict.fromkeys(row.uniqueid for row in rows_of(CALL))
    calls = [rows.replace(f'"{caller}"', f'"{number}.0"').replace(f'"{callee}"', f'"{number}.1"') for number in range(20)]
    bench.journal.path.write_text("".join(calls), encoding="utf-8")
    folding = asyncio.create_task(bench.after(BEGIN - SECOND))
    taken: set[str] = set()
    most = 0
    while not folding.done():
        await asyncio.sleep(0)  # the loop is free while the journal is read
        most = max(most, len(bench.registry.calls))
        if len(bench.registry.calls) > 3:
            taken |= set(bench.registry.calls)
            for linkedid in list(bench.registry.calls):
                bench.registry.forget(linkedid)
    await folding
    assert len(taken | set(bench.registry.calls)) == 20
    assert most == 4


def test_the_time_until_which_all_was_heard(tmp_path: Path) -> None:
    link_file = tmp_path / "heard"
    heard = HeardUntil(tmp_path / "heard_until", link_file)
    assert heard.read() is None
    link_file.touch()
    assert heard.read() is not None, "as an older agent left it"
    heard.write(BEGIN)
    assert heard.read() == BEGIN
    (tmp_path / "heard_until").write_text("2026-", encoding="ascii")
    assert heard.read() != BEGIN


def test_a_full_disk_leaves_the_older_time(tmp_path: Path) -> None:
    """A later one would lose the calls whose files the full disk did not take."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        link_file = disk / "heard"
        heard = HeardUntil(disk / "heard_until", link_file)
        link_file.touch()
        heard.write(BEGIN)
        fill(disk)
        heard.write(END)
        assert heard.read() == BEGIN


async def test_a_gap_that_is_one_too_many_is_logged(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap, "MOST_GAPS", 1)
    gaps = bench.gaps(bench.journal)
    with capture_logs() as lines:
        await gaps.go_on(BEGIN - 2 * SECOND, BEGIN - SECOND, [])
        assert lines == []
        await gaps.go_on(BEGIN - SECOND, EVER[1], [])
    assert [(line["event"], line["since"]) for line in lines] == [("gap.dropped", BEGIN - 2 * SECOND)]


async def test_a_fifo_in_the_spool_holds_up_no_start(bench: Bench) -> None:
    """Asterisk and its group write in the spool, too."""
    os.mkfifo(bench.pending)
    heard_until = bench.pending.with_name("heard_until")
    os.mkfifo(heard_until)
    os.mkfifo(bench.journal.path.with_name(f"{bench.journal.path.name}.1"))
    bench.journal.path.with_name(f"{bench.journal.path.name}-old").mkdir()
    assert HeardUntil(heard_until, bench.pending.with_name("heard")).read() is None
    with capture_logs() as lines:
        await bench.after(BEGIN - SECOND)
    assert [line["event"] for line in lines] == ["gaps.not_read", "journal.folded"]
    assert len(bench.registry.calls) == 1
