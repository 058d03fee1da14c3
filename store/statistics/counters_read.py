"""Reading counters: which selections they can answer, and the number of calls of a selection.

They answer for a whole company, by direction and result, in whole hours of its clock; for users and
numbers in whole days.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, FromClause, cast, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import Direction, Result
from store.database.counter_tables import CALLED_BACK, RECORDED, Outcome, count_column, group_counters, hour_counters
from store.database.schema import milliseconds
from store.intake.counters import GroupKind, Unit, day_number, hour_began_ms, month_number
from store.selection import selection as selections
from store.selection.period import Period, at_time_of_day
from store.selection.scope import Scope
from store.selection.selection import Selection

_ALL: Final = frozenset((direction, result) for direction in Direction for result in Result)
_MISSED: Final = frozenset((Direction.IN, result) for result in Result if result is not Result.ANSWERED)


def select_hours(scope: Scope, selection: Selection) -> FromClause | None:
    """Select the hours of a selection; None if its times are not whole hours of a company."""
    if not _of_company(scope, selection) or selection.numbers or selection.employee_logins:
        return None
    within, zone = selection.period, selection.zone
    first, last = selection.time_from or time(), selection.time_to or time()
    if not all(_is_hour(moment, zone) for moment in (within.start, within.end)) or not _are_hours(first, last):
        return None
    t = hour_counters.c
    rows = select(hour_counters).where(t.domain_id == scope.domain_id, t.hour >= within.start, t.hour < within.end)
    if first != last:
        rows = rows.where(at_time_of_day(t.hour, first, last, within, zone))
    return rows.subquery()


def select_groups(scope: Scope, selection: Selection, kind: GroupKind) -> FromClause | None:
    """Select the days and months of users or numbers; None if a selection is not of whole days."""
    names, others = selection.employee_logins, selection.numbers
    if kind is GroupKind.NUMBER:
        names, others = others, names
    if not _of_company(scope, selection) or others or selection.time_from is not None or selection.time_to is not None:
        return None
    days = _whole_days(selection.period, selection.zone)
    if days is None:
        return None
    t = group_counters.c
    selected = [t.domain_id == scope.domain_id, t.kind == kind.value, *([t.name.in_(names)] if names else [])]
    spans = list(split_into_days_and_months(*days))
    parts = [
        select(group_counters).where(*selected, t.unit == unit.value, t.start >= first, t.start < last)
        for unit, first, last in spans
    ]
    return (union_all(*parts) if len(parts) > 1 else parts[0]).subquery()


def select_counters(scope: Scope, selection: Selection) -> FromClause | None:
    """Select the counters whose sum is the selection; None if there are none."""
    if selection.numbers:
        return select_groups(scope, selection, GroupKind.NUMBER)
    if selection.employee_logins:
        return select_groups(scope, selection, GroupKind.USER)
    return select_hours(scope, selection)


def selected_outcomes(selection: Selection) -> frozenset[Outcome] | None:
    """Return the outcomes in a selection; None if they do not describe it."""
    by_kind = {
        selections.Kind.ALL: _ALL,
        selections.Kind.IN: _of_direction(Direction.IN),
        selections.Kind.OUT: _of_direction(Direction.OUT),
        selections.Kind.INTERNAL: _of_direction(Direction.INTERNAL),
        selections.Kind.MISSED: _MISSED,
    }.get(selection.kind)
    if by_kind is None or selection.recorded is not None:
        return None
    directions, results = selection.directions or tuple(Direction), selection.results or tuple(Result)
    return frozenset((direction, result) for direction, result in by_kind if direction in directions and result in results)


async def count_calls(connection: AsyncConnection, scope: Scope, selection: Selection) -> int | None:
    """Count the calls of a selection; None if the counters cannot answer."""
    columns = _counting(selection)
    rows = select_counters(scope, selection) if columns is not None else None
    if columns is None or rows is None:
        return None
    plus, minus = (sum_of(rows, names) for names in columns)
    return int((await connection.execute(select(plus - minus).select_from(rows))).scalar_one())


def sum_of(rows: FromClause, columns: Iterable[str]) -> ColumnElement[int]:
    """Sum columns over all rows of a group, as an integer on every database."""
    of_row = sum((rows.c[name] for name in sorted(columns)), literal(0, BigInteger))
    return func.coalesce(cast(func.sum(of_row), BigInteger), 0)


def count_columns(outcomes: Iterable[Outcome]) -> list[str]:
    """Return the columns that count these outcomes."""
    return [count_column(*outcome) for outcome in outcomes]


def split_into_days_and_months(first: date, last: date) -> Iterator[tuple[Unit, int, int]]:
    """Split the days from `first` to before `last` into whole months and the days around."""
    month, month_after = month_number(first) + (first.day > 1), month_number(last)
    if month >= month_after:
        yield Unit.DAY, day_number(first), day_number(last)
        return
    yield Unit.DAY, day_number(first), day_number(_first_of(month))
    yield Unit.MONTH, month, month_after
    yield Unit.DAY, day_number(_first_of(month_after)), day_number(last)


def _counting(selection: Selection) -> tuple[list[str], list[str]] | None:
    """Return columns to add and columns to subtract for the number of calls of a selection."""
    outcomes = selected_outcomes(selection)
    if outcomes is not None:
        return count_columns(outcomes), []
    every_result = not selection.results and (not selection.directions or Direction.IN in selection.directions)
    if selection.kind is selections.Kind.MISSED_CALLED_BACK and selection.recorded is None and every_result:
        return [CALLED_BACK], []
    if selection.kind is selections.Kind.MISSED_NOT_CALLED_BACK and selection.recorded is None and every_result:
        return count_columns(_MISSED), [CALLED_BACK]
    if selection.directions or selection.results:
        return None
    if selection.kind is selections.Kind.RECORDED and selection.recorded is not False:
        return [RECORDED], []
    if selection.kind is selections.Kind.ALL:
        return ([RECORDED], []) if selection.recorded else (count_columns(_ALL), [RECORDED])
    return None


def _of_direction(direction: Direction) -> frozenset[Outcome]:
    return frozenset((direction, result) for result in Result)


def _of_company(scope: Scope, selection: Selection) -> bool:
    """Whether the counters distinguish everything by which the selection is narrowed."""
    unfiltered = Selection(period=selection.period, zone=selection.zone)
    counted = ("time_from", "time_to", "directions", "results", "kind", "numbers", "employee_logins", "recorded")
    return scope.login is None and replace(selection, **{name: getattr(unfiltered, name) for name in counted}) == unfiltered


def _is_hour(moment: datetime, zone: ZoneInfo) -> bool:
    return moment.microsecond % 1000 == 0 and hour_began_ms(moment, zone) == milliseconds(moment)


def _are_hours(*moments: time) -> bool:
    return not any(moment.minute or moment.second or moment.microsecond for moment in moments)


def _whole_days(within: Period, zone: ZoneInfo) -> tuple[date, date] | None:
    first, last = (moment.astimezone(zone).date() for moment in (within.start, within.end))
    begin = [datetime.combine(day, time(), zone).astimezone(UTC) for day in (first, last)]
    return (first, last) if begin == [within.start, within.end] and first < last else None


def _first_of(month: int) -> date:
    return date(1970 + month // 12, month % 12 + 1, 1)
