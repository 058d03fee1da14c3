"""The figures of a selection: by hour, by number, by employee, by length. Nothing here can be asked without a Scope.

They come from those that are kept where these tell them, and from the calls where they do not; either way they are the same.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from sqlalchemy import BigInteger, Row, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import Direction
from store import figures_of_lengths
from store.database.counter_tables import BANDS_S
from store.database.schema import calls, numbers, users
from store.database.store import Store
from store.halves import in_halves
from store.intake.call_backs import MISSED
from store.intake.counters import Kind
from store.selection.scope import Scope, visible_calls
from store.selection.selection import Selection, conditions
from store.statistics import from_calls as figures_counted
from store.statistics import from_counters as figures_kept
from store.statistics.employee_logins import named_by_login
from store.statistics.figures import Band, CallBacks, Counted, Hour, Parties, counts_of, groups_of, total


async def by_hour(store: Store, scope: Scope, selection: Selection, now: datetime) -> tuple[Hour, ...]:
    """The calls with the outside of each weekday and hour in which there was any, in that order."""
    async with store.reading() as connection:
        selection = await named_by_login(connection, scope, selection)
        found = await figures_kept.hours(connection, scope, selection)
        if found is None:
            found = await figures_of_lengths.hours(connection, scope, selection, now)
    if found is None:
        halves = await in_halves(store, figures_counted.hours(scope, selection, now), selection.period)
        found = figures_counted.hours_of(chain.from_iterable(halves))
    return tuple(
        Hour(weekday=week_hour // 24 + 1, hour=week_hour % 24, counted=counted) for week_hour, counted in sorted(found.items())
    )


async def by_party(store: Store, scope: Scope, selection: Selection, direction: Direction, now: datetime) -> Parties:
    """The incoming or the outgoing calls by number and by employee, in the order of their keys; who has none is left out."""
    async with store.reading() as connection:
        selection = await named_by_login(connection, scope, selection)
        names = {kind: await _names(connection, scope, kind) for kind in Kind}
        kept = await figures_kept.parties(connection, scope, selection, direction, names)
    if kept is not None:
        return kept
    halves = await in_halves(store, figures_counted.pairs(scope, selection, direction, now), selection.period)
    return _parties(list(chain.from_iterable(halves)), names)


async def by_length(
    store: Store, scope: Scope, selection: Selection, longer_than_s: int | None, now: datetime
) -> tuple[tuple[Band, ...], int | None]:
    """The outgoing calls by the length of their talk, and how many talked longer than so many seconds (None: not asked)."""
    bands = list(zip(BANDS_S, (*BANDS_S[1:], None), strict=True))
    async with store.reading() as connection:
        selection = await named_by_login(connection, scope, selection)
        counted = await figures_kept.bands(connection, scope, selection)
        shares = [*(bands if counted is None else []), *([] if longer_than_s is None else [(longer_than_s + 1, None)])]
        found = await figures_of_lengths.talks(connection, scope, selection, shares, now) if shares else []
    if found is None:
        halves = await in_halves(store, figures_counted.talks(scope, selection, shares, now), selection.period)
        found = [sum(each) for each in zip(*chain.from_iterable(halves), strict=True)]
    longer = found[-1] if longer_than_s is not None else None
    numbers = found if counted is None else counted
    told = (Band(from_s=start, to_s=end, calls=number) for (start, end), number in zip(bands, numbers, strict=False))
    return tuple(told), longer


async def call_backs(store: Store, scope: Scope, selection: Selection, now: datetime) -> CallBacks:
    """What became of the missed calls of a selection."""
    visible = visible_calls(scope)
    wait_ms = type_coerce(calls.c.called_back_at, BigInteger) - type_coerce(calls.c.started_at, BigInteger)
    async with store.reading() as connection:
        wanted = conditions(await named_by_login(connection, scope, selection), visible, now)
        # The calls are looked at once: what is counted and put in order is how long those who called waited.
        found = select(wait_ms.label("wait_ms")).select_from(visible.source).where(wanted, MISSED).cte("missed")
        back = select(func.count(found.c.wait_ms)).scalar_subquery()
        middle = select(found.c.wait_ms).where(found.c.wait_ms.is_not(None)).order_by(found.c.wait_ms).offset(back // 2).limit(1)
        query = select(select(func.count()).select_from(found).scalar_subquery(), back, middle.scalar_subquery())
        missed, called_back, median_ms = (await connection.execute(query)).one()
    median_s = None if median_ms is None else round(median_ms / 1000)
    return CallBacks(missed=missed, called_back=called_back, median_wait_s=median_s)


async def _names(connection: AsyncConnection, scope: Scope, kind: Kind) -> dict[str, str]:
    t = numbers.c if kind is Kind.NUMBER else users.c
    key, name = (t.number, t.label) if kind is Kind.NUMBER else (t.login, t.name)
    rows = await connection.execute(select(key.label("key"), name.label("name")).where(t.domain_id == scope.domain_id))
    return {row.key: row.name for row in rows}


def _parties(pairs: Sequence[Row[Any]], names: dict[Kind, dict[str, str]]) -> Parties:
    found: dict[Kind, dict[str, tuple[Counted, int]]] = {kind: {} for kind in Kind}
    for row in pairs:
        for kind, key in ((Kind.NUMBER, row.number), (Kind.EMPLOYEE, row.employee)):
            if key is not None:
                before, talk_ms = found[kind].get(key, (Counted(), 0))
                found[kind][key] = before + counts_of(row), talk_ms + row.talk_ms
    by_number, by_employee = (groups_of(found[kind], names[kind]) for kind in (Kind.NUMBER, Kind.EMPLOYEE))
    return Parties(total=total(map(counts_of, pairs)), by_number=by_number, by_employee=by_employee)
