"""Statistics from calls, where the counters cannot answer: queries that read each call."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, CompoundSelect, Dialect, Row, Select, case, cast, func, literal, select

from fonoteka.core.call_report import Direction, Result
from store.database.dialect import computed_once, few_groups
from store.database.schema import calls
from store.intake.counters import GroupKind
from store.selection.period import week_hour
from store.selection.scope import Scope, visible_calls
from store.selection.selection import Selection, conditions, shortest_ms
from store.statistics.marginals import marginals, named, read_marginals
from store.statistics.report_types import CallCounts, Parties, read_counts, sorted_groups, total

Share = tuple[int, int | None]
"""Whole seconds of talk: from the first up to, not including, the second (None: no limit)."""

_PARTIES: Final = ("number", "employee")
_ANSWERED: Final = calls.c.result == Result.ANSWERED


def hours(dialect: Dialect, scope: Scope, selection: Selection, now: datetime) -> Select[Any]:
    """Select the numbers of outside calls by hour of the week and outcome, for `read_hours`."""
    visible, c = visible_calls(scope), calls.c
    of_out, of_in = case((_ANSWERED, 0), else_=1), case((_ANSWERED, 2), (c.result == Result.BUSY, 4), else_=3)
    outcome = case((c.direction == Direction.OUT, of_out), else_=of_in)
    of_week = week_hour(visible.started_at, selection.period, selection.zone)
    source, hour = few_groups(dialect, visible.source, of_week, 168)
    outside = conditions(selection, visible, now) & (c.direction != Direction.INTERNAL)
    # One number for each call: SQLite sorts them in two thirds of the time of sorting its parts.
    keys = computed_once(dialect, select((hour * 8 + outcome).label("key")).select_from(source).where(outside)).subquery()
    return select(keys.c.key, func.count().label("calls")).group_by(keys.c.key)


def read_hours(rows: Iterable[Row[Any]]) -> dict[int, CallCounts]:
    """Read the rows of `hours`, by hour of the week; hours without calls are absent."""
    numbers: dict[int, list[int]] = {}
    for row in rows:
        numbers.setdefault(row.key // 8, [0] * 5)[row.key % 8] += row.calls
    return {
        hour: CallCounts(out=out, out_failed=out_failed, incoming=incoming, in_missed=missed + busy, in_busy=busy)
        for hour, (out, out_failed, incoming, missed, busy) in numbers.items()
    }


def parties(scope: Scope, selection: Selection, direction: Direction, now: datetime) -> CompoundSelect[Any]:
    """Select the counts by number and by user, for `read_parties`."""
    visible, c = visible_calls(scope), calls.c
    talk = func.coalesce(cast(func.sum(c.talk_ms).filter(_ANSWERED), BigInteger), 0).label("talk_ms")
    columns: list[ColumnElement[Any]] = [c.number, c.employee, *_counts(direction), talk]
    wanted = conditions(selection, visible, now) & (c.direction == direction)
    # A company has more employees than numbers: sorting by the employee first compares less.
    return marginals(select(*columns).select_from(visible.source).where(wanted).group_by(c.employee, c.number), _PARTIES, {})


def read_parties(rows: Iterable[Row[Any]], names: dict[GroupKind, dict[str, str]]) -> Parties:
    """Read the rows of `parties`."""
    numbers, users = read_marginals(rows, _PARTIES, lambda row: (read_counts(row), row.talk_ms))
    return Parties(
        total=total(counts for counts, _ in users.values()),
        by_number=sorted_groups(named(numbers), names[GroupKind.NUMBER]),
        by_user=sorted_groups(named(users), names[GroupKind.USER]),
    )


def talks(scope: Scope, selection: Selection, shares: Sequence[Share], now: datetime) -> Select[Any]:
    """Select, in one row, the number of outgoing calls whose talk falls into each share."""
    visible = visible_calls(scope)
    columns: list[ColumnElement[Any]] = [_number(_talked(*share)).label(f"share_{place}") for place, share in enumerate(shares)]
    wanted = conditions(selection, visible, now) & (calls.c.direction == Direction.OUT)
    return select(*columns).select_from(visible.source).where(wanted)


def _talked(from_s: int, to_s: int | None) -> ColumnElement[bool]:
    shorter = literal(True) if to_s is None else calls.c.talk_ms < shortest_ms(to_s)
    return (calls.c.talk_ms >= shortest_ms(from_s)) & shorter


def _counts(direction: Direction) -> list[ColumnElement[Any]]:
    """Return the columns of `CallCounts` for the incoming or the outgoing calls."""
    answered, failed = _number(_ANSWERED), _number(~_ANSWERED)
    counted = (
        {"out": answered, "out_failed": failed}
        if direction is Direction.OUT
        else {"incoming": answered, "in_missed": failed, "in_busy": _number(calls.c.result == Result.BUSY)}
    )
    return [counted.get(field.name, literal(0)).label(field.name) for field in fields(CallCounts)]


def _number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count().filter(condition)
