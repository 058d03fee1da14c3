"""The report of a call, the vocabulary of all parts of Fonoteka.

The agent folds PBX events into calls and ships each call as a `CallReport`; the store keeps the
newest revision. Times are aware datetimes; lengths are milliseconds, named `_ms`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Direction(StrEnum):
    """The direction of a call, seen from the domain (manual, IV)."""

    IN = "in"
    OUT = "out"
    INTERNAL = "internal"


class Result(StrEnum):
    """How a call ended (manual, IV: «Тип»).

    During a call: `ANSWERED` once it was answered, else `NO_ANSWER`.
    """

    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    OTHER = "other"


class RecordingState(StrEnum):
    """The state of a call's recording."""

    NONE = "none"
    RECORDING = "recording"
    PROCESSING = "processing"
    READY = "ready"
    PARTIAL = "partial"
    FAILED = "failed"
    EXPIRED = "expired"


class Reason(StrEnum):
    """Why a call has no recording or an incomplete one; the portal has a text for each."""

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
    QUOTA = "quota"
    STOPPED_BY_USER = "stopped_by_user"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Whether one user's side of a call is recorded; `reason` says why not, else None."""

    record: bool
    reason: Reason | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """How well one leg of a call was transmitted, from Asterisk's own figures.

    `mos` is the mean opinion score, 1 to 5; `loss_pct` the share of RTP packets that were lost, 0
    to 100; `jitter_ms` the mean deviation of their intervals; `rtt_ms` the round trip, None if the
    other side sent no RTCP.
    """

    mos: float
    loss_pct: float
    jitter_ms: int
    rtt_ms: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PathStep:
    """One step in the history of a call.

    `who` and `by` are extensions or numbers (or a parking place, a conference), empty if unknown.
    Values of `what`:

    - `who` acts: `answer`, `back` (to the talk, after asking a colleague), `hold`, `resume`, `join`
      (a conference), `leave` (hangs up), `give_up` (hangs up before an answer);
    - `who` is reached: `arrive` (dialled first), `ring` (`by`: if not by the caller), `busy`,
      `no_answer`, `fail`, `voicemail` (a mailbox answers);
    - `by` acts on `who`: `forward`, `transfer`, `park` and `fetch` (a place), `pick_up` (a ringing
      phone);
    - recording: `record` (starts by the setting of `who`), `record_by_pbx` (the same, by the
      dialplan while the agent was away), `no_record` (not recorded by the setting of `who`;
      `reason` says why), `pause_record`, `resume_record`, `stop_record` (requested);
    - how the sound arrived, at the end, with `quality`, the worst first: `heard` (that of `who`),
      `hears` (that of the others, as the telephone of `who` reported);
    - `end`: the last party has left.
    """

    at: datetime
    what: str
    who: str
    by: str = ""
    reason: Reason | None = None
    quality: Quality | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MutedSpan:
    """A span in which the recording was paused; times from the start of the segment's audio."""

    from_ms: int
    to_ms: int


class RecorderState(StrEnum):
    """Whether a user is being recorded now."""

    ON = "on"
    PAUSED = "paused"
    OFF = "off"


class Action(StrEnum):
    """What can be requested for the recording of a call in progress."""

    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, kw_only=True, slots=True)
class Party:
    """A party that talks now: an extension or a number, and the login of the user if it is one."""

    who: str
    login: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class UserRecordingStatus:
    """The recording of one user who talks now, or whose forwarded call is recorded.

    `reason` says why the recorder is off, else None. `may_start` and `may_stop` say what the user
    may request; an administrator may start the same recordings and stop any. A recording that is on
    may be paused.
    """

    user: str
    recorder: RecorderState
    reason: Reason | None
    may_start: bool
    may_stop: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveReport:
    """A call in progress: the parties, the start of the talk (None before), and the recordings."""

    parties: tuple[Party, ...] = ()
    talking_since: datetime | None = None
    sides: tuple[UserRecordingStatus, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentReport:
    """One continuous recording of a talk, for one user of the domain.

    `name` is unique on the PBX. `reason` is None while audio is expected or has arrived, else it
    says why there will be none.
    """

    name: str
    user: str
    started_at: datetime
    reason: Reason | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallReport:
    """The state of one call at one moment. `revision` grows with each change; the newest counts.

    `employee` and `participants` are logins. `participants` are the users who called, talked or,
    if the call was not answered, were rung. `number` is the number of the domain by which the call
    came in or went out, as the domain writes it; None for another number. `src` and `dst` come from
    the PBX and must be treated as hostile text. `reason` is None exactly when there are segments.
    `merged_into` is the linkedid of the call into which this call was merged (a transfer by the
    telephone itself, a parked call fetched); the merged call has no row. `live` is None after the
    end of the call. `further`: the call concerns several domains of the PBX, and this is the report
    of one after the first; each has its own row, with nothing of the others in it.

    `trunk` is the endpoint of the outside party, `queue` the name of the queue that the call
    entered last before it was answered. `wait_ms` is the time from the first ring or the entry into
    the queue until the answer, or until the caller gave up. `quality` is that of the worst leg.
    Each is None if it is not known or does not apply.
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
    further: bool = False
    trunk: str | None = None
    queue: str | None = None
    wait_ms: int | None = None
    quality: Quality | None = None
