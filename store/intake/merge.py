"""What a call is after a report or a recording of it came: pure.

The newest report counts for everything it speaks of; audio that is here stays, whatever a report says of its segment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fonoteka.core.call_report import CallReport, Direction, Reason, RecordingState, Result, SegmentReport
from store.intake.facts import CallFacts
from store.intake.recording_state import Recording, Segment, assess, assess_for


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredCall:
    """A call as it stands in the index."""

    key: int
    revision: int
    domain_id: int
    direction: Direction
    result: Result
    started_at: datetime
    ended_at: datetime | None
    reason: Reason | None
    recording: RecordingState
    segments: tuple[Segment, ...]
    participants: tuple[str, ...]
    facts: CallFacts | None


@dataclass(frozen=True, kw_only=True, slots=True)
class MergedCall:
    """A call as it should stand. `recordings` is each participant's own view; `given_up` are segments to be forgotten."""

    segments: tuple[Segment, ...]
    given_up: tuple[str, ...]
    recording: Recording
    recordings: Mapping[str, Recording]


def is_newer(known: StoredCall | None, report: CallReport) -> bool:
    """Whether a report tells something that the index does not know yet."""
    return known is None or known.revision < report.revision


def merge(known: StoredCall | None, report: CallReport, arrived: Segment | None = None) -> MergedCall:
    """Put together what is known, a report of the same call (whose revision may be older), and perhaps a recording of it."""
    present = {segment.name: segment for segment in known.segments} if known else {}
    segments, participants, reason, ended_at = present, known.participants if known else (), None, None
    if known is None or is_newer(known, report):
        segments = _told(present, report.segments)
        participants, reason, ended_at = report.participants, report.reason, report.ended_at
    else:
        reason, ended_at = known.reason, known.ended_at
    if arrived is not None:
        told = segments.get(arrived.name, arrived)  # the newest report knows best why something is missing
        segments = segments | {arrived.name: replace(arrived, reason=told.reason)}
    whole, ended = tuple(segments.values()), ended_at is not None
    # Whoever was recorded took part, even if the report does not say so (yet).
    logins = dict.fromkeys((*participants, *(segment.user for segment in whole)))
    return MergedCall(
        segments=whole,
        given_up=tuple(name for name in present if name not in segments),
        recording=assess(whole, reason=reason, ended=ended),
        recordings={login: assess_for(login, whole, reason=reason, ended=ended) for login in logins},
    )


def _told(present: Mapping[str, Segment], reported: Sequence[SegmentReport]) -> dict[str, Segment]:
    """The segments after a newer report. What it no longer names was never recorded, unless its audio is here."""
    told = {name: segment for name, segment in present.items() if segment.arrival is not None}
    for report in reported:
        before = present.get(report.name)
        told[report.name] = Segment(
            name=report.name,
            user=report.user,
            started_at=report.started_at,
            reason=report.reason,
            arrival=before.arrival if before else None,
        )
    return told
