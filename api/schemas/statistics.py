"""Responses of `/api/stats/…`; each count is the `total` of a selection of calls."""

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class _Counts(_Model):
    out: int = Field(description="outgoing, answered")
    out_failed: int = Field(description="outgoing, not answered")
    in_: int = Field(alias="in", description="incoming, answered")
    in_missed: int = Field(description="incoming, not answered, busy included")


class HourCounts(_Counts):
    """Calls that began in one hour of the day, in the domain's time zone."""

    hour: int = Field(ge=0, le=23)


class Hourly(_Model):
    """All 24 hours. The four counts are disjoint and add up to all external calls."""

    rows: list[HourCounts]


class WeekHourCounts(HourCounts):
    """Calls that began in one hour of one weekday; 1 is Monday (ISO 8601)."""

    weekday: int = Field(ge=1, le=7)


class WeekHours(_Model):
    """All 168 hours of a week, Monday first."""

    rows: list[WeekHourCounts]


class IncomingTotals(_Model):
    """`in`: all incoming calls; `busy`: result busy; `missed`: the other unanswered ones."""

    in_: int = Field(alias="in")
    missed: int
    busy: int


class IncomingOfNumber(IncomingTotals):
    """Incoming calls to a number; `label` is empty if the number is not in the domain's list."""

    number: str
    label: str


class IncomingOfEmployee(_Model):
    """Incoming calls that a user answered; `name` is the login of a user who was deleted."""

    login: str
    name: str
    calls: int
    talk_s: int


class Incoming(_Model):
    """Incoming calls: all, by number, by the user who answered; the highest counts first."""

    totals: IncomingTotals
    by_number: list[IncomingOfNumber]
    by_employee: list[IncomingOfEmployee]


class OutgoingTotals(_Model):
    """All outgoing calls, and those that were answered."""

    calls: int
    answered: int


class _OutgoingOf(OutgoingTotals):
    talk_s: int


class OutgoingOfNumber(_OutgoingOf):
    """Outgoing calls from a number."""

    number: str
    label: str


class OutgoingOfEmployee(_OutgoingOf):
    """Outgoing calls of a user."""

    login: str
    name: str


class Outgoing(_Model):
    """Outgoing calls: all, by number, by user; the highest counts first."""

    totals: OutgoingTotals
    by_number: list[OutgoingOfNumber]
    by_employee: list[OutgoingOfEmployee]


class DurationBand(_Model):
    """Outgoing calls with from_s <= talk_s < to_s; `to_s` null is no upper limit."""

    from_s: int
    to_s: int | None
    calls: int


class LongerThan(_Model):
    """Outgoing calls with talk_s > `seconds`."""

    seconds: int
    calls: int


class Durations(_Model):
    """All outgoing calls by talk time; an unanswered call has 0 seconds."""

    rows: list[DurationBand]
    longer_than: LongerThan | None


class CallBacks(_Model):
    """Missed calls; `median_wait_s` is from a missed call to the answer of the call back."""

    missed: int
    called_back: int
    not_called_back: int
    median_wait_s: int | None


class SpeechOfEmployee(_Model):
    """Sums over the calls of an employee; `longest_silence_s` is the longest of all.

    `login` and `name` are null for calls without an employee. The calls are those of
    `employee_login` with `silence_min_s=0`.
    """

    login: str | None
    name: str | None
    calls: int
    outside_s: float
    employee_s: float
    overlap_s: float
    silence_s: float
    longest_silence_s: float


class Speech(_Model):
    """Who spoke how long, by employee, in the calls whose recording tells it; most calls first."""

    by_employee: list[SpeechOfEmployee]


class WaitingTotals(_Model):
    """Incoming calls whose wait is known: `calls` in all, and how long their callers waited.

    `answered` and `abandoned` (not answered, busy included) add up to `calls`; `answered_within`
    is the part of `answered` with a wait of at most `within_s`. `average_s` and `longest_s` are of
    all calls; null if there are none.
    """

    calls: int
    answered: int
    answered_within: int
    abandoned: int
    average_s: int | None
    longest_s: int | None


class WaitingOfQueue(WaitingTotals):
    """The calls that waited in a queue."""

    queue: str


class WaitingOfNumber(WaitingTotals):
    """The calls to a number; `label` is empty if the number is not in the domain's list."""

    number: str
    label: str


class WaitingOfHour(WaitingTotals):
    """The calls that began in one hour of the day, in the domain's time zone."""

    hour: int = Field(ge=0, le=23)


class Waiting(_Model):
    """How long callers waited: all, by queue and by number (most calls first), in all 24 hours.

    The wait is not known of calls for which nothing rang, and of those of older versions.
    """

    within_s: int
    totals: WaitingTotals
    by_queue: list[WaitingOfQueue]
    by_number: list[WaitingOfNumber]
    by_hour: list[WaitingOfHour]


class QualityTotals(_Model):
    """Calls whose quality is known: `calls` in all, `bad` those with a score below `bad_below`.

    `average_mos`, `average_loss_pct` and `worst_mos` are of the worst leg of each; null if there
    are no calls.
    """

    calls: int
    bad: int
    average_mos: float | None
    average_loss_pct: float | None
    worst_mos: float | None


class QualityOfTrunk(QualityTotals):
    """The calls through a trunk."""

    trunk: str


class QualityOfEmployee(QualityTotals):
    """The calls of an employee."""

    login: str
    name: str


class QualityOfHour(QualityTotals):
    """The calls that began in one hour of the day, in the domain's time zone."""

    hour: int = Field(ge=0, le=23)


class Qualities(_Model):
    """How well calls went: all, by trunk and employee (most bad calls first), in all 24 hours.

    The quality is not known of talks of less than five seconds, and of calls of older versions.
    """

    bad_below: float
    totals: QualityTotals
    by_trunk: list[QualityOfTrunk]
    by_employee: list[QualityOfEmployee]
    by_hour: list[QualityOfHour]
