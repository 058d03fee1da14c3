"""Fold the calls that began and ended while the agent was away. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call, RecordingStage
from agent.calls.events import Event, RecordingLost
from agent.cel.events import CelEvents
from agent.cel.journal import CelRow
from agent.recording.plan_past import PastPlan
from agent.rules.directory import Directory
from fonoteka.core.call_report import Reason


def missed_calls(
    rows: Iterable[CelRow], *, since: datetime, until: datetime, known: frozenset[str], directory: Directory
) -> Iterator[list[Call] | None]:
    """Yield each call that ended after `since` and began before `until`, with its merged parts.

    `known` are the ids of channels and calls that the agent follows itself. A call whose end is
    not in the journal ended with its last event: Asterisk itself has ended. None is yielded for
    each row, so that the caller can pause.
    """
    fold = _Fold(directory)
    followed = set(known)
    for row in rows:
        yield None
        if row.at > until and row.event == "CHAN_START" and row.uniqueid == row.linkedid:
            followed.add(row.linkedid)
        if row.linkedid in followed or row.uniqueid in followed:
            continue
        fold.take(row)
        if row.event == "LINKEDID_END":
            yield from fold.ended(row.linkedid, since)
    for linkedid in list(fold.registry.calls):
        fold.end(linkedid)
        yield from fold.ended(linkedid, since)


class _Fold:
    """Calls in a registry of their own, decided on as the agent would have decided."""

    def __init__(self, directory: Directory) -> None:
        self.registry = CallRegistry()
        self._events, self._past, self._directory = CelEvents(), PastPlan(), directory
        self._parts: dict[str, list[str]] = {}

    def take(self, row: CelRow) -> None:
        for event in self._events.read(row):
            self._fold(event)

    def _fold(self, event: Event) -> None:
        before, after = self.registry.fold(event)
        for effect in self._past.plan(before, after, event, self._directory):
            for caused in effect.events:
                self.registry.take(caused)
        for part in self.registry.take_merged():
            self._parts.setdefault(part.merged_into, []).append(part.linkedid)

    def end(self, linkedid: str) -> None:
        call = self.registry.calls.get(linkedid)
        if call is None or call.merged_into or call.ended_at is not None:
            return
        for event in CallRegistry([call]).reconcile([], lambda alone: alone.seen_until):
            self._fold(event)

    def ended(self, linkedid: str, since: datetime) -> Iterator[list[Call]]:
        """Yield a call if it has ended, and forget it."""
        call = self.registry.call(linkedid)
        if call is None or call.ended_at is None or call.merged_into:
            return
        at = call.ended_at
        for recording in call.recordings:
            self._past.unrecorded.discard(recording.segment)
            if recording.stage is RecordingStage.RUNNING:
                lost = RecordingLost(at=at, linkedid=call.linkedid, segment=recording.segment, reason=Reason.AGENT_WAS_DOWN)
                call = self.registry.take(lost) or call
        parts = [self.registry.calls[part] for part in self._parts.pop(call.linkedid, ())]
        for each in (call, *parts):
            self.registry.forget(each.linkedid)
        if at > since:
            yield [call, *parts]
