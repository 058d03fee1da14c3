"""The journal gives the row that the manager interface gives, for every recorded stream."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final, cast
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call, RecordingStage
from agent.calls.events import Event
from agent.cel import gap
from agent.cel.gap import GapFolder
from agent.cel.journal import CelJournal, CelRow
from agent.cel.past_calls import missed_calls, related_ids
from agent.recording.coordinator import RecordingCoordinator
from agent.recording.effects import DiscardRecording, Effect, FinishRecording
from agent.reporting.settlement import CallSettlement
from agent.rules.parties import domain_of
from fonoteka.core.call_report import CallReport, Reason, RecordingState
from store.intake.recording_state import assess
from tests.unit.agent.calls.test_recorded_streams import STREAMS, read_stream
from tests.unit.agent.fixtures import DIRECTORY, play, report_of
from tests.unit.agent.rules.test_companies import SPLIT as SEVERAL

REAL: Final = tuple(sorted(path.stem for path in STREAMS.glob("*.csv")))
EVER: Final = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
CLOSE: Final = timedelta(seconds=0.1)
# Callbacks by `PJSIP/NUMBER@trunk`: no row of the journal has the number.
WITHOUT_NUMBER: Final = {
    "callback_by_trunk",
    "callback_into_group",
    "callback_busy",
    "callback_busy_by_account",
    "callback_not_taken",
}
TIMES: Final = ("started_at", "answered_at", "ended_at")


class OneFile(CelJournal):
    """A journal without rotated files: the folder of the streams has other journals."""

    def _files(self, since: datetime) -> list[Path]:
        return [self.path]


def journal_of(name: str) -> OneFile:
    return OneFile(path=STREAMS / f"{name}.csv")


@cache
def rows_of(name: str) -> tuple[CelRow, ...]:
    """Return the rows of the journal of a stream."""
    return tuple(journal_of(name).rows(*EVER))


@cache
def stream(name: str) -> tuple[Event, ...]:
    """Return the events of a stream."""
    return tuple(read_stream(name))


def rebuilt(name: str) -> dict[str, CallReport]:
    """Return the reports of the calls in a journal that the agent knows nothing of."""
    calls = missed_calls(rows_of(name), since=EVER[0], until=EVER[1], known=frozenset(), directory=DIRECTORY)
    return {call.linkedid: report_of(call) for past in calls if past is not None for call in (past.call, *past.parts)}


def assert_same_row(ours: CallReport, theirs: CallReport, *, name: str) -> None:
    """Compare all but the recording; the path has no holds, which the journal does not have."""
    if name in WITHOUT_NUMBER:
        assert (ours.dst, ours.answered_by) in (("", None), (theirs.dst, theirs.answered_by))
        theirs = replace(theirs, dst=ours.dst, answered_by=ours.answered_by)
    for time in TIMES:
        one, other = getattr(ours, time), getattr(theirs, time)
        assert one == other or abs(one - other) <= CLOSE, time
    assert abs(ours.talk_ms - theirs.talk_ms) <= 100
    assert (ours.wait_ms is None) is (theirs.wait_ms is None)
    assert abs((ours.wait_ms or 0) - (theirs.wait_ms or 0)) <= 100
    left_out = {"revision", "talk_ms", "wait_ms", "path", "segments", "reason", "live", *TIMES}
    for field in fields(CallReport):  # Asterisk writes no figures of streams into the journal
        if field.name not in (left_out | {"quality"}):
            assert getattr(ours, field.name) == getattr(theirs, field.name), field.name


@pytest.mark.parametrize("name", REAL)
def test_a_missed_call_has_its_row(name: str) -> None:
    by_ami = {call.linkedid: report_of(call) for call in play(list(stream(name))).calls.values()}
    by_cel = rebuilt(name)
    assert by_cel.keys() == by_ami.keys()
    for linkedid, report in by_cel.items():
        assert_same_row(report, by_ami[linkedid], name=name)
        recorded = bool(by_ami[linkedid].segments)
        assert report.reason is (Reason.AGENT_WAS_DOWN if recorded else by_ami[linkedid].reason)
        assert assess((), reason=report.reason, ended=True).state is RecordingState.NONE
        assert report.segments == ()


def test_the_account_code_says_whose_a_callback_is() -> None:
    calls = missed_calls(rows_of("callback_busy_by_account"), since=EVER[0], until=EVER[1], known=frozenset(), directory=SEVERAL)
    (domain,) = [domain_of(past.call, SEVERAL) for past in calls if past is not None]
    assert domain is not None and domain.settings.name == "acme"


def test_the_path_says_what_was_not_recorded() -> None:
    (report,) = rebuilt("in_answered").values()
    assert [(step.what, step.who, step.reason) for step in report.path] == [
        ("arrive", "2458152", None),
        ("ring", "152", None),
        ("answer", "152", None),
        ("no_record", "152", Reason.AGENT_WAS_DOWN),
        ("leave", "89131234567", None),
        ("end", "", None),
    ]


@pytest.mark.parametrize("name", ["attended_by_phone", "attended_by_phone_out"])
def test_a_bridge_connects_the_calls_of_an_attended_transfer(name: str) -> None:
    """Asterisk may die then, before it writes the new linkedid of a channel."""
    rows = rows_of(name)
    transfer = next(place for place, row in enumerate(rows) if row.event == "ATTENDEDTRANSFER")
    cut = rows[: transfer + 1]
    first, inquiry = dict.fromkeys(row.linkedid for row in cut if row.event == "CHAN_START")
    *_, related = related_ids(cut, frozenset({first}))
    assert related is not None and inquiry in related


class FoldOnly:
    """Stands for the coordinator and the settlement: folds, and notes what would be performed."""

    directory = DIRECTORY

    def __init__(self, registry: CallRegistry) -> None:
        self._registry = registry
        self.effects: list[Effect] = []

    def perform_all(self, call: Call, effects: Iterable[Effect], at: datetime) -> None:
        """Fold the events of effects."""
        for effect in effects:
            self.effects.append(effect)
            for caused in effect.events:
                self._registry.take(caused)

    def adopt(self, call: Call, _unrecorded: frozenset[str] = frozenset()) -> Call:
        """The dialplan has recorded nothing."""
        return call

    def changed(self, call: Call) -> None:
        """Report nothing."""


async def caught_up(heard: Sequence[Event], name: str, folder: Path) -> tuple[CallRegistry, list[Effect]]:
    """Return what an agent knows that died after these events, when it is back after the rest."""
    registry, since = play(list(heard)), heard[-1].at
    acting = FoldOnly(registry)
    journal = OneFile(path=STREAMS / f"{name}.csv")
    gaps = GapFolder(journal, folder / "gaps.json", registry, cast(RecordingCoordinator, acting), cast(CallSettlement, acting))
    (folder / "gaps.json").unlink(missing_ok=True)
    await gaps.go_on(since, EVER[1], [])
    await gaps.fold_missed()
    return registry, acting.effects


def alive_recorders(registry: CallRegistry) -> set[str]:
    """Return the recordings whose channels have not ended."""
    return {
        recording.segment
        for call in registry.calls.values()
        for recording in call.recordings
        if recording.stage is RecordingStage.RUNNING and call.channels[recording.uniqueid].ended_at is None
    }


@given(st.sampled_from(REAL), st.floats(0, 1))
@example("customer_in_room", 0.2)  # a user joins the room while the agent is away, and another one was there before
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_call_has_its_row_whenever_the_agent_dies_in_it(tmp_path: Path, name: str, died: float) -> None:
    events = stream(name)
    heard = events[: 1 + round(died * (len(events) - 1))]
    with mock.patch.object(gap, "WRITTEN_WITHIN_S", 0), mock.patch.object(gap, "PAUSE_S", 0), capture_logs():
        registry, effects = asyncio.run(caught_up(heard, name, tmp_path))
    ending = {effect.segment for effect in effects if isinstance(effect, FinishRecording | DiscardRecording)}
    assert ending == alive_recorders(play(list(heard))), "each recorder that ran is finished, and no other"
    by_cel = {call.linkedid: report_of(call) for call in registry.calls.values()}
    by_ami = {call.linkedid: report_of(call) for call in play(list(events)).calls.values()}
    assert by_cel.keys() == by_ami.keys()
    for linkedid, report in by_cel.items():
        assert_same_row(report, by_ami[linkedid], name=name)
