"""Figures from those that are kept (`counters`): no call is looked at. None where they do not tell what is asked for."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import Direction, Result
from store.database.counter_tables import BANDS_S, Cell, band_column, talk_column
from store.intake.counters import Kind
from store.selection.period import week_hour
from store.selection.scope import Scope
from store.selection.selection import Selection
from store.statistics.counters_read import count_columns, group_rows, hour_rows, rows_of_all, summed, wanted_cells
from store.statistics.figures import Counted, Group, Parties, counts_of, groups_of


async def hours(connection: AsyncConnection, scope: Scope, selection: Selection) -> dict[int, Counted] | None:
    """The calls with the outside of each hour of the week in which there was any."""
    cells, kept = wanted_cells(selection), hour_rows(scope, selection)
    if cells is None or kept is None:
        return None
    of_week = week_hour(kept.c["hour"], selection.period, selection.zone).label("week_hour")
    outside = frozenset(cell for cell in cells if cell[0] is not Direction.INTERNAL)
    query = select(of_week, *_counts(kept, outside)).group_by("week_hour").having(_any(kept, outside))
    return {row.week_hour: counts_of(row) for row in await connection.execute(query)}


async def parties(
    connection: AsyncConnection, scope: Scope, selection: Selection, direction: Direction, names: dict[Kind, dict[str, str]]
) -> Parties | None:
    cells, everything = wanted_cells(selection), rows_of_all(scope, selection)
    numbers_rows, employees_rows = (group_rows(scope, selection, kind) for kind in (Kind.NUMBER, Kind.EMPLOYEE))
    if cells is None or everything is None or numbers_rows is None or employees_rows is None:
        return None
    cells = frozenset(cell for cell in cells if cell[0] is direction)
    row = (await connection.execute(select(*_counts(everything, cells)))).one()
    return Parties(
        total=counts_of(row),
        by_number=await _groups(connection, numbers_rows, cells, direction, names[Kind.NUMBER]),
        by_employee=await _groups(connection, employees_rows, cells, direction, names[Kind.EMPLOYEE]),
    )


async def bands(connection: AsyncConnection, scope: Scope, selection: Selection) -> Sequence[int] | None:
    """The outgoing calls of each band from the figures that are kept; None if they do not tell, as of a single result."""
    cells, kept = wanted_cells(selection), rows_of_all(scope, selection)
    if cells is None or kept is None or not cells >= {(Direction.OUT, result) for result in Result}:
        return None
    columns = (summed(kept, [band_column(place)]).label(band_column(place)) for place in range(len(BANDS_S)))
    return tuple((await connection.execute(select(*columns))).one())


async def _groups(
    connection: AsyncConnection, kept: FromClause, cells: frozenset[Cell], direction: Direction, names: dict[str, str]
) -> tuple[Group, ...]:
    talk = summed(kept, [talk_column(direction)] if (direction, Result.ANSWERED) in cells else []).label("talk_ms")
    query = select(kept.c["name"].label("key"), *_counts(kept, cells), talk).group_by(kept.c["name"]).having(_any(kept, cells))
    rows = await connection.execute(query)
    return groups_of({row.key: (counts_of(row), row.talk_ms) for row in rows}, names)


def _counts(kept: FromClause, cells: frozenset[Cell]) -> Iterator[ColumnElement[Any]]:
    """The columns of `figures.Counted`."""
    failed: list[Result] = [result for result in Result if result is not Result.ANSWERED]
    counts: dict[str, tuple[Direction, list[Result]]] = {
        "out": (Direction.OUT, [Result.ANSWERED]),
        "out_failed": (Direction.OUT, failed),
        "incoming": (Direction.IN, [Result.ANSWERED]),
        "in_missed": (Direction.IN, failed),
        "in_busy": (Direction.IN, [Result.BUSY]),
    }
    for name, (direction, results) in counts.items():
        yield summed(kept, count_columns(cells & {(direction, result) for result in results})).label(name)


def _any(kept: FromClause, cells: frozenset[Cell]) -> ColumnElement[bool]:
    """Whether there is any call at all: rows stay when their last call is gone."""
    return summed(kept, count_columns(cells)) > 0
