"""What became of a call's recording: a pure function of what was reported and what has arrived (CONTRACT.md, `recording`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fonoteka.core.call_report import MutedSpan, Reason, RecordingState

# Damaged legs lost whatever they lack. Whole ones may lack what was no talk: while somebody dials a transfer by keys and
# hears its prompts they are bridged by name only, and nothing is recorded.
DAMAGED_SHORTER_MS: Final = 500
WHOLE_SHORTER_MS: Final = 10_000

_FAILURES: Final = frozenset({Reason.ASTERISK_FAILED, Reason.NO_AUDIO, Reason.DISK_FULL, Reason.AUDIO_DAMAGED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """The audio of a segment, as far as its call's state depends on it."""

    duration_ms: int
    talk_ms: int
    muted: tuple[MutedSpan, ...]
    salvaged: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A stretch that was asked to be recorded; `arrival` None: its audio is not (or no longer) here."""

    name: str
    user: str
    started_at: datetime
    reason: Reason | None
    arrival: Arrival | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A segment's place in the joined audio."""

    user: str
    offset_ms: int
    duration_ms: int
    muted: tuple[MutedSpan, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """`reason` is None exactly in the states ready, recording and processing; `duration_ms` is None while there is no audio."""

    state: RecordingState
    reason: Reason | None
    duration_ms: int | None
    parts: tuple[Part, ...]


def in_order(segments: Sequence[Segment]) -> list[Segment]:
    """The order in which segments are joined."""
    return sorted(segments, key=lambda segment: (segment.started_at, segment.name))


def assess(segments: Sequence[Segment], *, reason: Reason | None, ended: bool) -> Recording:
    """The recording of a whole call. `reason` is the report's: why no segment was asked for."""
    if not segments:
        return _without_segments(reason)
    parts = _parts(in_order(segments))
    duration_ms = sum(part.duration_ms for part in parts) if parts else None
    state, why = _state(in_order(segments), ended)
    return Recording(state=state, reason=why, duration_ms=duration_ms, parts=parts)


def assess_for(login: str, segments: Sequence[Segment], *, reason: Reason | None, ended: bool) -> Recording:
    """The recording as one participant sees it: made of their own segments alone.

    Somebody else's part being recorded and not theirs means that nobody recorded them: `user_off`.
    """
    own = [segment for segment in segments if segment.user == login]
    return assess(own, reason=Reason.USER_OFF if segments else reason, ended=ended)


def _without_segments(reason: Reason | None) -> Recording:
    why = reason or Reason.NOT_ANSWERED
    state = RecordingState.NONE
    if why is Reason.RETENTION:
        state = RecordingState.EXPIRED
    elif why in _FAILURES:
        state = RecordingState.FAILED
    return Recording(state=state, reason=why, duration_ms=None, parts=())


def _state(segments: list[Segment], ended: bool) -> tuple[RecordingState, Reason | None]:
    # What was stopped has audio up to there, which is still to come.
    if any(segment.arrival is None and segment.reason in (None, Reason.STOPPED_BY_USER) for segment in segments):
        return (RecordingState.PROCESSING if ended else RecordingState.RECORDING), None
    shortfall = next((why for why in map(_shortfall, segments) if why), None)
    if all(segment.arrival is None for segment in segments):
        gone = all(segment.reason is Reason.RETENTION for segment in segments)
        return (RecordingState.EXPIRED if gone else RecordingState.FAILED), shortfall
    return (RecordingState.PARTIAL, shortfall) if shortfall else (RecordingState.READY, None)


def _shortfall(segment: Segment) -> Reason | None:
    """Why a segment is not whole, None if it is."""
    if segment.reason is not None or segment.arrival is None:
        return segment.reason
    allowed_ms = DAMAGED_SHORTER_MS if segment.arrival.salvaged else WHOLE_SHORTER_MS
    if segment.arrival.talk_ms - segment.arrival.duration_ms <= allowed_ms:
        return None
    return Reason.AUDIO_DAMAGED if segment.arrival.salvaged else Reason.ASTERISK_FAILED


def _parts(segments: list[Segment]) -> tuple[Part, ...]:
    parts: list[Part] = []
    offset_ms = 0
    for segment in segments:
        if segment.arrival is not None:
            length_ms = segment.arrival.duration_ms
            parts.append(Part(user=segment.user, offset_ms=offset_ms, duration_ms=length_ms, muted=segment.arrival.muted))
            offset_ms += length_ms
    return tuple(parts)
