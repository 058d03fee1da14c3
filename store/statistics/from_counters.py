"""Statistics from counters. None means that the counters cannot answer."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import Direction, Result
from store.database.counter_tables import BANDS_S, Outcome, band_column, talk_column
from store.intake.counters import GroupKind
from store.selection.period import week_hour
from store.selection.scope import Scope
from store.selection.selection import Selection
from store.statistics.counters_read import (
    count_columns,
    select_counters,
    select_groups,
    select_hours,
    selected_outcomes,
    sum_of,
)
from store.statistics.report_types import CallCounts, Group, Parties, read_counts, sorted_groups


async def hours(connection: AsyncConnection, scope: Scope, selection: Selection) -> dict[int, CallCounts] | None:
    """Count the outside calls of each hour of the week; hours without calls are absent."""
    outcomes, counters = selected_outcomes(selection), select_hours(scope, selection)
    if outcomes is None or counters is None:
        return None
    of_week = week_hour(counters.c["hour"], selection.period, selection.zone).label("week_hour")
    outside = frozenset(outcome for outcome in outcomes if outcome[0] is not Direction.INTERNAL)
    query = select(of_week, *_counts(counters, outside)).group_by("week_hour").having(_any(counters, outside))
    return {row.week_hour: read_counts(row) for row in await connection.execute(query)}


async def parties(
    connection: AsyncConnection, scope: Scope, selection: Selection, direction: Direction, names: dict[GroupKind, dict[str, str]]
) -> Parties | None:
    """Count the calls of a direction by number and by user."""
    outcomes, counters = selected_outcomes(selection), select_counters(scope, selection)
    of_numbers, of_users = (select_groups(scope, selection, kind) for kind in (GroupKind.NUMBER, GroupKind.USER))
    if outcomes is None or counters is None or of_numbers is None or of_users is None:
        return None
    outcomes = frozenset(outcome for outcome in outcomes if outcome[0] is direction)
    row = (await connection.execute(select(*_counts(counters, outcomes)))).one()
    return Parties(
        total=read_counts(row),
        by_number=await _groups(connection, of_numbers, outcomes, direction, names[GroupKind.NUMBER]),
        by_user=await _groups(connection, of_users, outcomes, direction, names[GroupKind.USER]),
    )


async def bands(connection: AsyncConnection, scope: Scope, selection: Selection) -> Sequence[int] | None:
    """Count the outgoing calls of each band of talk; None also for a part of the results."""
    outcomes, counters = selected_outcomes(selection), select_counters(scope, selection)
    if outcomes is None or counters is None or not outcomes >= {(Direction.OUT, result) for result in Result}:
        return None
    columns = (sum_of(counters, [band_column(place)]).label(band_column(place)) for place in range(len(BANDS_S)))
    return tuple((await connection.execute(select(*columns))).one())


async def _groups(
    connection: AsyncConnection, counters: FromClause, outcomes: frozenset[Outcome], direction: Direction, names: dict[str, str]
) -> tuple[Group, ...]:
    talk = sum_of(counters, [talk_column(direction)] if (direction, Result.ANSWERED) in outcomes else []).label("talk_ms")
    key = counters.c["name"].label("key")
    query = select(key, *_counts(counters, outcomes), talk).group_by(counters.c["name"]).having(_any(counters, outcomes))
    rows = await connection.execute(query)
    return sorted_groups({row.key: (read_counts(row), row.talk_ms) for row in rows}, names)


def _counts(counters: FromClause, outcomes: frozenset[Outcome]) -> Iterator[ColumnElement[Any]]:
    """Make the columns of `CallCounts`."""
    failed: list[Result] = [result for result in Result if result is not Result.ANSWERED]
    counts: dict[str, tuple[Direction, list[Result]]] = {
        "out": (Direction.OUT, [Result.ANSWERED]),
        "out_failed": (Direction.OUT, failed),
        "incoming": (Direction.IN, [Result.ANSWERED]),
        "in_missed": (Direction.IN, failed),
        "in_busy": (Direction.IN, [Result.BUSY]),
    }
    for name, (direction, results) in counts.items():
        yield sum_of(counters, count_columns(outcomes & {(direction, result) for result in results})).label(name)


def _any(counters: FromClause, outcomes: frozenset[Outcome]) -> ColumnElement[bool]:
    """Whether there are calls: a row of counters stays when its last call is removed."""
    return sum_of(counters, count_columns(outcomes)) > 0
