"""Which figures can be told from those that are kept, without looking at a call; and how many calls a selection has by them.

They can for a whole company, by directions and results, in whole hours (of employees and numbers: in whole days) of its clock.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, FromClause, cast, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import Direction, Result
from store.database.counter_tables import CALLED_BACK, RECORDED, Cell, count_column, group_counters, hour_counters
from store.database.schema import milliseconds
from store.intake.counters import Kind, Unit, day_number, hour_began_ms, month_number
from store.selection import selection as selections
from store.selection.period import Period, at_time_of_day
from store.selection.scope import Scope
from store.selection.selection import Selection

_ALL: Final = frozenset((direction, result) for direction in Direction for result in Result)
_MISSED: Final = frozenset((Direction.IN, result) for result in Result if result is not Result.ANSWERED)


def hour_rows(scope: Scope, selection: Selection) -> FromClause | None:
    """The company's hours that make up a selection's times; None if hours do not, or if it asks for less than a company."""
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


def group_rows(scope: Scope, selection: Selection, kind: Kind) -> FromClause | None:
    """The days and months of employees or numbers that make up a selection's times; None if they do not."""
    names, others = selection.employee_logins, selection.numbers
    if kind is Kind.NUMBER:
        names, others = others, names
    if not _of_company(scope, selection) or others or selection.time_from is not None or selection.time_to is not None:
        return None
    days = _whole_days(selection.period, selection.zone)
    if days is None:
        return None
    t = group_counters.c
    mine = [t.domain_id == scope.domain_id, t.kind == kind.value, *([t.name.in_(names)] if names else [])]
    stretches = list(days_and_months(*days))
    parts = [
        select(group_counters).where(*mine, t.unit == unit.value, t.start >= first, t.start < last)
        for unit, first, last in stretches
    ]
    return (union_all(*parts) if len(parts) > 1 else parts[0]).subquery()


def rows_of_all(scope: Scope, selection: Selection) -> FromClause | None:
    """The rows whose sum is the selection, by whatever they are kept."""
    if selection.numbers:
        return group_rows(scope, selection, Kind.NUMBER)
    if selection.employee_logins:
        return group_rows(scope, selection, Kind.EMPLOYEE)
    return hour_rows(scope, selection)


def wanted_cells(selection: Selection) -> frozenset[Cell] | None:
    """The directions and results that a selection asks for; None if it asks for what is not counted by them."""
    of_kind = {
        selections.Kind.ALL: _ALL,
        selections.Kind.IN: _going(Direction.IN),
        selections.Kind.OUT: _going(Direction.OUT),
        selections.Kind.INTERNAL: _going(Direction.INTERNAL),
        selections.Kind.MISSED: _MISSED,
    }.get(selection.kind)
    if of_kind is None or selection.recorded is not None:
        return None
    directions, results = selection.directions or tuple(Direction), selection.results or tuple(Result)
    return frozenset((direction, result) for direction, result in of_kind if direction in directions and result in results)


async def count(connection: AsyncConnection, scope: Scope, selection: Selection) -> int | None:
    """How many calls a selection has, from the figures that are kept; None if they do not tell."""
    columns = _counting(selection)
    rows = rows_of_all(scope, selection) if columns is not None else None
    if columns is None or rows is None:
        return None
    plus, minus = (summed(rows, names) for names in columns)
    return int((await connection.execute(select(plus - minus).select_from(rows))).scalar_one())


def summed(rows: FromClause, columns: Iterable[str]) -> ColumnElement[int]:
    """The sum of some columns over all rows of a group, a whole number on every database."""
    of_row = sum((rows.c[name] for name in sorted(columns)), literal(0, BigInteger))
    return func.coalesce(cast(func.sum(of_row), BigInteger), 0)


def count_columns(cells: Iterable[Cell]) -> list[str]:
    """The columns that count these directions and results."""
    return [count_column(*cell) for cell in cells]


def days_and_months(first: date, last: date) -> Iterator[tuple[Unit, int, int]]:
    """The days from the first up to, not including, the last: whole months as such, what is left before and after as days."""
    month, month_after = month_number(first) + (first.day > 1), month_number(last)
    if month >= month_after:
        yield Unit.DAY, day_number(first), day_number(last)
        return
    yield Unit.DAY, day_number(first), day_number(_first_of(month))
    yield Unit.MONTH, month, month_after
    yield Unit.DAY, day_number(_first_of(month_after)), day_number(last)


def _counting(selection: Selection) -> tuple[list[str], list[str]] | None:
    """The columns whose sum, less the sum of others, is how many calls a selection has."""
    cells = wanted_cells(selection)
    if cells is not None:
        return count_columns(cells), []
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


def _going(direction: Direction) -> frozenset[Cell]:
    return frozenset((direction, result) for result in Result)


def _of_company(scope: Scope, selection: Selection) -> bool:
    """Whether nothing narrows a selection but its times and what is kept apart: else the calls are needed."""
    everything = Selection(period=selection.period, zone=selection.zone)
    apart = ("time_from", "time_to", "directions", "results", "kind", "numbers", "employee_logins", "recorded")
    return scope.login is None and replace(selection, **{name: getattr(everything, name) for name in apart}) == everything


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
