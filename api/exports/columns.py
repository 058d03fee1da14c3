"""A call as the row of a table on paper: the manual's ten columns, in the words the portal shows (manual, IV). Pure."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from api.exports.labels import Words
from api.presenters.live_call import live
from fonoteka.core.call_report import RecorderState, RecordingState
from store.queries.calls import SeenCall

# Line ends and other control characters, and what no XML may hold: none of it belongs into a cell.
_NO_TEXT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")
_LONGEST: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """`started_at` is a naive time on the domain's clock, in whole seconds, as the portal shows it."""

    employee: str
    direction: str
    result: str
    src: str
    dst: str
    answered_by: str
    started_at: datetime
    duration_s: int
    recording: str


def row(seen: SeenCall, zone: ZoneInfo, words: Words) -> Row:
    """What the portal's table says of a call; where that has a dash, the cell is empty."""
    return Row(
        employee=one_line(seen.employee_name or seen.employee or ""),
        direction=words.direction[seen.direction],
        result=_result(seen, words),
        src=one_line(seen.src),
        dst=one_line(seen.dst),
        answered_by=one_line(seen.answered_by or ""),
        started_at=seen.started_at.astimezone(zone).replace(microsecond=0, tzinfo=None),
        duration_s=seen.duration_s,
        recording=_recording(seen, zone, words),
    )


def has_audio(seen: SeenCall) -> bool:
    """Whether there is anything to hear."""
    return seen.recording.state in (RecordingState.READY, RecordingState.PARTIAL)


def one_line(text: str) -> str:
    """Text as a cell may hold it: what was no text is a space, and of what no telephone can show the beginning is enough."""
    return _NO_TEXT.sub(" ", text).strip()[:_LONGEST]


def _result(seen: SeenCall, words: Words) -> str:
    if seen.ended_at is None:
        return words.ringing if seen.answered_at is None else words.talking
    return words.result[seen.result]


def _recording(seen: SeenCall, zone: ZoneInfo, words: Words) -> str:
    """How long it is where there is sound, else why there is none."""
    recording = seen.recording
    if has_audio(seen):
        length = _length(recording.duration_ms or 0)
        if recording.state is RecordingState.READY:
            return length
        why = f": {_in_a_sentence(words.reason[recording.reason])}" if recording.reason else ""
        return f"{length} ({words.partial}{why})"
    if (going := live(seen, zone)) is not None and going.recorder is RecorderState.PAUSED:
        return words.paused
    return words.reason[recording.reason] if recording.reason else words.state[recording.state]


def _in_a_sentence(said: str) -> str:
    return said[:1].lower() + said[1:]


def _length(milliseconds: int) -> str:
    minutes, seconds = divmod(milliseconds // 1000, 60)
    return f"{minutes}:{seconds:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
