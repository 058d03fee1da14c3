"""Days and hours of a domain's clock, turned into instants and into SQL."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, and_, case, literal, or_, type_coerce

_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_STEP: Final = timedelta(days=7)  # no zone changes its clock twice within a week
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)  # older than Asterisk's first call
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """From `start` up to, not including, `end`."""

    start: datetime
    end: datetime


def period(start: date | datetime | None, end: date | datetime | None, zone: ZoneInfo, now: datetime) -> Period:
    """What `from` and `to` mean: a day stands for all of itself, a time for itself, nothing for today.

    Without `from` it is the day of `to`; without `to` it goes on to the end of today.
    """
    today = now.astimezone(zone).date()
    until = _end(end if end is not None else today, zone)
    if start is None:
        start = today if end is None else (until - timedelta(microseconds=1)).astimezone(zone).date()
    return Period(start=_start(start, zone), end=until)


def _start(moment: date | datetime, zone: ZoneInfo) -> datetime:
    if isinstance(moment, datetime):
        return moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return datetime.combine(moment, time(), zone)


def _end(moment: date | datetime, zone: ZoneInfo) -> datetime:
    if isinstance(moment, datetime):
        return _start(moment, zone)
    # The last day there is has no day after it.
    return datetime.combine(moment + timedelta(days=1) if moment < date.max else moment, time(), zone)


def clock_offsets(within: Period, zone: ZoneInfo) -> Iterator[tuple[Period, timedelta]]:
    """The stretches of a period in which the zone's offset from UTC stays the same (summer time cuts it), and the offset."""
    start = max(within.start.astimezone(UTC), _EARLIEST)
    end = min(within.end.astimezone(UTC), _LATEST)
    offset = _offset(start, zone)
    moment = start
    while moment < end:
        ahead = min(moment + _STEP, end)
        if _offset(ahead, zone) != offset:
            change = _change(moment, ahead, zone)
            yield Period(start=start, end=change), offset
            start, offset = change, _offset(change, zone)
        moment = ahead
    if start < end:
        yield Period(start=start, end=end), offset


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    old = _offset(before, zone)
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        before, after = (middle, after) if _offset(middle, zone) == old else (before, middle)
    return after.replace(microsecond=0)


def at_time_of_day(
    column: ColumnElement[Any], time_from: time, time_to: time, within: Period, zone: ZoneInfo
) -> ColumnElement[bool]:
    """From `time_from` up to, not including, `time_to` by the zone's clock; over midnight if `time_to` is not the later one."""
    first, last = _milliseconds(time_from), _milliseconds(time_to)

    def inside(clock: ColumnElement[int]) -> ColumnElement[bool]:
        of_day = clock % _DAY_MS
        return and_(of_day >= first, of_day < last) if first < last else or_(of_day >= first, of_day < last)

    return _by_the_clock(column, inside, within, zone)


def on_weekdays(column: ColumnElement[Any], weekdays: Iterable[int], within: Period, zone: ZoneInfo) -> ColumnElement[bool]:
    """On one of these days of the week by the zone's clock; 1 is Monday (ISO 8601)."""
    wanted = [day - 1 for day in weekdays]
    thursday = 3  # days from Monday to the day on which 1970 began
    return _by_the_clock(column, lambda clock: ((clock // _DAY_MS + thursday) % 7).in_(wanted), within, zone)


def week_hour(column: ColumnElement[Any], within: Period, zone: ZoneInfo) -> ColumnElement[int]:
    """Hours since Monday 0:00 of the zone's clock."""
    thursday = 72  # hours from Monday to the day on which 1970 began
    stretches = list(clock_offsets(within, zone))
    return (_clock(column, stretches) // _HOUR_MS + thursday) % 168 if stretches else literal(0)


def _by_the_clock(
    column: ColumnElement[Any], inside: Callable[[ColumnElement[int]], ColumnElement[bool]], within: Period, zone: ZoneInfo
) -> ColumnElement[bool]:
    """A condition on the milliseconds that the zone's clock has counted since it showed 1970."""
    stretches = list(clock_offsets(within, zone))
    if not stretches:
        return literal(False)
    return and_(column >= stretches[0][0].start, column < stretches[-1][0].end, inside(_clock(column, stretches)))


def _clock(column: ColumnElement[Any], stretches: Sequence[tuple[Period, timedelta]]) -> ColumnElement[int]:
    """The milliseconds that a clock has counted since it showed 1970."""
    # A choice of offsets: a condition for each of two hundred summer times takes a database seconds to plan.
    offsets = [literal(offset // timedelta(milliseconds=1), BigInteger) for _, offset in stretches]
    whens = [(column < stretch.end, offset) for (stretch, _), offset in zip(stretches, offsets, strict=True)]
    offset_ms = case(*whens[:-1], else_=offsets[-1]) if len(whens) > 1 else offsets[0]
    return type_coerce(column, BigInteger) + offset_ms


def _milliseconds(moment: time) -> int:
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1000 + moment.microsecond // 1000
