"""Format a call as an exported row: the manual's ten columns, in the portal's words (manual, IV).

Further columns say how the call came and went; an unknown value leaves its cell empty. Pure.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from api.exports.labels import Words
from api.presenters.live_call import live
from fonoteka.core.call_report import RecorderState, RecordingState
from store.intake.facts import whole_seconds
from store.queries.calls import SeenCall

# Control characters, including line ends, and characters that XML does not allow.
_NOT_IN_A_CELL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")
_MAX_LENGTH: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A row; `started_at` is a naive time in the domain's time zone, in whole seconds.

    `mos`, `loss_pct` and the columns behind them are None if they are not known; see `Quality` and
    `Speech` of the API. The seconds of speech are whole.
    """

    employee: str
    direction: str
    result: str
    src: str
    dst: str
    answered_by: str
    started_at: datetime
    duration_s: int
    recording: str
    trunk: str
    queue: str
    wait_s: int | None
    mos: float | None
    loss_pct: float | None
    outside_s: int | None
    employee_s: int | None
    silence_s: int | None
    longest_silence_s: int | None

    @property
    def numbers(self) -> tuple[float | None, ...]:
        """The last cells, which hold numbers."""
        speech = (self.outside_s, self.employee_s, self.silence_s, self.longest_silence_s)
        return (self.wait_s, self.mos, self.loss_pct, *speech)


def row(seen: SeenCall, zone: ZoneInfo, words: Words) -> Row:
    """Format a call as in the portal's table; where the table has a dash, the cell is empty."""
    quality, speech = seen.quality, seen.recording.speech
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
        trunk=one_line(seen.trunk or ""),
        queue=one_line(seen.queue or ""),
        wait_s=None if seen.wait_ms is None else whole_seconds(seen.wait_ms),
        mos=None if quality is None else round(quality.mos, 1),
        loss_pct=None if quality is None else round(quality.loss_pct, 1),
        outside_s=None if speech is None else whole_seconds(speech.outside_ms),
        employee_s=None if speech is None else whole_seconds(speech.employee_ms),
        silence_s=None if speech is None else whole_seconds(speech.silence_ms),
        longest_silence_s=None if speech is None else whole_seconds(speech.longest_silence_ms),
    )


def has_audio(seen: SeenCall) -> bool:
    """Whether the call has a recording that can be played."""
    return seen.recording.state in (RecordingState.READY, RecordingState.PARTIAL)


def one_line(text: str) -> str:
    """Replace characters that a cell cannot hold with spaces, and cut overlong text."""
    return _NOT_IN_A_CELL.sub(" ", text).strip()[:_MAX_LENGTH]


def _result(seen: SeenCall, words: Words) -> str:
    if seen.ended_at is None:
        return words.ringing if seen.answered_at is None else words.talking
    return words.result[seen.result]


def _recording(seen: SeenCall, zone: ZoneInfo, words: Words) -> str:
    """Return the length of the recording, or the reason why there is none."""
    recording = seen.recording
    if has_audio(seen):
        length = _length(recording.duration_ms or 0)
        if recording.state is RecordingState.READY:
            return length
        reason = f": {_lower_first(words.reason[recording.reason])}" if recording.reason else ""
        return f"{length} ({words.partial}{reason})"
    if (state := live(seen, zone)) is not None and state.recorder is RecorderState.PAUSED:
        return words.paused
    return words.reason[recording.reason] if recording.reason else words.state[recording.state]


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _length(milliseconds: int) -> str:
    minutes, seconds = divmod(milliseconds // 1000, 60)
    return f"{minutes}:{seconds:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
