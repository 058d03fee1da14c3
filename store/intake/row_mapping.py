"""Mapping between reports and rows of the index. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Row

from fonoteka.core.call_report import (
    CallReport,
    Direction,
    LiveReport,
    MutedSpan,
    PathStep,
    Quality,
    Reason,
    RecordingState,
    Result,
)
from fonoteka.core.manifest import Speech
from store.database.schema import LONGEST_PARTY, LONGEST_TRUNK, instant, milliseconds
from store.intake.facts import AUDIBLE, CallFacts, duration_s, facts_of_report, facts_of_row
from store.intake.merge import MergedCall, StoredCall, is_newer
from store.intake.recording_state import Arrival, Recording, Segment

_LIVE: Final = TypeAdapter(LiveReport)
_SPEECH: Final = TypeAdapter(Speech)


@dataclass(frozen=True, kw_only=True, slots=True)
class IncomingReport:
    """A report of a call, perhaps with a recording.

    `public_id` is that of the domain's row; `target_id` that of the row into which it is merged.
    """

    domain_id: int
    public_id: str
    report: CallReport
    target_id: str | None = None
    arrived: Segment | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallWrite:
    """A call to be written. `outside_number` is from the report."""

    public_id: str
    incoming: IncomingReport
    stored: StoredCall | None
    merged: MergedCall
    outside_number: str | None

    @property
    def is_newer(self) -> bool:
        """Whether the report is newer than the stored call; else only a recording arrived."""
        return is_newer(self.stored, self.incoming.report)

    @property
    def facts(self) -> CallFacts | None:
        """The facts of the call; `called_back_at` stays until the call backs are updated."""
        before, audible = self.stored.facts if self.stored else None, self.merged.recording.state in AUDIBLE
        if not self.is_newer:
            return replace(before, audible=audible) if before else None
        facts = facts_of_report(self.incoming.report, self.incoming.domain_id, outside_number=self.outside_number, audible=audible)
        if facts is None or before is None or not facts.awaited_call_back:
            return facts
        return replace(facts, called_back_at=before.called_back_at)


def segment_of(row: Row[Any]) -> Segment:
    """Read a row of `segments`."""
    arrival = None
    if row.object_key is not None and row.expired_at is None:
        muted = tuple(MutedSpan(from_ms=start, to_ms=end) for start, end in row.muted)
        speech = None if row.speech is None else _SPEECH.validate_python(row.speech)
        arrival = Arrival(duration_ms=row.duration_ms, talk_ms=row.talk_ms, muted=muted, salvaged=row.salvaged, speech=speech)
    reason = Reason(row.reason) if row.reason else None
    is_expired = row.expired_at is not None
    return Segment(name=row.name, user=row.user, started_at=row.started_at, reason=reason, arrival=arrival, is_expired=is_expired)


def speech_value(speech: Speech | None) -> dict[str, Any] | None:
    """Return who spoke as stored in `segments.speech`."""
    return None if speech is None else _SPEECH.dump_python(speech)


def quality_of(row: Row[Any]) -> Quality | None:
    """Read the quality from a row of `calls`; None if Asterisk told nothing."""
    if row.quality_mos is None:
        return None
    return Quality(mos=row.quality_mos, loss_pct=row.quality_loss_pct, jitter_ms=row.quality_jitter_ms, rtt_ms=row.quality_rtt_ms)


def live_of(row: Row[Any]) -> LiveReport | None:
    """Read the live report from a row of `calls`; None after the call's end."""
    return None if row.live is None else _LIVE.validate_python(row.live)


def stored_call(row: Row[Any], parts: Sequence[Segment], logins: Sequence[str]) -> StoredCall:
    """Read a row of `calls` with its segments and participants."""
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
    """Return a step as stored in `call_paths.steps`."""
    step_of_call = [milliseconds(step.at), step.what, storable(step.who), storable(step.by), step.reason]
    quality = step.quality
    return step_of_call if quality is None else [*step_of_call, quality.mos, quality.loss_pct, quality.jitter_ms, quality.rtt_ms]


def steps_of(steps: Sequence[Sequence[Any]]) -> tuple[PathStep, ...]:
    """Read a path from `call_paths.steps`."""
    return tuple(
        PathStep(
            at=instant(at_ms),
            what=what,
            who=who,
            by=by,
            reason=Reason(reason) if reason else None,
            quality=Quality(**dict(zip(("mos", "loss_pct", "jitter_ms", "rtt_ms"), figures, strict=True))) if figures else None,
        )
        for at_ms, what, who, by, reason, *figures in steps
    )


def recording_values(recording: Recording) -> dict[str, Any]:
    """Return the columns of `calls` and `participants` for a recording."""
    return {
        "recording_state": recording.state,
        "recording_reason": recording.reason,
        "recording_ms": recording.duration_ms,
    }


def call_values(call: CallWrite) -> dict[str, Any]:
    """Return the columns of `calls` for a newer report."""
    report, facts = call.incoming.report, call.facts
    return {
        "domain_id": call.incoming.domain_id,
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
        "outside_number": call.outside_number,
        "called_back_at": facts.called_back_at if facts else None,
        "reason": report.reason,
        "live": _live(report),
        "merged_into": report.merged_into,
        "trunk": None if report.trunk is None else storable(report.trunk)[:LONGEST_TRUNK],
        "queue": None if report.queue is None else storable(report.queue)[:LONGEST_TRUNK],
        "wait_ms": report.wait_ms,
        **_quality_values(report.quality),
    } | recording_values(call.merged.recording)


def _quality_values(quality: Quality | None) -> dict[str, Any]:
    return {
        "quality_mos": quality.mos if quality else None,
        "quality_loss_pct": quality.loss_pct if quality else None,
        "quality_jitter_ms": quality.jitter_ms if quality else None,
        "quality_rtt_ms": quality.rtt_ms if quality else None,
    }


def _live(report: CallReport) -> dict[str, Any] | None:
    if report.live is None or report.ended_at is not None or report.merged_into is not None:
        return None
    parties = tuple(replace(party, who=storable(party.who)) for party in report.live.parties)
    document: dict[str, Any] = _LIVE.dump_python(replace(report.live, parties=parties), mode="json")
    return document


def storable(text: str) -> str:
    """Return text of the far end without NUL, which PostgreSQL refuses, and at most 1000 long."""
    return text.replace("\0", "")[:1000]


def _party(text: str) -> str:
    return storable(text)[:LONGEST_PARTY]
