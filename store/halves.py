"""A long period is looked at in halves, both at once: one query keeps one core busy, however many there are.

Only what adds up can be found this way: numbers of calls, and the first calls of an order.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Row, Select

from store.database.store import Store
from store.selection.period import Period
from store.selection.selection import bounds

LONG: Final = timedelta(days=45)  # less is found sooner than a second query is begun


async def in_halves(store: Store, query: Select[Any], within: Period) -> list[Sequence[Row[Any]]]:
    """The rows of a query with the conditions of a selection for each half of its period, the older first.

    A shorter period is looked at as a whole. Each half has a connection of its own, and sees a state of its own: whoever calls
    this must hold none, or many who do so at once would wait for each other's for ever.
    """

    async def rows_of(part: Period) -> Sequence[Row[Any]]:
        async with store.reading() as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(query, bounds(part))).all()
            return rows

    return await asyncio.gather(*(rows_of(part) for part in _halves(within)))


def _halves(within: Period) -> list[Period]:
    if within.end - within.start <= LONG:
        return [within]
    middle = (within.start + (within.end - within.start) / 2).replace(microsecond=0)
    return [Period(start=within.start, end=middle), Period(start=middle, end=within.end)]
