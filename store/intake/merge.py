"""Merging a report or a recording into a call. Pure.

The newest report decides everything it contains; stored audio always stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fonoteka.core.call_report import CallReport, Direction, Reason, RecordingState, Result, SegmentReport
from store.intake.facts import CallFacts
from store.intake.recording_state import Recording, Segment, assess, assess_for


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredCall:
    """A call in the index."""

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
    """A call to be written.

    `recordings` is by participant; `removed_segments` has the names of segments to delete.
    """

    segments: tuple[Segment, ...]
    removed_segments: tuple[str, ...]
    recording: Recording
    recordings: Mapping[str, Recording]


def is_newer(stored: StoredCall | None, report: CallReport) -> bool:
    """Whether a report is newer than the stored call."""
    return stored is None or stored.revision < report.revision


def merge(stored: StoredCall | None, report: CallReport, arrived: Segment | None = None) -> MergedCall:
    """Merge a stored call, a report of it (perhaps an older one), and a recording that arrived."""
    segments = present = {segment.name: segment for segment in stored.segments} if stored else {}
    if stored is None or is_newer(stored, report):
        segments = _merge_segments(present, report.segments)
        participants, reason, ended = report.participants, report.reason, report.ended_at is not None
    else:
        participants, reason, ended = stored.participants, stored.reason, stored.ended_at is not None
    if arrived is not None:
        # The newest report has the best reason for missing audio.
        reported = segments.get(arrived.name, arrived)
        segments = segments | {arrived.name: replace(arrived, reason=reported.reason)}
    merged = tuple(segments.values())
    # A recorded user took part, even if the report does not contain the user (yet).
    logins = dict.fromkeys((*participants, *(segment.user for segment in merged)))
    return MergedCall(
        segments=merged,
        removed_segments=tuple(name for name in present if name not in segments),
        recording=assess(merged, reason=reason, ended=ended),
        recordings={login: assess_for(login, merged, reason=reason, ended=ended) for login in logins},
    )


def _merge_segments(present: Mapping[str, Segment], reported: Sequence[SegmentReport]) -> dict[str, Segment]:
    """Return the segments after a newer report: with audio, with deleted audio, and reported."""
    segments = {name: segment for name, segment in present.items() if segment.arrival is not None or segment.is_expired}
    for report in reported:
        before = present.get(report.name)
        if before is not None and before.is_expired:
            continue
        segments[report.name] = Segment(
            name=report.name,
            user=report.user,
            started_at=report.started_at,
            reason=report.reason,
            arrival=before.arrival if before else None,
        )
    return segments
