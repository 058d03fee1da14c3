"""What a call adds to the counters. Pure.

A company has counters for each hour of its clock; each of its users and numbers has counters for
each day and month. A change of a call subtracts what the call added before and adds what it adds
now.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import count
from typing import Final, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from fonoteka.core.call_report import Direction, Result
from store.database.counter_tables import BANDS_S, CALLED_BACK, RECORDED, band_column, count_column, talk_column
from store.database.schema import instant, milliseconds
from store.intake.facts import CallFacts, whole_seconds

_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000
_MILLISECOND: Final = timedelta(milliseconds=1)
_FIRST_DAY: Final = date(1970, 1, 1).toordinal()


class GroupKind(StrEnum):
    """What a row of group counters is about."""

    USER = "user"
    NUMBER = "number"


class Unit(StrEnum):
    """The length of a row's time; its `start` counts these from 1970, by the domain's clock."""

    DAY = "day"
    MONTH = "month"


# Plain text: hashing a member of an enumeration is slow, and each call adds to five rows.
_USER, _NUMBER, _DAY, _MONTH = GroupKind.USER.value, GroupKind.NUMBER.value, Unit.DAY.value, Unit.MONTH.value


class HourKey(NamedTuple):
    """An hour of a domain's clock; `hour_ms` is its start in milliseconds since 1970."""

    domain_id: int
    hour_ms: int


class GroupKey(NamedTuple):
    """A day or month of one user or number."""

    domain_id: int
    kind: str
    unit: str
    start: int
    name: str


Key = TypeVar("Key")
Sums = dict[str, int]
"""The amounts to add to the columns of a row."""


class CounterChanges:
    """Sums of changes to the counters."""

    def __init__(self) -> None:
        self.hours: dict[HourKey, Sums] = {}
        self.groups: dict[GroupKey, Sums] = {}

    def add(self, facts: CallFacts, zone: ZoneInfo, sign: int = 1) -> None:
        """Add a call; with `sign` -1, subtract it."""
        amounts = [(column, sign * amount) for column, amount in increments(facts)]
        local = facts.started_at.astimezone(zone)
        _add(self.hours, HourKey(facts.domain_id, hour_began_ms(facts.started_at, zone)), amounts)
        for key in _groups(facts, local):
            _add(self.groups, key, amounts)

    def __len__(self) -> int:
        return len(self.hours) + len(self.groups)


def increments(facts: CallFacts) -> list[tuple[str, int]]:
    """Return what a call adds to each column, without the columns that do not change."""
    amounts = [(count_column(facts.direction, facts.result), 1)]
    if facts.result is Result.ANSWERED and facts.direction is not Direction.INTERNAL and facts.talk_ms:
        amounts.append((talk_column(facts.direction), facts.talk_ms))
    if facts.direction is Direction.OUT:
        amounts.append((band_column(band_of(facts.talk_ms)), 1))
    if facts.missed and facts.called_back_at is not None:
        amounts.append((CALLED_BACK, 1))
    if facts.audible:
        amounts.append((RECORDED, 1))
    return amounts


def band_of(talk_ms: int) -> int:
    """Return the index in BANDS_S of a talk's length, rounded to whole seconds."""
    return max(0, bisect_right(BANDS_S, whole_seconds(talk_ms)) - 1)


def hour_began_ms(moment: datetime, zone: ZoneInfo) -> int:
    """Return the start of the hour of a clock that contains a moment, in milliseconds since 1970.

    The clock's offset from UTC may be any number of minutes.
    """
    offset_ms, moment_ms = _offset_ms(moment, zone), milliseconds(moment)
    return _began_ms(moment_ms - (moment_ms + offset_ms) % _HOUR_MS, offset_ms, zone)


@lru_cache(maxsize=4096)
def _began_ms(began_ms: int, offset_ms: int, zone: ZoneInfo) -> int:
    """An hour in which the clock changes by half an hour (Lord Howe) begins at the change."""
    return next(at_ms for at_ms in count(began_ms, _MINUTE_MS) if _offset_ms(instant(at_ms), zone) == offset_ms)


def _offset_ms(moment: datetime, zone: ZoneInfo) -> int:
    return (moment.astimezone(zone).utcoffset() or timedelta()) // _MILLISECOND


def day_number(day: date) -> int:
    """Return the days since 1970."""
    return day.toordinal() - _FIRST_DAY


def month_number(day: date) -> int:
    """Return the months since 1970."""
    return (day.year - 1970) * 12 + day.month - 1


def _groups(facts: CallFacts, local: datetime) -> Iterator[GroupKey]:
    domain_id, day, month = facts.domain_id, day_number(local), month_number(local)
    if facts.employee is not None:
        yield GroupKey(domain_id, _USER, _DAY, day, facts.employee)
        yield GroupKey(domain_id, _USER, _MONTH, month, facts.employee)
    if facts.number is not None:
        yield GroupKey(domain_id, _NUMBER, _DAY, day, facts.number)
        yield GroupKey(domain_id, _NUMBER, _MONTH, month, facts.number)


def _add(rows: dict[Key, Sums], key: Key, amounts: list[tuple[str, int]]) -> None:
    sums = rows.get(key)
    if sums is None:
        sums = rows[key] = {}
    for column, amount in amounts:
        sums[column] = sums.get(column, 0) + amount
