"""A call, as every part of Fonoteka speaks of it.

The agent folds PBX events into calls and ships each as a `CallReport`; the store keeps the newest revision.
Times are aware datetimes, lengths are milliseconds and say so.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Direction(StrEnum):
    """Where a call goes, seen from the border of the company (manual, IV)."""

    IN = "in"
    OUT = "out"
    INTERNAL = "internal"


class Result(StrEnum):
    """How a call ended (manual, IV: «Тип»). While a call goes on: `ANSWERED` once somebody took it, else `NO_ANSWER`."""

    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    OTHER = "other"


class RecordingState(StrEnum):
    """What became of a call's recording (CONTRACT.md)."""

    NONE = "none"
    RECORDING = "recording"
    PROCESSING = "processing"
    READY = "ready"
    PARTIAL = "partial"
    FAILED = "failed"
    EXPIRED = "expired"


class Reason(StrEnum):
    """Why a call has no recording, or not a whole one; the portal says each in words."""

    NOT_ANSWERED = "not_answered"
    USER_OFF = "user_off"
    DIRECTION_OFF = "direction_off"
    ON_DEMAND_NOT_ASKED = "on_demand_not_asked"
    FORWARDED_LONG_DISTANCE = "forwarded_long_distance"
    FORWARDED_INTERNATIONAL = "forwarded_international"
    AGENT_WAS_DOWN = "agent_was_down"
    ASTERISK_FAILED = "asterisk_failed"
    NO_AUDIO = "no_audio"
    DISK_FULL = "disk_full"
    AUDIO_DAMAGED = "audio_damaged"
    RETENTION = "retention"
    STOPPED_BY_USER = "stopped_by_user"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Whether one person's side of a call is recorded; `reason` says why not, and is None when it is."""

    record: bool
    reason: Reason | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PathStep:
    """One station of a call's way. `who` and `by` are extensions or numbers (or a parking place, a conference), empty if unknown.

    What `who` does: `answer`, `back` (to the talk, after asking a colleague), `hold`, `resume`, `join` (a conference),
    `leave` (hangs up), `give_up` (hangs up before anybody answered). What befalls `who`: `arrive` (what was dialled first),
    `ring` (by whom, if not by the caller), `busy`, `no_answer`, `fail`. What `by` does, to `who`: `forward`, `transfer`,
    `park` and `fetch` (a place), `pick_up` (whose ringing). `record`: from here it is recorded by the setting of `who`;
    `no_record`: it is not, by `who`'s, and `reason` says why; `pause_record`, `resume_record`, `stop_record`: it was asked for.
    `end`: nobody is left.
    """

    at: datetime
    what: str
    who: str
    by: str = ""
    reason: Reason | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MutedSpan:
    """A stretch in which the recording was paused, from the start of its segment's audio."""

    from_ms: int
    to_ms: int


class RecorderState(StrEnum):
    """Whether somebody is being recorded right now."""

    ON = "on"
    PAUSED = "paused"
    OFF = "off"


class Action(StrEnum):
    """What may be asked of the recording of a call that is going on."""

    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, kw_only=True, slots=True)
class Party:
    """One who talks now: an extension or a number, and who of the company that is."""

    who: str
    login: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class UserRecordingStatus:
    """How it stands with the recording of one user who talks now (or on whose behalf a forwarded talk is recorded).

    `reason` tells why the recorder is off, and is None where it is not. `may_start` and `may_stop` are what the user may ask
    for; an administrator may start the same, and stop any. Who is recorded may be paused.
    """

    user: str
    recorder: RecorderState
    reason: Reason | None
    may_start: bool
    may_stop: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveReport:
    """A call while it goes on: who talks to whom, since when (None while nobody does), and the recording of each side."""

    parties: tuple[Party, ...] = ()
    talking_since: datetime | None = None
    sides: tuple[UserRecordingStatus, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentReport:
    """One stretch of talk that was asked to be recorded, for one user of the company.

    `name` is unique on the PBX. `reason` is None while audio is expected (or has arrived), else why there will be none.
    """

    name: str
    user: str
    started_at: datetime
    reason: Reason | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallReport:
    """Everything known of one call at one moment; `revision` grows with every change, the newest one counts.

    `employee` and `participants` are logins. `participants` took part: called, talked, or — when nobody took the
    call — were rung. `number` is the company's own number that the call came in by (or went out by), as the domain
    writes it, if it is one of the domain's. `src` and `dst` are as the PBX gave them and must be treated as hostile text.
    `reason` is None exactly when there are segments. `merged_into` is the linkedid of the call that this one became a part of
    (a transfer by the telephone itself, a parked call fetched): from then on it has no row of its own. `live` is None once it
    ended.
    """

    pbx: str
    linkedid: str
    revision: int
    domain: str
    direction: Direction
    result: Result
    employee: str | None
    participants: tuple[str, ...]
    src: str
    src_name: str
    dst: str
    number: str | None
    answered_by: str | None
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    talk_ms: int
    segments: tuple[SegmentReport, ...]
    reason: Reason | None
    path: tuple[PathStep, ...]
    merged_into: str | None = None
    live: LiveReport | None = None
