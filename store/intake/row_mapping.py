"""Rows of the index made of reports, and read back as the pure rules know them. No database is asked here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Row

from fonoteka.core.call_report import CallReport, Direction, LiveReport, MutedSpan, PathStep, Reason, RecordingState, Result
from store.database.schema import LONGEST_PARTY, milliseconds
from store.intake.facts import AUDIBLE, CallFacts, duration_s, facts_of_report, facts_of_row
from store.intake.merge import MergedCall, StoredCall, is_newer
from store.intake.recording_state import Arrival, Recording, Segment

_LIVE: Final = TypeAdapter(LiveReport)


@dataclass(frozen=True, kw_only=True, slots=True)
class IncomingReport:
    """A report of a call, and perhaps a recording that came with it."""

    domain_id: int
    report: CallReport
    arrived: Segment | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallWrite:
    """One call on its way into the index. `outside_number` is the outside party that its report speaks of."""

    public_id: str
    incoming: IncomingReport
    known: StoredCall | None
    merged: MergedCall
    outside_number: str | None

    @property
    def is_newer(self) -> bool:
        """Whether the report tells something new; else only a recording arrived."""
        return is_newer(self.known, self.incoming.report)

    @property
    def facts(self) -> CallFacts | None:
        """What the call will be counted by; until it is matched anew, a missed call was called back when it was before."""
        before, audible = self.known.facts if self.known else None, self.merged.recording.state in AUDIBLE
        if not self.is_newer:
            return replace(before, audible=audible) if before else None
        told = facts_of_report(self.incoming.report, self.incoming.domain_id, outside_number=self.outside_number, audible=audible)
        if told is None or before is None or not told.awaited_call_back:
            return told
        return replace(told, called_back_at=before.called_back_at)


def segment_of(row: Row[Any]) -> Segment:
    """A row of `segments` as the pure rules know it."""
    arrival = None
    if row.object_key is not None:
        muted = tuple(MutedSpan(from_ms=start, to_ms=end) for start, end in row.muted)
        arrival = Arrival(duration_ms=row.duration_ms, talk_ms=row.talk_ms, muted=muted, salvaged=row.salvaged)
    reason = Reason(row.reason) if row.reason else None
    return Segment(name=row.name, user=row.user, started_at=row.started_at, reason=reason, arrival=arrival)


def live_of(row: Row[Any]) -> LiveReport | None:
    """What a row of `calls` tells of a call that is going on; None once it is over."""
    return None if row.live is None else _LIVE.validate_python(row.live)


def stored_call(row: Row[Any], parts: Sequence[Segment], logins: Sequence[str]) -> StoredCall:
    """A row of `calls` with its segments and participants."""
    return StoredCall(
        key=row.id,
        revision=row.revision,
        domain_id=row.domain_id,
        direction=Direction(row.direction),
        result=Result(row.result),
        started_at=row.started_at,
        ended_at=row.ended_at,
        reason=Reason(row.reason) if row.reason else None,
        recording=RecordingState(row.recording_state),
        segments=tuple(parts),
        participants=tuple(logins),
        facts=facts_of_row(row._mapping),
    )


def path_step(step: PathStep) -> list[object]:
    """A station as `call_paths.steps` holds it."""
    return [milliseconds(step.at), step.what, storable(step.who), storable(step.by), step.reason]


def recording_values(recording: Recording) -> dict[str, Any]:
    """The columns of `calls` and `participants` that tell of a recording."""
    return {
        "recording_state": recording.state,
        "recording_reason": recording.reason,
        "recording_ms": recording.duration_ms,
    }


def call_values(one: CallWrite) -> dict[str, Any]:
    """The columns of `calls` that a newer report fills."""
    report, facts = one.incoming.report, one.facts
    return {
        "domain_id": one.incoming.domain_id,
        "revision": report.revision,
        "direction": report.direction,
        "result": report.result,
        "employee": report.employee,
        "src": _party(report.src),
        "src_name": storable(report.src_name),
        "dst": _party(report.dst),
        "number": report.number,
        "answered_by": None if report.answered_by is None else _party(report.answered_by),
        "started_at": report.started_at,
        "answered_at": report.answered_at,
        "ended_at": report.ended_at,
        "duration_s": duration_s(report),
        "talk_ms": report.talk_ms,
        "outside_number": one.outside_number,
        "called_back_at": facts.called_back_at if facts else None,
        "reason": report.reason,
        "live": _live(report),
        "merged_into": report.merged_into,
    } | recording_values(one.merged.recording)


def _live(report: CallReport) -> dict[str, Any] | None:
    if report.live is None or report.ended_at is not None or report.merged_into is not None:
        return None
    parties = tuple(replace(party, who=storable(party.who)) for party in report.live.parties)
    told: dict[str, Any] = _LIVE.dump_python(replace(report.live, parties=parties), mode="json")
    return told


def storable(text: str) -> str:
    """Text of the far end as the index holds it."""
    # The far end writes these. PostgreSQL takes no NUL, and no caller's name is this long.
    return text.replace("\0", "")[:1000]


def _party(text: str) -> str:
    return storable(text)[:LONGEST_PARTY]
