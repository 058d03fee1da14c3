"""Requests and responses of the API. The portal's types are generated from them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

from fonoteka.core.call_report import Action, Direction, Reason, RecorderState, RecordingState, Result
from fonoteka.core.disk_forecast import DiskState
from fonoteka.core.domains import RecordRule, Role
from store.people.password_rule import LONGEST, SHORTEST, broken_rule

Moment = Annotated[
    datetime,
    PlainSerializer(lambda moment: moment.isoformat(timespec="milliseconds"), return_type=str),
    Field(description="ISO 8601 with milliseconds and the offset of the domain's time zone"),
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Employee(_Model):
    """The user of a call; `name` is the login if the user does not exist any more."""

    login: str
    name: str


class MutedSpan(_Model):
    """A pause, in milliseconds from the start of its segment."""

    from_ms: int
    to_ms: int


class Segment(_Model):
    """A part of the recording, and its place in the sound, in which each moment is heard once.

    Segments of the same moment overlap: users who were recorded together, or an enquiry on another
    line while the customer is on hold.
    """

    user: str
    offset_ms: int
    duration_ms: int
    muted: list[MutedSpan]


class Speech(_Model):
    """Who spoke for how long, in seconds; `outside_s` and `employee_s` both contain `overlap_s`.

    `first_word_s` is when somebody spoke first; null if nobody did.
    """

    outside_s: float
    employee_s: float
    overlap_s: float
    silence_s: float
    longest_silence_s: float
    first_word_s: float | None


class Quality(_Model):
    """How well the worst leg of a call was transmitted.

    `mos` is 1 to 5, `loss_pct` the share of lost packets; `rtt_ms` is null if it is not known.
    """

    mos: float
    loss_pct: float
    jitter_ms: int
    rtt_ms: int | None


class Recording(_Model):
    """The recording of a call; `reason` is null in the states ready, recording and processing.

    `expires_at` is when the first of its segments is deleted, by the retention of its user or of
    the domain; null if the call is held or there is no audio. `speech` is null if it is not known.
    """

    state: RecordingState
    reason: Reason | None
    duration_ms: int | None
    held: bool
    expires_at: Moment | None
    speech: Speech | None
    segments: list[Segment]


class PathStep(_Model):
    """A step of the call's path; `who` and `by` are extensions or numbers, empty if unknown.

    `what` is one of the following. Actions of `who`: answer, back, hold, resume, join, leave,
    give_up. Events at `who`: arrive, ring (perhaps caused by `by`), busy, no_answer, fail,
    voicemail (a mailbox answers). Actions of `by` on `who`: forward, transfer, park, fetch,
    pick_up. Recording by the rule of `who`: record, record_by_pbx (by the dialplan while the agent
    was away), no_record (with `reason`), pause_record, resume_record, stop_record. How the sound
    arrived, with `quality`, the worst first: heard (that of `who`), hears (that of the others, as
    the telephone of `who` reported). The last step: end.
    """

    at: Moment
    what: str
    who: str
    by: str
    reason: Reason | None
    quality: Quality | None


class Party(_Model):
    """A party that talks now; `name` is null if it is not a user of the domain."""

    who: str
    name: str | None


class Live(_Model):
    """A call in progress. `recorder` and `actions` are for the sides that the viewer may control.

    A user may control their own side, an administrator all sides. While the call rings, `parties`
    is empty and `talking_since` null. `reason` is why the recorder is off while a user talks.
    """

    parties: list[Party]
    talking_since: Moment | None
    recorder: RecorderState
    reason: Reason | None
    actions: list[Action]


class Call(_Model):
    """A row of the table. In progress, `ended_at` is null and `duration_s` the time so far.

    `wait_s` is the time from the first ring, or from the entry into the queue, until the answer or
    until the caller gave up. `trunk`, `queue`, `wait_s` and `quality` are null if they are not
    known.
    """

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
    trunk: str | None
    queue: str | None
    wait_s: int | None
    quality: Quality | None
    called_back_at: Moment | None
    recording: Recording
    live: Live | None


class CallWithPath(Call):
    """A call with the steps of its path."""

    path: list[PathStep]


class Calls(_Model):
    """A page of calls. `total` is exact up to 10 000, and 10 000 beyond."""

    items: list[Call]
    next: str | None
    total: int | None
    total_is_exact: bool


class LiveCalls(_Model):
    """The calls in progress, the newest first."""

    items: list[CallWithPath]


class RecordingRequest(_Model):
    """An action on the recording of a call in progress."""

    action: Action


class LegalHoldRequest(_Model):
    """Whether a call is under legal hold, and the reason for the change."""

    hold: bool
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""


class AuditedCall(_Model):
    """The call of an audit entry, for recognition."""

    src: str
    dst: str
    started_at: Moment


class AuditEntry(_Model):
    """An audit entry. `login` is empty for the operator of the server; `name` is null if unknown.

    `subject` is the id of a call, a login or a number; `call` is null unless the subject is a call
    that still exists. Failed logins at unknown logins are counted, with the login `*`.

    The `detail` of `listened` and `downloaded` has `of_ms`, the length of the recording, and
    `heard_ms`, the parts `[from, to]` that were sent. Such an entry grows, as does that of an
    export, which has `calls` at its end.
    """

    at: Moment
    login: str
    name: str | None
    address: str
    action: str
    subject: str
    detail: dict[str, Any]
    call: AuditedCall | None


class Audit(_Model):
    """A page of entries, the newest first. `total` is exact up to 10 000, and 10 000 beyond."""

    items: list[AuditEntry]
    next: str | None
    total: int
    total_is_exact: bool


class SubjectCall(_Model):
    """A call of an outside party that an erasure leaves."""

    id: str
    started_at: Moment
    direction: Direction
    src: str
    dst: str


class Subject(_Model):
    """What is kept of an outside party. `number` is E.164, or digits of no known numbering plan.

    `recordings` is the number of calls with audio. An erasure leaves the calls under legal hold
    (`held`) and the calls in progress; they are counted in `calls` too.
    """

    number: str
    calls: int
    recordings: int
    first_at: Moment | None
    last_at: Moment | None
    held: list[SubjectCall]
    in_progress: list[SubjectCall]


class SubjectErased(_Model):
    """What an erasure did: the number of `erased` calls, and the calls that are left.

    `failed` is the number of calls that could not be erased: erase again.
    """

    number: str
    erased: int
    failed: int
    held: list[SubjectCall]
    in_progress: list[SubjectCall]


class Peaks(_Model):
    """The waveform of the joined recording, in values per second; `right` is empty for mono.

    Each digit of `speech` says who spoke during a value: 0 nobody, 1 the outside party, 2 the
    employee, 3 both. It is empty if that is not known of the whole recording.
    """

    duration_ms: int
    per_second: int
    left: list[int]
    right: list[int]
    speech: str


class DomainOfMe(_Model):
    """The domain of the account that is logged in; `timezone` is an IANA name."""

    name: str
    title: str
    timezone: str


class Me(_Model):
    """The account that is logged in.

    Two fields are for administrators, null for others. `store_disk`: the disk of the recordings is
    filling up (`low`), or recordings wait on the PBX until there is space (`full`).
    `quota_nearly_used`: the domain has used 90 % of its quota; beyond it the oldest recordings are
    deleted.
    """

    login: str
    name: str
    role: Role
    domain: DomainOfMe
    store_disk: DiskState | None
    quota_nearly_used: bool | None


class Session(_Model):
    """An open session; `device` is the User-Agent of its login, `current` marks the request's."""

    id: str
    device: str
    address: str
    begun_at: Moment
    last_seen_at: Moment
    current: bool


