"""Figures from the lengths that are kept (`store.lengths`). None where they do not tell what is asked for.

Of all calls, only those that go on are looked at: theirs grow.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import FromClause, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import Direction, Result
from store.database.counter_tables import Cell, hour_lengths
from store.lengths import LONGEST_S, Lengths, read
from store.selection.period import week_hour
from store.selection.scope import Scope
from store.selection.selection import Selection
from store.statistics import from_calls as figures_counted
from store.statistics.counters_read import hour_rows, wanted_cells
from store.statistics.figures import Counted

_WEEK: Final = 168


async def hours(connection: AsyncConnection, scope: Scope, selection: Selection, now: datetime) -> dict[int, Counted] | None:
    """The calls with the outside of each hour of the week in which there was any."""
    cells, kept = _kept(scope, selection, ())
    if cells is None or kept is None:
        return None
    of_week = week_hour(kept.c["hour"], selection.period, selection.zone)
    rows = (await connection.execute(select(of_week, kept.c["lengths"]))).all()
    outside = frozenset(cell for cell in cells if cell[0] is not Direction.INTERNAL)
    counted = await asyncio.to_thread(_by_hour, rows, selection, outside)
    going_on = await connection.execute(figures_counted.hours(scope, selection, now, going_on=True))
    for hour, more in figures_counted.hours_of(going_on).items():
        counted[hour] = counted.get(hour, Counted()) + more
    return counted


async def talks(
    connection: AsyncConnection, scope: Scope, selection: Selection, shares: Sequence[figures_counted.Share], now: datetime
) -> list[int] | None:
    """How many outgoing calls talked as long as each share says."""
    cells, kept = _kept(scope, selection, shares)
    if cells is None or kept is None:
        return None
    rows = (await connection.execute(select(kept.c["lengths"]))).scalars().all()
    outgoing = frozenset(cell for cell in cells if cell[0] is Direction.OUT)
    counted = await asyncio.to_thread(_by_talk, rows, selection, outgoing, shares)
    going_on = (await connection.execute(figures_counted.talks(scope, selection, shares, now, going_on=True))).one()
    return [ended + more for ended, more in zip(counted, going_on, strict=True)]


def _kept(
    scope: Scope, selection: Selection, shares: Sequence[figures_counted.Share]
) -> tuple[frozenset[Cell] | None, FromClause | None]:
    """The directions and results asked for, and the hours in which they are looked for."""
    asked = (
        selection.min_s,
        selection.max_s,
        selection.talk_min_s,
        selection.talk_max_s,
        *(end for share in shares for end in share),
    )
    if any(seconds is not None and seconds >= LONGEST_S for seconds in asked):
        return None, None
    of_any_length = replace(selection, min_s=None, max_s=None, talk_min_s=None, talk_max_s=None)
    return wanted_cells(selection), hour_rows(scope, of_any_length, hour_lengths)


def _by_hour(rows: Sequence[Any], selection: Selection, cells: frozenset[Cell]) -> dict[int, Counted]:
    found = read([text for _, text in rows])
    hour = np.array([hour for hour, _ in rows], np.int64)[found.row]
    by_hour = enumerate(found.by_cell(_fulfilled(found, selection, cells), hour, _WEEK))
    return {hour: _counted(numbers) for hour, numbers in by_hour if any(numbers.values())}


def _by_talk(
    texts: Sequence[str], selection: Selection, cells: frozenset[Cell], shares: Iterable[figures_counted.Share]
) -> list[int]:
    found = read(texts)
    wanted = _fulfilled(found, selection, cells)
    return [found.number(wanted & _between(found.talk_s, from_s, None if to_s is None else to_s - 1)) for from_s, to_s in shares]


def _fulfilled(found: Lengths, selection: Selection, cells: frozenset[Cell]) -> npt.NDArray[np.bool_]:
    of_length = _between(found.duration_s, selection.min_s, selection.max_s)
    return found.of(cells) & of_length & _between(found.talk_s, selection.talk_min_s, selection.talk_max_s)


def _between(seconds: npt.NDArray[np.int32], least: int | None, most: int | None) -> npt.NDArray[np.bool_]:
    return (seconds >= (least or 0)) & (seconds <= (LONGEST_S if most is None else most))


def _counted(numbers: Mapping[Cell, int]) -> Counted:
    out, failed_out, incoming, missed = (
        sum(number for (direction, result), number in numbers.items() if (direction, result is Result.ANSWERED) == wanted)
        for wanted in ((Direction.OUT, True), (Direction.OUT, False), (Direction.IN, True), (Direction.IN, False))
    )
    return Counted(out=out, out_failed=failed_out, incoming=incoming, in_missed=missed, in_busy=numbers[Direction.IN, Result.BUSY])
