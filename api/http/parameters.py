"""Query parameters of all routes that take a selection of calls."""

import re
from datetime import date, datetime, time
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from fonoteka.core.call_report import Direction, Result
from store.selection.period import period
from store.selection.selection import Kind, Selection

_PLUS_AS_SPACE: Final = re.compile(r" (\d\d:?\d\d)$")  # a + that a client did not escape
_YEARS: Final = range(1971, 2200)


def _moment(value: Any) -> date | datetime:
    text = _PLUS_AS_SPACE.sub(r"+\1", str(value))
    try:
        moment = date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a date such as 2026-11-22 or a time such as 2026-11-22T08:00") from None
    if moment.year not in _YEARS:
        raise ValueError(f"must lie between {_YEARS.start} and {_YEARS.stop - 1}")
    return moment


def _time_of_day(value: Any) -> time:
    text = str(value)
    try:
        moment = time() if text in ("24:00", "24:00:00") else time.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a time of day such as 08:00") from None
    if moment.tzinfo is not None:
        raise ValueError("must be a time of day in the domain's time zone, without an offset")
    return moment


def without_nul(text: str) -> str:
    """Return the text. Raises ValueError if it has a NUL, which PostgreSQL cannot store."""
    if "\0" in text:
        raise ValueError("must not hold NUL")
    return text


Moment = Annotated[date | datetime, PlainValidator(_moment), WithJsonSchema({"type": "string", "examples": ["2026-11-22"]})]
TimeOfDay = Annotated[time, PlainValidator(_time_of_day), WithJsonSchema({"type": "string", "examples": ["08:00"]})]
Text = Annotated[str, Field(max_length=200), AfterValidator(without_nul)]
Seconds = Annotated[int, Field(ge=0, le=10**9)]
Score = Annotated[float, Field(ge=1, le=5)]
Weekday = Annotated[int, Field(ge=1, le=7)]


class Parameters(BaseModel):
    """Optional parameters. An unknown parameter is an error, an empty parameter is ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, given: Any) -> Any:
        return {key: value for key, value in given.items() if value not in ("", [""])} if isinstance(given, dict) else given


class SelectionQuery(Parameters):
    """A selection of calls."""

    from_: Moment | None = Field(default=None, alias="from", description="first day or time; default today")
    to: Moment | None = Field(default=None, description="last day, or the time before which; default today")
    time_from: TimeOfDay | None = Field(default=None, description="time of day, inclusive")
    time_to: TimeOfDay | None = Field(default=None, description="time of day, exclusive; over midnight if earlier than time_from")
    weekday: list[Weekday] = Field(default=[], max_length=7, description="1 is Monday (ISO 8601), in the domain's time zone")
    min_s: Seconds | None = Field(default=None, description="shortest duration_s")
    max_s: Seconds | None = Field(default=None, description="longest duration_s")
    talk_min_s: Seconds | None = Field(default=None, description="shortest talk_s")
    talk_max_s: Seconds | None = Field(default=None, description="longest talk_s")
    silence_min_s: Seconds | None = Field(default=None, description="shortest recording.speech.longest_silence_s")
    employee_share_min: int | None = Field(
        default=None,
        ge=0,
        le=100,
        description="least share of employee_s in employee_s + outside_s of recording.speech, in percent",
    )
    direction: list[Direction] = Field(default=[], max_length=10)
    result: list[Result] = Field(default=[], max_length=10)
    kind: Kind = Kind.ALL
    user: list[Text] = Field(default=[], max_length=1000, description="login of a user who took part")
    number: list[Text] = Field(default=[], max_length=1000, description="the company's number")
    src: Text | None = Field(default=None, description="a part of the number")
    dst: Text | None = Field(default=None, description="a part of the number")
    answered_by: Text | None = Field(default=None, description="a part of the number")
    employee: Text | None = Field(default=None, description="a part of the name or login")
    employee_login: list[Text] = Field(default=[], max_length=1000, description="login of the employee, exact")
    recorded: bool | None = None
    trunk: Text | None = Field(default=None, description="a part of the name")
    queue: Text | None = Field(default=None, description="a part of the name")
    trunk_name: list[Text] = Field(default=[], max_length=1000, description="name of the trunk, exact")
    queue_name: list[Text] = Field(default=[], max_length=1000, description="name of the queue, exact")
    wait_min_s: Seconds | None = Field(default=None, description="shortest wait_s; a call whose wait is not known has none")
    wait_max_s: Seconds | None = Field(default=None, description="longest wait_s; likewise")
    mos_min: Score | None = Field(default=None, description="lowest quality.mos; a call whose quality is not known has none")
    mos_below: Score | None = Field(default=None, description="quality.mos below this; likewise")

    def selection(self, zone: ZoneInfo, now: datetime) -> Selection:
        """Return the selection for the store; days and hours are in the domain's time zone."""
        return Selection(
            period=period(self.from_, self.to, zone, now),
            zone=zone,
            time_from=self.time_from,
            time_to=self.time_to,
            weekdays=tuple(self.weekday),
            min_s=self.min_s,
            max_s=self.max_s,
            talk_min_s=self.talk_min_s,
            talk_max_s=self.talk_max_s,
            silence_min_s=self.silence_min_s,
            employee_share_min=self.employee_share_min,
            directions=tuple(self.direction),
            results=tuple(self.result),
            kind=self.kind,
            users=tuple(self.user),
            numbers=tuple(self.number),
            src=self.src,
            dst=self.dst,
            answered_by=self.answered_by,
            employee=self.employee,
            employee_logins=tuple(self.employee_login),
            recorded=self.recorded,
            trunk=self.trunk,
            queue=self.queue,
            trunk_names=tuple(self.trunk_name),
            queue_names=tuple(self.queue_name),
            wait_min_s=self.wait_min_s,
            wait_max_s=self.wait_max_s,
            mos_min=self.mos_min,
            mos_below=self.mos_below,
        )
