"""The state of a call's recording, from its reported segments and the audio. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fonoteka.core.call_report import MutedSpan, Reason, RecordingState
from fonoteka.core.manifest import Speech
from store.intake.one_sound import Sound, Stretch, one_sound

# Salvaged audio lost what it lacks. Other audio may lack what was no talk: while a user dials a
# transfer and hears its prompts, the channels are bridged by name only and nothing is recorded.
DAMAGED_SHORTER_MS: Final = 100
UNDAMAGED_SHORTER_MS: Final = 10_000

# Reports of a PBX that had set the legs aside; it has mixed and sent them since.
_REFUTED: Final = (Reason.NO_AUDIO, Reason.AUDIO_DAMAGED)
_DELETED: Final = frozenset({Reason.RETENTION, Reason.QUOTA})
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
    """A segment's place in the sound of the call (`store.intake.one_sound`)."""

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
    arrivals = [segment.arrival for segment in ordered if segment.arrival is not None]
    sound = _sound(ordered)
    state, shortfall = _state(ordered, ended)
    return Recording(
        state=state,
        reason=shortfall,
        duration_ms=sound.duration_ms if arrivals else None,
        parts=_parts(ordered, sound),
        speech=_speech(arrivals, sound),
    )


def assess_for(login: str, segments: Sequence[Segment], *, reason: Reason | None, ended: bool) -> Recording:
    """Assess the recording as one participant sees it: of the participant's own segments.

    The reason is `user_off` if only other participants were recorded.
    """
    own = [segment for segment in segments if segment.user == login]
    return assess(own, reason=Reason.USER_OFF if segments else reason, ended=ended)


def _without_segments(reason: Reason | None) -> Recording:
    reason = reason or Reason.NOT_ANSWERED
    state = RecordingState.NONE
    if reason in _DELETED:
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
        deleted = [shortfall for shortfall in shortfalls if shortfall in _DELETED]
        if deleted:
            return RecordingState.EXPIRED, deleted[0]
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


def _sound(segments: list[Segment]) -> Sound:
    audible = [(segment, segment.arrival) for segment in segments if segment.arrival is not None]
    return one_sound([Stretch(user=s.user, started_at=s.started_at, duration_ms=a.duration_ms) for s, a in audible])


def _parts(segments: list[Segment], sound: Sound) -> tuple[Part, ...]:
    audible = [(segment, segment.arrival) for segment in segments if segment.arrival is not None]
    return tuple(
        Part(user=segment.user, offset_ms=place.offset_ms, duration_ms=place.duration_ms, muted=arrival.muted)
        for (segment, arrival), place in zip(audible, sound.places, strict=True)
    )


def _speech(arrivals: list[Arrival], sound: Sound) -> Speech | None:
    """Add up who spoke, of what is heard. A silence does not go on from one segment to the next."""
    heard_ms = [sum(piece.duration_ms for piece in sound.pieces if piece.segment == index) for index in range(len(arrivals))]
    heard = [(arrival, ms / max(1, arrival.duration_ms)) for arrival, ms in zip(arrivals, heard_ms, strict=True) if ms]
    known = [(arrival.speech, share) for arrival, share in heard if arrival.speech is not None]
    if not known or len(known) < len(heard):
        return None
    return Speech(
        outside_ms=sum(round(share * speech.outside_ms) for speech, share in known),
        employee_ms=sum(round(share * speech.employee_ms) for speech, share in known),
        overlap_ms=sum(round(share * speech.overlap_ms) for speech, share in known),
        silence_ms=sum(round(share * speech.silence_ms) for speech, share in known),
        longest_silence_ms=max(speech.longest_silence_ms for speech, _ in known),
        first_word_ms=_first_word(arrivals, sound),
    )


def _first_word(arrivals: list[Arrival], sound: Sound) -> int | None:
    """Return when somebody spoke first in the sound."""
    words = [
        place.offset_ms + arrival.speech.first_word_ms
        for arrival, place in zip(arrivals, sound.places, strict=True)
        if arrival.speech is not None and arrival.speech.first_word_ms is not None
    ]
    return min(words, default=None)
