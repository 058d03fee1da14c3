"""The state of a call's recording, as a table."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fonoteka.core.call_report import Reason, RecordingState
from fonoteka.core.manifest import Speech
from store.intake.recording_state import Arrival, Segment, assess, assess_for

BEGIN = datetime(2026, 11, 22, 16, 43, 42, tzinfo=UTC)


def segment(
    user: str = "152",
    at_s: int = 0,
    *,
    audio_ms: int | None = None,
    talk_ms: int = 5000,
    why: Reason | None = None,
    salvaged: bool = False,
) -> Segment:
    arrival = None if audio_ms is None else Arrival(duration_ms=audio_ms, talk_ms=talk_ms, muted=(), salvaged=salvaged)
    return Segment(name=f"{user}-{at_s}", user=user, started_at=BEGIN + timedelta(seconds=at_s), reason=why, arrival=arrival)


WAITING, COMPLETE, SHORT = segment(), segment(audio_ms=5000), segment(audio_ms=4499, talk_ms=14_500)
FAILED = segment("421", 9, why=Reason.DISK_FULL)


@pytest.mark.parametrize(
    ("segments", "reason", "ended", "state", "why", "duration_ms"),
    [
        ([], Reason.USER_OFF, True, RecordingState.NONE, Reason.USER_OFF, None),
        ([], None, False, RecordingState.NONE, Reason.NOT_ANSWERED, None),
        ([], Reason.AGENT_WAS_DOWN, True, RecordingState.NONE, Reason.AGENT_WAS_DOWN, None),
        ([], Reason.DISK_FULL, True, RecordingState.FAILED, Reason.DISK_FULL, None),
        ([], Reason.RETENTION, True, RecordingState.EXPIRED, Reason.RETENTION, None),
        ([WAITING], None, False, RecordingState.RECORDING, None, None),
        ([WAITING], None, True, RecordingState.PROCESSING, None, None),
        ([COMPLETE], None, True, RecordingState.READY, None, 5000),
        ([COMPLETE], None, False, RecordingState.READY, None, 5000),
        ([COMPLETE, segment("421", 9)], None, False, RecordingState.RECORDING, None, 5000),
        ([COMPLETE, segment("421", 9)], None, True, RecordingState.PROCESSING, None, 5000),
        ([segment(audio_ms=4500, talk_ms=14_500)], None, True, RecordingState.READY, None, 4500),
        ([segment(audio_ms=4499, salvaged=True)], None, True, RecordingState.PARTIAL, Reason.AUDIO_DAMAGED, 4499),
        ([SHORT], None, True, RecordingState.PARTIAL, Reason.ASTERISK_FAILED, 4499),
        ([segment(audio_ms=1000, salvaged=True)], None, True, RecordingState.PARTIAL, Reason.AUDIO_DAMAGED, 1000),
        ([segment(audio_ms=5000, salvaged=True)], None, True, RecordingState.READY, None, 5000),
        ([FAILED], None, True, RecordingState.FAILED, Reason.DISK_FULL, None),
        ([COMPLETE, FAILED], None, True, RecordingState.PARTIAL, Reason.DISK_FULL, 5000),
        ([segment(audio_ms=5000, why=Reason.AGENT_WAS_DOWN)], None, True, RecordingState.PARTIAL, Reason.AGENT_WAS_DOWN, 5000),
        (
            [segment(audio_ms=5000, why=Reason.AUDIO_DAMAGED)],
            None,
            True,
            RecordingState.READY,
            None,
            5000,
        ),  # set aside, then tried again
        ([segment(why=Reason.STOPPED_BY_USER)], None, False, RecordingState.RECORDING, None, None),
        ([segment(audio_ms=2000, why=Reason.STOPPED_BY_USER)], None, True, RecordingState.PARTIAL, Reason.STOPPED_BY_USER, 2000),
        ([segment(why=Reason.RETENTION)], None, True, RecordingState.EXPIRED, Reason.RETENTION, None),
    ],
)
def test_the_state_follows_from_what_was_reported_and_what_arrived(
    segments: list[Segment], reason: Reason | None, ended: bool, state: RecordingState, why: Reason | None, duration_ms: int | None
) -> None:
    recording = assess(segments, reason=reason, ended=ended)
    assert (recording.state, recording.reason, recording.duration_ms) == (state, why, duration_ms)


def test_parts_follow_each_other_in_the_order_of_their_start() -> None:
    recording = assess(
        [segment("421", 30, audio_ms=700), segment("152", 0, audio_ms=5000), segment("900", 10, why=Reason.NO_AUDIO)],
        reason=None,
        ended=True,
    )
    assert [(part.user, part.offset_ms, part.duration_ms) for part in recording.parts] == [("152", 0, 5000), ("421", 5000, 700)]


@pytest.mark.parametrize(
    ("login", "state", "why", "duration_ms"),
    [
        ("152", RecordingState.READY, None, 5000),
        ("421", RecordingState.FAILED, Reason.DISK_FULL, None),
        ("130", RecordingState.NONE, Reason.USER_OFF, None),
    ],
)
def test_a_participant_sees_their_own_segments(
    login: str, state: RecordingState, why: Reason | None, duration_ms: int | None
) -> None:
    recording = assess_for(login, [COMPLETE, FAILED], reason=None, ended=True)
    assert (recording.state, recording.reason, recording.duration_ms) == (state, why, duration_ms)


def test_without_segments_every_participant_sees_the_calls_reason() -> None:
    assert assess_for("421", [], reason=Reason.FORWARDED_INTERNATIONAL, ended=True).reason is Reason.FORWARDED_INTERNATIONAL


def speech(first_word_ms: int | None, silence_ms: int) -> Speech:
    return Speech(
        outside_ms=1000,
        employee_ms=2000,
        overlap_ms=100,
        silence_ms=silence_ms,
        longest_silence_ms=silence_ms,
        first_word_ms=first_word_ms,
    )


def spoken(at_s: int, said: Speech | None) -> Segment:
    arrival = Arrival(duration_ms=5000, talk_ms=5000, muted=(), salvaged=False, speech=said)
    return replace(segment(at_s=at_s, audio_ms=5000), arrival=arrival)


def test_who_spoke_adds_up_and_is_unknown_unless_it_is_known_of_all_audio() -> None:
    silent, loud = spoken(0, speech(None, 5000)), spoken(9, speech(700, 300))
    added = assess([loud, silent, FAILED], reason=None, ended=True).speech
    assert added == Speech(
        outside_ms=2000, employee_ms=4000, overlap_ms=200, silence_ms=5300, longest_silence_ms=5000, first_word_ms=5700
    )
    assert assess([loud, spoken(20, None)], reason=None, ended=True).speech is None
    assert assess([WAITING], reason=None, ended=True).speech is None
