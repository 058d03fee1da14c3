"""Fold the rows of the journal into calls, as the agent would have folded them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import OF_RECORDINGS, Call, MomentKind, Recording, RecordingStage
from agent.calls.events import Event
from agent.cel.events import CelEvents
from agent.cel.journal import CelRow
from agent.monitoring import metrics
from agent.recording.plan_past import lost_recording, past_events
from agent.rules.directory import Directory

_NOT_IN_JOURNAL: Final = OF_RECORDINGS | {MomentKind.HOLD, MomentKind.RESUME}
_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class PastCall:
    """A call of the journal, with the calls that became parts of it."""

    call: Call
    parts: tuple[Call, ...]


class PastFold:
    """Calls in a registry of their own, decided on as the agent would have decided."""

    def __init__(self, directory: Directory) -> None:
        self._registry = CallRegistry(is_user=directory.is_user)
        self._events, self._directory = CelEvents(), directory
        self._parts: dict[str, list[str]] = {}

    def take(self, row: CelRow) -> None:
        """Fold a row. An error in a call does not stop others."""
        try:
            for event in self._events.read(row):
                self._fold(event)
        except Exception:
            metrics.ERRORS.inc()
            _log.exception("journal.row_failed", linkedid=row.linkedid, uniqueid=row.uniqueid, cel=row.event)

    def _fold(self, event: Event) -> None:
        before, after = self._registry.fold(event)
        for caused in past_events(before, after, event, self._directory):
            self._registry.take(caused)
        for visited, now, visit in self._registry.take_visits():
            for caused in past_events(visited, now, visit, self._directory):
                self._registry.take(caused)
        for part in self._registry.take_merged():
            self._parts.setdefault(part.merged_into, []).append(part.linkedid)

    def ended(self, linkedid: str) -> Iterator[PastCall]:
        """Yield the call of a linkedid if it has ended, and forget it."""
        call = self._registry.call(linkedid)
        if call is None or call.ended_at is None or call.merged_into:
            return
        for recording in call.recordings:
            if recording.stage is RecordingStage.RUNNING:
                call = self._registry.take(lost_recording(call.linkedid, recording.segment, call.seen_until)) or call
        past = self._past(call)
        for each in (past.call, *past.parts):
            self._registry.forget(each.linkedid)
        self._parts.pop(call.linkedid, None)
        yield past

    def end_all(self) -> Iterator[PastCall]:
        """End each call at its last event, and yield it: its end is not in the journal."""
        for call in list(self._registry.calls.values()):
            if not call.merged_into and call.ended_at is None:
                for event in list(CallRegistry([call]).reconcile([], lambda alone: alone.seen_until)):
                    self._fold(event)
            yield from self.ended(call.linkedid)

    def calls(self) -> Iterator[PastCall]:
        """Yield all calls as they are now."""
        return (self._past(call) for call in self._registry.calls.values() if not call.merged_into)

    def _past(self, call: Call) -> PastCall:
        parts = (self._registry.calls.get(part) for part in self._parts.get(call.linkedid, ()))
        return PastCall(call=call, parts=tuple(filter(None, parts)))


def related_ids(rows: Iterable[CelRow], known: frozenset[str]) -> Iterator[frozenset[str] | None]:
    """Yield, at the end, the ids of channels and calls that belong to the known ones.

    A channel that changes its call connects both calls, and so do the peers of a bridge: if
    Asterisk dies after a transfer, no row with the new linkedid is written. None is yielded for
    each row, so that the caller can pause.
    """
    related = set(known)
    living: dict[str, set[str]] = {}  # by name: the id of a channel, and of the calls it was in
    for row in rows:
        yield None
        if row.event == "LINKEDID_END":
            continue
        ids = living.setdefault(row.channel, set())
        ids |= {row.uniqueid, row.linkedid}
        together = ids.union(*(living.get(peer, ()) for peer in row.peer.split(",")))
        if not related.isdisjoint(together):
            related |= together
        if row.event == "CHAN_END":
            del living[row.channel]
    yield frozenset(related)


def missed_calls(
    rows: Iterable[CelRow], *, since: datetime, until: datetime, known: frozenset[str], directory: Directory
) -> Iterator[PastCall | None]:
    """Yield each call that ended after `since` and began before `until`, but for the known ones.

    A call whose end is not in the journal ended with its last event: Asterisk itself has ended.
    None is yielded for each row, so that the caller can pause.
    """
    fold = PastFold(directory)
    later: set[str] = set()
    for row in rows:
        yield None
        if row.at > until and row.event == "CHAN_START" and row.uniqueid == row.linkedid:
            later.add(row.linkedid)
        ids = {row.linkedid, row.uniqueid}
        if known.isdisjoint(ids) and later.isdisjoint(ids):
            fold.take(row)
        if row.event == "LINKEDID_END":
            later.discard(row.linkedid)
            yield from (past for past in fold.ended(row.linkedid) if past.call.seen_until > since)
    yield from (past for past in fold.end_all() if past.call.seen_until > since)


def with_past(known: Sequence[Call], call: Call) -> Call:
    """Return a call as the journal has it, with what only the agent knows: recordings and holds.

    `known` are the states of the same call in the agent, older than that of the journal.
    """
    own = [_with_past(recording, call) for each in known for recording in each.recordings]
    decided, segments = {recording.decided_on for recording in own}, {recording.segment for recording in own}
    others = (other for other in call.recordings if other.decided_on not in decided and other.segment not in segments - {""})
    moments = (moment for each in known for moment in each.moments if moment.kind in _NOT_IN_JOURNAL)
    return replace(
        call,
        revision=1 + max(call.revision, *(each.revision for each in known)),
        recordings=(*own, *others),
        moments=tuple(sorted((*call.moments, *moments), key=lambda moment: moment.at)),
    )


def _with_past(own: Recording, call: Call) -> Recording:
    """Return a recording of the agent with its talk, and its user after a pickup."""
    same = (
        other for other in call.recordings if other.segment == own.segment and (own.segment or other.decided_on == own.decided_on)
    )
    past = next(same, None)
    if past is None:
        return own
    unwanted = past.stage is RecordingStage.DONE and own.stage is RecordingStage.RUNNING
    return replace(
        own,
        uniqueid=past.uniqueid,
        user=past.user,
        started_at=own.started_at or past.started_at,
        heard=own.heard or past.heard,
        stage=RecordingStage.UNWANTED if unwanted else own.stage,
    )
