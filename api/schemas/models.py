"""What the API says, as JSON: the shapes of CONTRACT.md. The portal's types are generated from these."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

from fonoteka.core.call_report import Action, Direction, Reason, RecorderState, RecordingState, Result
from fonoteka.core.domains import RecordRule, Role

Moment = Annotated[
    datetime,
    PlainSerializer(lambda moment: moment.isoformat(timespec="milliseconds"), return_type=str),
    Field(description="ISO 8601 with milliseconds and the offset of the domain's time zone"),
]


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Employee(_Shape):
    """The person of the company whose call it is; `name` is the login where the user is not known (any more)."""

    login: str
    name: str


class MutedSpan(_Shape):
    """A pause, counted from the start of its segment."""

    from_ms: int
    to_ms: int


class Segment(_Shape):
    """A part of the joined audio."""

    user: str
    offset_ms: int
    duration_ms: int
    muted: list[MutedSpan]


class Recording(_Shape):
    """`reason` is null exactly in the states ready, recording and processing."""

    state: RecordingState
    reason: Reason | None
    duration_ms: int | None
    held: bool
    segments: list[Segment]


class PathStep(_Shape):
    """A station of the call's way; `who` and `by` are extensions or numbers, empty if unknown.

    What `who` does: answer, back, hold, resume, join, leave, give_up. What befalls `who`: arrive, ring (perhaps by
    somebody), busy, no_answer, fail. What `by` does to `who`: forward, transfer, park, fetch, pick_up. What is recorded by
    the setting of `who`: record, no_record (`reason` says why), pause_record, resume_record, stop_record. At last: end.
    """

    at: Moment
    what: str
    who: str
    by: str
    reason: Reason | None


class Party(_Shape):
    """One who talks now; `name` is null for who is not of the company."""

    who: str
    name: str | None


class Live(_Shape):
    """A call while it goes on. `recorder` and `actions` are the viewer's: of their own side, an administrator's of all sides.

    `parties` is empty, and `talking_since` null, while it rings. `reason` tells why the recorder is off, if a user talks.
    """

    parties: list[Party]
    talking_since: Moment | None
    recorder: RecorderState
    reason: Reason | None
    actions: list[Action]


class Call(_Shape):
    """A row of the table. While the call goes on `ended_at` is null and `duration_s` is the seconds so far."""

    id: str
    pbx: str
    linkedid: str
    domain: str
    direction: Direction
    result: Result
    employee: Employee | None
    src: str
    src_name: str
    dst: str
    number: str | None
    answered_by: str | None
    started_at: Moment
    answered_at: Moment | None
    ended_at: Moment | None
    duration_s: int
    talk_s: int
    called_back_at: Moment | None
    recording: Recording
    live: Live | None


class CallWithPath(Call):
    """A call and the stations of its way."""

    path: list[PathStep]


class Calls(_Shape):
    """A page. `total` is exact up to 10 000 and stays there beyond."""

    items: list[Call]
    next: str | None
    total: int | None
    total_is_exact: bool


class LiveCalls(_Shape):
    """The calls that are going on, the newest first."""

    items: list[CallWithPath]


class RecordingRequest(_Shape):
    """What is asked of the recording of a call that is going on."""

    action: Action


class HoldRequest(_Shape):
    """Whether a call is to be kept whatever its age, and why (or why no longer)."""

    hold: bool
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""


class AuditedCall(_Shape):
    """The call that an entry is about, as far as it tells which one."""

    src: str
    dst: str
    started_at: Moment


class AuditEntry(_Shape):
    """Somebody did something. `login` is empty for the operator of the machine, `name` null for whom the domain does not know.

    `subject` is a call's id, a login or a number; `call` is null unless it is a call that is still there.
    """

    at: Moment
    login: str
    name: str | None
    address: str
    action: str
    subject: str
    detail: dict[str, Any]
    call: AuditedCall | None


class Audit(_Shape):
    """A page, the newest first. `total` is exact up to 10 000 and stays there beyond."""

    items: list[AuditEntry]
    next: str | None
    total: int
    total_is_exact: bool


class Peaks(_Shape):
    """The waveform of the joined audio, `per_second` values a second; `right` is empty if all of it is mono."""

    duration_ms: int
    per_second: int
    left: list[int]
    right: list[int]


class ClockOffset(_Shape):
    """How far a clock is ahead of UTC, and until when."""

    offset_s: int
    until: Moment


class DomainOfMe(_Shape):
    """The company of whoever is logged in. `clock` is how its clock goes for a year: two lines more where there is summer time."""

    name: str
    title: str
    timezone: str
    clock: list[ClockOffset]


class Me(_Shape):
    """Whoever is logged in."""

    login: str
    name: str
    role: Role
    domain: DomainOfMe


class Credentials(_Shape):
    """The three fields of the login form."""

    domain: str = Field(max_length=200)
    login: str = Field(max_length=200)
    password: str = Field(max_length=1000)


class PasswordChange(_Shape):
    """One's own password, the present one and the new one."""

    current: str = Field(max_length=1000)
    new: str = Field(min_length=8, max_length=1000)


class LoggedIn(_Shape):
    """`token` is for programs (`Authorization: Bearer`); a browser has its cookie."""

    token: str
    me: Me


class Portal(_Shape):
    """What the login page may tell anybody: whom to turn to (null where that is not configured), whether help can be sent."""

    support_phone: str | None
    support_email: str | None
    can_send_help: bool


class SupportRequest(_Shape):
    """«Нужна помощь». `contact` is how to answer: an e-mail address or a telephone number."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    contact: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    message: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5000)]
    domain: str | None = Field(default=None, max_length=200)


class User(_Shape):
    """A user of the domain."""

    login: str
    name: str
    extension: str
    role: Role
    record: RecordRule


class UserChange(_Shape):
    """What is absent or null stays as it is."""

    record: RecordRule | None = None
    name: str | None = Field(default=None, min_length=1, max_length=200)


class Number(_Shape):
    """A number of the company."""

    number: str
    label: str


class ParameterError(_Shape):
    """One value that was not understood."""

    where: str
    message: str


class Problem(_Shape):
    """RFC 9457. `type` is stable, the words are not."""

    type: str
    title: str
    status: int
    detail: str | None = None
    errors: list[ParameterError] | None = None


class LiveCall(_Shape):
    """A call began, changed or ended."""

    type: Literal["call"] = "call"
    call: Call


class LiveRecording(_Shape):
    """A call's recording changed its state."""

    type: Literal["recording"] = "recording"
    id: str
    recording: Recording


class LiveGone(_Shape):
    """A call is no longer to be shown: it became a part of another one, or was taken by somebody else's telephone."""

    type: Literal["gone"] = "gone"
    id: str


class LiveResync(_Shape):
    """More happened than could be told one by one: read the list again."""

    type: Literal["resync"] = "resync"
