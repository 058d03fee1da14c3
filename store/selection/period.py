"""Periods by a domain's clock, as instants and as SQL."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, and_, case, literal, type_coerce

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
    """Return the period of `from` and `to`; a date means all of the day.

    Without `from` the period is the day of `to`, without `to` it ends today, without both it is
    today.
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
    # `date.max` has no next day.
    return datetime.combine(moment + timedelta(days=1) if moment < date.max else moment, time(), zone)


def clock_offsets(within: Period, zone: ZoneInfo) -> Iterator[tuple[Period, timedelta]]:
    """Split a period where the zone's offset from UTC changes; yield parts with offsets."""
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
    """Test for a time of day from `time_from` to before `time_to` by the zone's clock.

    The times span midnight if `time_to` is not the later one.
    """
    first = _milliseconds(time_from)
    length = (_milliseconds(time_to) - first) % _DAY_MS or _DAY_MS
    # One comparison: PostgreSQL takes two of the same value for a narrow range.
    return _by_the_clock(column, lambda clock: (clock + (_DAY_MS - first)) % _DAY_MS < length, within, zone)


def on_weekdays(column: ColumnElement[Any], weekdays: Iterable[int], within: Period, zone: ZoneInfo) -> ColumnElement[bool]:
    """Test for a day of the week by the zone's clock; 1 is Monday (ISO 8601)."""
    wanted = [day - 1 for day in weekdays]
    thursday = 3  # days from Monday to 1970-01-01
    return _by_the_clock(column, lambda clock: ((clock // _DAY_MS + thursday) % 7).in_(wanted), within, zone)


def week_hour(column: ColumnElement[Any], within: Period, zone: ZoneInfo) -> ColumnElement[int]:
    """Return the hours since Monday 0:00 of the zone's clock."""
    thursday = 72  # hours from Monday to 1970-01-01
    parts = list(clock_offsets(within, zone))
    return (_clock(column, parts) // _HOUR_MS + thursday) % 168 if parts else literal(0)


def _by_the_clock(
    column: ColumnElement[Any], inside: Callable[[ColumnElement[int]], ColumnElement[bool]], within: Period, zone: ZoneInfo
) -> ColumnElement[bool]:
    """Apply a condition to the milliseconds since 1970 of the zone's clock."""
    parts = list(clock_offsets(within, zone))
    if not parts:
        return literal(False)
    return and_(column >= parts[0][0].start, column < parts[-1][0].end, inside(_clock(column, parts)))


def _clock(column: ColumnElement[Any], parts: Sequence[tuple[Period, timedelta]]) -> ColumnElement[int]:
    """Return the milliseconds since 1970 of a clock with these offsets."""
    # A CASE of offsets: planning a condition for each of two hundred summer times takes seconds.
    offsets = [literal(offset // timedelta(milliseconds=1), BigInteger) for _, offset in parts]
    whens = [(column < part.end, offset) for (part, _), offset in zip(parts, offsets, strict=True)]
    offset_ms = case(*whens[:-1], else_=offsets[-1]) if len(whens) > 1 else offsets[0]
    return type_coerce(column, BigInteger) + offset_ms


def _milliseconds(moment: time) -> int:
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1000 + moment.microsecond // 1000
