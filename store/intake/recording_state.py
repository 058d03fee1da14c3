"""The state of a call's recording, from its reported segments and the audio. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fonoteka.core.call_report import MutedSpan, Reason, RecordingState
from fonoteka.core.manifest import Speech

# Salvaged audio lost what it lacks. Other audio may lack what was no talk: while a user dials a
# transfer and hears its prompts, the channels are bridged by name only and nothing is recorded.
DAMAGED_SHORTER_MS: Final = 100
UNDAMAGED_SHORTER_MS: Final = 10_000

# Reports of a PBX that had set the legs aside; it has mixed and sent them since.
_REFUTED: Final = (Reason.NO_AUDIO, Reason.AUDIO_DAMAGED)
_FAILURES: Final = frozenset({Reason.ASTERISK_FAILED, Reason.NO_AUDIO, Reason.DISK_FULL, Reason.AUDIO_DAMAGED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """The audio of a segment, as far as the state depends on it."""

    duration_ms: int
    talk_ms: int
    muted: tuple[MutedSpan, ...]
    salvaged: bool
    speech: Speech | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A requested stretch of recording; `arrival` is None while there is no audio.

    Audio that was deleted (`is_expired`, with the reason `retention`) never comes back.
    """

    name: str
    user: str
    started_at: datetime
    reason: Reason | None
    arrival: Arrival | None
    is_expired: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A segment's place in the joined audio."""

    user: str
    offset_ms: int
    duration_ms: int
    muted: tuple[MutedSpan, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """The recording of a call.

    `reason` is None exactly in the states ready, recording and processing. `duration_ms` is None
    without audio. `speech` is None unless it is known of all audio.
    """

    state: RecordingState
    reason: Reason | None
    duration_ms: int | None
    parts: tuple[Part, ...]
    speech: Speech | None = None


def in_order(segments: Sequence[Segment]) -> list[Segment]:
    """Sort segments as they are joined."""
    return sorted(segments, key=lambda segment: (segment.started_at, segment.name))


def assess(segments: Sequence[Segment], *, reason: Reason | None, ended: bool) -> Recording:
    """Assess a call's recording. `reason` is the report's: why no segment was requested."""
    if not segments:
        return _without_segments(reason)
    ordered = in_order(segments)
    parts = _parts(ordered)
    duration_ms = sum(part.duration_ms for part in parts) if parts else None
    state, shortfall = _state(ordered, ended)
    return Recording(state=state, reason=shortfall, duration_ms=duration_ms, parts=parts, speech=_speech(ordered))


def assess_for(login: str, segments: Sequence[Segment], *, reason: Reason | None, ended: bool) -> Recording:
    """Assess the recording as one participant sees it: of the participant's own segments.

    The reason is `user_off` if only other participants were recorded.
    """
    own = [segment for segment in segments if segment.user == login]
    return assess(own, reason=Reason.USER_OFF if segments else reason, ended=ended)


def _without_segments(reason: Reason | None) -> Recording:
    reason = reason or Reason.NOT_ANSWERED
    state = RecordingState.NONE
    if reason is Reason.RETENTION:
        state = RecordingState.EXPIRED
    elif reason in _FAILURES:
        state = RecordingState.FAILED
    return Recording(state=state, reason=reason, duration_ms=None, parts=())


def _state(segments: list[Segment], ended: bool) -> tuple[RecordingState, Reason | None]:
    # A stopped segment has audio until the stop, which is still to come.
    if any(segment.arrival is None and segment.reason in (None, Reason.STOPPED_BY_USER) for segment in segments):
        return (RecordingState.PROCESSING if ended else RecordingState.RECORDING), None
    shortfalls = list(filter(None, map(_shortfall, segments)))
    if all(segment.arrival is None for segment in segments):
        if Reason.RETENTION in shortfalls:
            return RecordingState.EXPIRED, Reason.RETENTION
        return RecordingState.FAILED, shortfalls[0]
    shortfall = shortfalls[0] if shortfalls else None
    return (RecordingState.PARTIAL, shortfall) if shortfall else (RecordingState.READY, None)


def _shortfall(segment: Segment) -> Reason | None:
    """Return why a segment is not complete; None if it is."""
    if segment.arrival is None or segment.reason not in (None, *_REFUTED):
        return segment.reason
    allowed_ms = DAMAGED_SHORTER_MS if segment.arrival.salvaged else UNDAMAGED_SHORTER_MS
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


def _speech(segments: list[Segment]) -> Speech | None:
    """Add up who spoke. A silence does not go on from one segment to the next."""
    arrivals = [segment.arrival for segment in segments if segment.arrival is not None]
    known = [arrival.speech for arrival in arrivals if arrival.speech is not None]
    if not known or len(known) < len(arrivals):
        return None
    return Speech(
        outside_ms=sum(speech.outside_ms for speech in known),
        employee_ms=sum(speech.employee_ms for speech in known),
        overlap_ms=sum(speech.overlap_ms for speech in known),
        silence_ms=sum(speech.silence_ms for speech in known),
        longest_silence_ms=max(speech.longest_silence_ms for speech in known),
        first_word_ms=_first_word(arrivals),
    )


def _first_word(arrivals: list[Arrival]) -> int | None:
    """Return when somebody spoke first in the joined audio."""
    offset_ms = 0
    for arrival in arrivals:
        if arrival.speech is not None and arrival.speech.first_word_ms is not None:
            return offset_ms + arrival.speech.first_word_ms
        offset_ms += arrival.duration_ms
    return None