class Credentials(_Model):
    """The fields of the login form."""

    domain: str = Field(max_length=200)
    login: str = Field(max_length=200)
    password: str = Field(max_length=1000)


def _new_password(password: str) -> str:
    if problem := broken_rule(password):
        raise ValueError(problem)
    return password


class PasswordChange(_Model):
    """The current and the new password of the account."""

    current: str = Field(max_length=1000)
    new: Annotated[str, Field(min_length=SHORTEST, max_length=LONGEST, pattern=r"\S"), AfterValidator(_new_password)]


class LoggedIn(_Model):
    """A new session. Programs send `token` (`Authorization: Bearer`), browsers the cookie."""

    token: str
    me: Me


class Portal(_Model):
    """Contacts of support (null if not configured), and whether help can be requested."""

    support_phone: str | None
    support_email: str | None
    can_send_help: bool


class SupportRequest(_Model):
    """«Нужна помощь». `contact` is an e-mail address or a telephone number, for the answer."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    contact: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    message: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5000)]
    domain: str | None = Field(default=None, max_length=200)


class User(_Model):
    """A user of the domain."""

    login: str
    name: str
    extension: str
    role: Role
    record: RecordRule


class UserChange(_Model):
    """A change of a user; a field that is absent or null stays as it is."""

    record: RecordRule | None = None
    name: str | None = Field(default=None, min_length=1, max_length=200)


class Number(_Model):
    """A number of the domain."""

    number: str
    label: str


class ParameterError(_Model):
    """An invalid parameter."""

    where: str
    message: str


class Problem(_Model):
    """A problem document (RFC 9457). `type` is stable, the texts are not."""

    type: str
    title: str
    status: int
    detail: str | None = None
    errors: list[ParameterError] | None = None


class LiveCall(_Model):
    """Message: a call began, changed or ended."""

    type: Literal["call"] = "call"
    call: Call


class LiveRecording(_Model):
    """Message: the recording of a call changed its state."""

    type: Literal["recording"] = "recording"
    id: str
    recording: Recording


class LiveGone(_Model):
    """Message: a call is no longer visible, as it was merged or another user answered it."""

    type: Literal["gone"] = "gone"
    id: str


class LiveResync(_Model):
    """Message: some changes were lost; read the list again."""

    type: Literal["resync"] = "resync"
