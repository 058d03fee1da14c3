"""What is due for deletion, by age and by quota: in batches, the oldest first.

Never due is what is under legal hold, or of a call in progress.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Row,
    ScalarSelect,
    Select,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from store.database.schema import HAS_AUDIO, calls, domains, participants, pbxs, segments, users
from store.database.store import Store
from store.intake.report_limits import LONGEST_CALL
from store.retention.expiry import HELD_COLUMNS, SEGMENTS_AT_A_TIME, without_held
from store.retention.merged_calls import is_visible, merge_chains
from store.retention.quota import Quota, Usage, usage_of
from store.retention.removal import CALLS_AT_A_TIME
from store.selection.retention_rule import audio_days, expired_before, has_expired, with_recorded_users

_ROWS_AT_A_TIME: Final = 500  # written in one transaction; a call of more rows is a batch of its own
Most = Callable[[], int]
"""Asked before each batch: how many rows it may have at most."""

_Choice = Callable[[AsyncConnection, Sequence[Row[Any]]], Awaitable[list[Row[Any]]]]


def _no_limit() -> int:
    return _ROWS_AT_A_TIME


@dataclass(frozen=True, kw_only=True, slots=True)
class RetainedDomain:
    """A domain, its periods and its quota. `shortest_days` is the shortest period of any user."""

    id: int
    name: str
    timezone: str
    retention_days: int
    calls_retention_days: int | None
    shortest_days: int
    quota: Quota


async def retained_domains(store: Store) -> list[RetainedDomain]:
    """Return all domains, removed ones too: their calls expire like others."""
    shortest = func.coalesce(func.min(users.c.retention_days), domains.c.retention_days)
    query = select(domains, shortest.label("shortest")).outerjoin_from(domains, users, users.c.domain_id == domains.c.id)
    async with store.reading() as connection:
        rows = (await connection.execute(query.group_by(domains.c.id).order_by(domains.c.id))).all()
    return [
        RetainedDomain(
            id=row.id,
            name=row.name,
            timezone=row.timezone,
            retention_days=row.retention_days,
            calls_retention_days=row.calls_retention_days,
            shortest_days=min(row.shortest, row.retention_days),
            quota=Quota(gb=row.quota_gb, recordings=row.quota_recordings),
        )
        for row in rows
    ]


async def due_audio(
    store: Store, domain: RetainedDomain, now: datetime, most: Most = _no_limit
) -> AsyncIterator[Sequence[Row[Any]]]:
    """Yield batches of segments whose audio is due.

    A row has `id`, `user`, `size_bytes`, `public_id`, `started_at`, `days` (for which the audio is
    kept) and `of_user` (whether by the user's own rule).
    """
    days = audio_days(literal(domain.retention_days, Integer))
    columns = (
        segments.c.id,
        segments.c.user,
        segments.c.size_bytes,
        calls.c.started_at,
        days.label("days"),
        users.c.retention_days.is_not(None).label("of_user"),
        _rows_of_call().label("rows"),
        *_key(segments.c.id),
        *HELD_COLUMNS,
    )
    source = with_recorded_users(calls.join(segments, segments.c.call_id == calls.c.id)).join(pbxs, pbxs.c.id == calls.c.pbx_id)
    candidates = and_(calls.c.recording_ms.is_not(None), calls.c.started_at <= expired_before(now, domain.shortest_days))
    query = select(*columns).select_from(source).where(_may_go(domain, now), candidates, HAS_AUDIO, has_expired(days, now))
    async for batch in _batches(store, query, segments.c.id, lambda: min(most(), SEGMENTS_AT_A_TIME)):
        yield batch


async def beyond_quota(
    store: Store, domain: RetainedDomain, now: datetime, most: Most = _no_limit
) -> AsyncIterator[Sequence[Row[Any]]]:
    """Yield batches of the oldest segments that a domain has beyond its quota.

    A row has `id`, `size_bytes`, `public_id` and `started_at`.
    """
    usage = await usage_of(store, domain.id)
    if domain.quota.exceeded(usage) is None:
        return
    columns = (
        segments.c.id,
        segments.c.size_bytes,
        calls.c.started_at,
        _rows_of_call().label("rows"),
        *_key(segments.c.id),
        *HELD_COLUMNS,
    )
    source = calls.join(segments, segments.c.call_id == calls.c.id).join(pbxs, pbxs.c.id == calls.c.pbx_id)
    query = select(*columns).select_from(source).where(_may_go(domain, now), calls.c.recording_ms.is_not(None), HAS_AUDIO)
    async for batch in _batches(store, query, segments.c.id, lambda: min(most(), SEGMENTS_AT_A_TIME)):
        chosen = []
        for row in batch:
            if domain.quota.exceeded(usage) is None:
                break
            chosen.append(row)
            usage = Usage(recordings=usage.recordings - 1, size_bytes=usage.size_bytes - row.size_bytes)
        if not chosen:
            return
        yield chosen


async def due_calls(
    store: Store, domain: RetainedDomain, now: datetime, most: Most = _no_limit
) -> AsyncIterator[Sequence[Row[Any]]]:
    """Yield batches of calls that are due, without calls that still have audio that is not due.

    A row has `id`, `public_id` and `started_at`. Calls that are merged into a stored call go with
    that one and are left out.
    """
    if domain.calls_retention_days is None:
        return
    columns = (
        calls.c.id,
        calls.c.started_at,
        _rows_of_call().label("rows"),
        *_key(calls.c.id),
        *HELD_COLUMNS,
    )
    query = select(*columns).join(pbxs, pbxs.c.id == calls.c.pbx_id)
    is_old = calls.c.started_at <= expired_before(now, domain.calls_retention_days)
    query = query.where(_may_go(domain, now), is_old, ~_has_lasting_audio(domain, now))

    def size() -> int:
        return min(most(), CALLS_AT_A_TIME)

    async for batch in _batches(store, query.where(calls.c.merged_into.is_(None)), calls.c.id, size):
        yield batch
    async for batch in _batches(store, query.where(calls.c.merged_into.is_not(None)), calls.c.id, size, _orphans):
        yield batch


def _may_go(domain: RetainedDomain, now: datetime) -> ColumnElement[bool]:
    """Return the condition for calls of a domain that are neither held nor in progress.

    The end of a call that stands for longer than calls may is lost.
    """
    is_over = or_(calls.c.ended_at.is_not(None), calls.c.merged_into.is_not(None), calls.c.started_at <= now - LONGEST_CALL)
    return and_(calls.c.domain_id == domain.id, calls.c.legal_hold.is_(False), is_over)


def _has_lasting_audio(domain: RetainedDomain, now: datetime) -> ColumnElement[bool]:
    days = audio_days(literal(domain.retention_days, Integer))
    lasting = select(segments.c.id).select_from(with_recorded_users(segments)).correlate(calls)
    return exists(lasting.where(segments.c.call_id == calls.c.id, HAS_AUDIO, ~has_expired(days, now)))


def _rows_of_call() -> ColumnElement[int]:
    """Select the number of a call's rows that a deletion may write."""
    return _count(participants) + _count(segments) + 1


def _count(table: Any) -> ScalarSelect[int]:
    return select(func.count()).select_from(table).where(table.c.call_id == calls.c.id).correlate(calls).scalar_subquery()


def _key(row: ColumnElement[Any]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return type_coerce(calls.c.started_at, BigInteger).label("began_ms"), row.label("key")


async def _batches(
    store: Store, query: Select[Any], key: ColumnElement[Any], size: Most, chosen: _Choice = without_held
) -> AsyncIterator[list[Row[Any]]]:
    """Yield the chosen rows of a query, ordered by start, in batches that may be written at once.

    A row that is not deleted after all is not read again.
    """
    began_ms = type_coerce(calls.c.started_at, BigInteger)
    query = query.order_by(began_ms, key)
    after: tuple[int, int] | None = None
    while True:
        page = query.limit(size())
        if after is not None:
            page = page.where(began_ms >= after[0], tuple_(began_ms, key) > tuple_(*map(literal, after)))
        async with store.reading() as connection:
            rows = _within_limit((await connection.execute(page)).all())
            batch = await chosen(connection, rows)
        if not rows:
            return
        after = (rows[-1].began_ms, rows[-1].key)
        if batch:
            yield batch


def _within_limit(rows: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
    """Return the first rows, up to _ROWS_AT_A_TIME to be written, and at least one."""
    written = 0
    for place, row in enumerate(rows):
        written += row.rows
        if written > _ROWS_AT_A_TIME:
            return rows[: max(1, place)]
    return rows


async def _orphans(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Return merged calls without those that are merged into a visible call, which go with it."""
    chains = await merge_chains(connection, rows)
    return await without_held(connection, [row for row, chain in zip(rows, chains, strict=True) if not is_visible(row, chain)])
