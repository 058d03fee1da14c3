"""What `/api/stats/…` says, as JSON. Every figure is the `total` of the `/api/calls` selection that it opens (CONTRACT.md)."""

from pydantic import BaseModel, ConfigDict, Field


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class _Counts(_Shape):
    out: int = Field(description="outgoing, answered")
    out_failed: int = Field(description="outgoing, not answered")
    in_: int = Field(alias="in", description="incoming, answered")
    in_missed: int = Field(description="incoming, not answered, busy included")


class HourCounts(_Counts):
    """The calls that began in one hour of the domain's clock."""

    hour: int = Field(ge=0, le=23)


class Hourly(_Shape):
    """All 24 hours. The four counts are disjoint and add up to all calls with the outside."""

    rows: list[HourCounts]


class WeekHourCounts(HourCounts):
    """The calls that began in one hour of one weekday; 1 is Monday (ISO 8601)."""

    weekday: int = Field(ge=1, le=7)


class WeekHours(_Shape):
    """All 168 hours of a week, Monday first."""

    rows: list[WeekHourCounts]


class IncomingTotals(_Shape):
    """`in`: all incoming calls; `busy`: result busy; `missed`: the other unanswered ones."""

    in_: int = Field(alias="in")
    missed: int
    busy: int


class IncomingOfNumber(IncomingTotals):
    """The incoming calls to one of the company's numbers; `label` is empty for one that is not (any longer) in its list."""

    number: str
    label: str


class IncomingOfEmployee(_Shape):
    """The incoming calls that somebody of the company took; `name` is the login where the user is not known (any more)."""

    login: str
    name: str
    calls: int
    talk_s: int


class Incoming(_Shape):
    """Incoming calls: in all, by the company's number, by who took them; the most first."""

    totals: IncomingTotals
    by_number: list[IncomingOfNumber]
    by_employee: list[IncomingOfEmployee]


class OutgoingTotals(_Shape):
    """All outgoing calls, and those of them that were answered."""

    calls: int
    answered: int


class _OutgoingOf(OutgoingTotals):
    talk_s: int


class OutgoingOfNumber(_OutgoingOf):
    """The outgoing calls by one of the company's numbers."""

    number: str
    label: str


class OutgoingOfEmployee(_OutgoingOf):
    """The outgoing calls of somebody of the company."""

    login: str
    name: str


class Outgoing(_Shape):
    """Outgoing calls: by the company's number, by employee; the most first."""

    totals: OutgoingTotals
    by_number: list[OutgoingOfNumber]
    by_employee: list[OutgoingOfEmployee]


class DurationBand(_Shape):
    """Outgoing calls with talk_s from `from_s` up to, not including, `to_s` (null: however long)."""

    from_s: int
    to_s: int | None
    calls: int


class LongerThan(_Shape):
    """Outgoing calls with talk_s of more than `seconds`."""

    seconds: int
    calls: int


class Durations(_Shape):
    """All outgoing calls by the length of their talk; one that nobody answered has talked for 0 seconds."""

    rows: list[DurationBand]
    longer_than: LongerThan | None


class CallBacks(_Shape):
    """Missed calls and what became of them; `median_wait_s` from the missed call to the answer of the one that called back."""

    missed: int
    called_back: int
    not_called_back: int
    median_wait_s: int | None
