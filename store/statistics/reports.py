"""Reports of a selection: by hour, by number and user, by length of talk, and call-backs.

A report comes from the counters where they can answer, else from the calls. Both give the same
numbers. Every report needs a `Scope`.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import Direction
from store.database.counter_tables import BANDS_S
from store.database.schema import calls, numbers, users
from store.database.store import Store
from store.intake.call_backs import MISSED
from store.intake.counters import GroupKind
from store.selection.scope import Scope, visible_calls
from store.selection.selection import Selection, conditions
from store.statistics import from_calls, from_counters
from store.statistics.employee_filter import resolve_employee_filter
from store.statistics.qualities import qualities_query, read_qualities
from store.statistics.report_types import (
    Band,
    CallBacks,
    Hour,
    Parties,
    Qualities,
    Waits,
)
from store.statistics.waits import read_waits, waits_query


async def by_hour(store: Store, scope: Scope, selection: Selection, now: datetime) -> tuple[Hour, ...]:
    """Count the outside calls of each weekday and hour, without hours that have no calls."""
    async with store.reading() as connection:
        selection = await resolve_employee_filter(connection, scope, selection)
        hours = await from_counters.hours(connection, scope, selection)
        if hours is None:
            hours = from_calls.read_hours(await connection.execute(from_calls.hours(connection.dialect, scope, selection, now)))
    return tuple(
        Hour(weekday=week_hour // 24 + 1, hour=week_hour % 24, counts=counts) for week_hour, counts in sorted(hours.items())
    )


async def by_party(store: Store, scope: Scope, selection: Selection, direction: Direction, now: datetime) -> Parties:
    """Count the calls of a direction by number and by user, without those that have no calls."""
    async with store.reading() as connection:
        selection = await resolve_employee_filter(connection, scope, selection)
        names = {kind: await _names(connection, scope, kind) for kind in GroupKind}
        parties = await from_counters.parties(connection, scope, selection, direction, names)
        if parties is None:
            rows = await connection.execute(from_calls.parties(scope, selection, direction, now))
            parties = from_calls.read_parties(rows, names)
    return parties


async def by_length(
    store: Store, scope: Scope, selection: Selection, longer_than_s: int | None, now: datetime
) -> tuple[tuple[Band, ...], int | None]:
    """Count the outgoing calls by the length of their talk.

    The second number counts the calls that talked longer than `longer_than_s` whole seconds; None
    if that is None.
    """
    bands = list(zip(BANDS_S, (*BANDS_S[1:], None), strict=True))
    async with store.reading() as connection:
        selection = await resolve_employee_filter(connection, scope, selection)
        counts = await from_counters.bands(connection, scope, selection)
        shares = [*(bands if counts is None else []), *([] if longer_than_s is None else [(longer_than_s + 1, None)])]
        from_shares: Sequence[int] = []
        if shares:
            from_shares = (await connection.execute(from_calls.talks(scope, selection, shares, now))).one()
    longer = from_shares[-1] if longer_than_s is not None else None
    by_band = from_shares if counts is None else counts
    return tuple(Band(from_s=start, to_s=end, calls=number) for (start, end), number in zip(bands, by_band, strict=False)), longer


async def call_backs(store: Store, scope: Scope, selection: Selection, now: datetime) -> CallBacks:
    """Count the missed calls of a selection and those called back, with the median wait."""
    visible = visible_calls(scope)
    wait_ms = type_coerce(calls.c.called_back_at, BigInteger) - type_coerce(calls.c.started_at, BigInteger)
    async with store.reading() as connection:
        wanted = conditions(await resolve_employee_filter(connection, scope, selection), visible, now)
        # A CTE, so that the calls are read once: only their waits are counted and sorted.
        missed = select(wait_ms.label("wait_ms")).select_from(visible.source).where(wanted, MISSED).cte("missed")
        back = select(func.count(missed.c.wait_ms)).scalar_subquery()
        waits = select(missed.c.wait_ms).where(missed.c.wait_ms.is_not(None)).order_by(missed.c.wait_ms)
        median = waits.offset(back // 2).limit(1).scalar_subquery()
        query = select(select(func.count()).select_from(missed).scalar_subquery(), back, median)
        missed_calls, called_back, median_ms = (await connection.execute(query)).one()
    median_s = None if median_ms is None else round(median_ms / 1000)
    return CallBacks(missed=missed_calls, called_back=called_back, median_wait_s=median_s)


async def waits(store: Store, scope: Scope, selection: Selection, within_s: int, now: datetime) -> Waits:
    """Count the incoming calls whose wait is known, and those answered within `within_s`."""
    async with store.reading() as connection:
        selection = await resolve_employee_filter(connection, scope, selection)
        labels = await _names(connection, scope, GroupKind.NUMBER)
        rows = (await connection.execute(waits_query(connection.dialect, scope, selection, within_s, now))).all()
    return read_waits(rows, labels)


async def qualities(store: Store, scope: Scope, selection: Selection, bad_below: float, now: datetime) -> Qualities:
    """Count the calls whose quality is known, and those with a score below `bad_below`."""
    async with store.reading() as connection:
        selection = await resolve_employee_filter(connection, scope, selection)
        names = await _names(connection, scope, GroupKind.USER)
        rows = (await connection.execute(qualities_query(connection.dialect, scope, selection, bad_below, now))).all()
    return read_qualities(rows, names)


async def _names(connection: AsyncConnection, scope: Scope, kind: GroupKind) -> dict[str, str]:
    t = numbers.c if kind is GroupKind.NUMBER else users.c
    key, name = (t.number, t.label) if kind is GroupKind.NUMBER else (t.login, t.name)
    query = select(key.label("key"), name.label("name")).where(t.domain_id == scope.domain_id)
    if kind is GroupKind.USER:  # of several users of one login, one after the other, the last
        query = query.where(users.c.valid_until.is_(None))
    rows = await connection.execute(query)
    return {row.key: row.name for row in rows}
