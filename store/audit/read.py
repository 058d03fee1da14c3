"""Reading the audit: pages of a domain's entries, newest first.

An entry and the rows that continue it are read as one, at the time of the first.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Row, Select, Text, and_, cast, func, literal, or_, select, tuple_, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audit.spans import Span, union
from store.database.schema import audit, calls, milliseconds, users
from store.database.store import Store
from store.selection.bounded_count import bounded_count, shown_total
from store.selection.identity import user_at
from store.selection.period import Period

_BATCH: Final = 500
# Their details have `ids`.
_OF_MANY_CALLS: Final = ("recordings_expired", "calls_expired", "subject_erased", "subject_exported")


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditPlace:
    """The entry after which a page begins."""

    at: datetime
    id: int


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditedCall:
    """The call that an entry is about."""

    src: str
    dst: str
    started_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenEntry:
    """An entry. `name` and `call` are None if there is no such user or call, or no longer."""

    at: datetime
    login: str
    name: str | None
    address: str
    action: str
    subject: str
    detail: Mapping[str, Any]
    call: AuditedCall | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditPage:
    """A page; `next` is None on the last page. `total` is at most COUNTED_UP_TO."""

    items: tuple[SeenEntry, ...]
    next: AuditPlace | None
    total: int
    total_is_exact: bool


async def page_of_audit(
    store: Store,
    domain_id: int,
    period: Period,
    *,
    actions: tuple[str, ...],
    login: str | None,
    after: AuditPlace | None,
    limit: int,
    subject: str | None = None,
) -> AuditPage:
    """Return a page of a domain's entries; an empty or absent filter means all."""
    condition = _conditions(domain_id, period, actions, login, subject)
    async with store.reading() as connection:
        items, place = await _read(connection, domain_id, condition, after, limit)
        total, exact = shown_total(await bounded_count(connection, audit, condition))
    return AuditPage(items=items, next=place, total=total, total_is_exact=exact)


async def all_entries(
    store: Store, domain_id: int, period: Period, *, actions: tuple[str, ...], login: str | None, subject: str | None
) -> AsyncIterator[tuple[SeenEntry, ...]]:
    """Yield the entries of a domain, newest first, some hundreds at a time.

    No connection is held between two of them.
    """
    condition = _conditions(domain_id, period, actions, login, subject)
    place: AuditPlace | None = None
    while True:
        async with store.reading() as connection:
            items, place = await _read(connection, domain_id, condition, place, _BATCH)
        if items:
            yield items
        if place is None:
            return


async def entries_about(store: Store, domain_id: int, subjects: Sequence[str]) -> tuple[SeenEntry, ...]:
    """Return all entries of a domain about some subjects, such as calls, newest first."""
    condition = and_(audit.c.domain_id == domain_id, audit.c.subject.in_(subjects), audit.c.continues.is_(None))
    async with store.reading() as connection:
        rows = (await connection.execute(_entries().where(condition))).all()
        further = await _further(connection, domain_id, [row.seq for row in rows])
    return tuple(_seen(row, further.get(row.seq, ())) for row in rows)


def _conditions(
    domain_id: int, period: Period, actions: tuple[str, ...], login: str | None, subject: str | None
) -> ColumnElement[bool]:
    wanted = [audit.c.domain_id == domain_id, audit.c.at >= period.start, audit.c.at < period.end]
    wanted.append(audit.c.continues.is_(None))
    if actions:
        wanted.append(audit.c.action.in_(actions))
    if login is not None:
        wanted.append(audit.c.login == login)
    if subject is not None:
        wanted.append(or_(audit.c.subject == subject, audit.c.seq.in_(_of_many_calls(domain_id, period, subject))))
    return and_(*wanted)


def _of_many_calls(domain_id: int, period: Period, call: str) -> Select[Any]:
    """Select the entries about many calls, a given call among them."""
    has_call = cast(audit.c.detail, Text).contains(call, autoescape=True)
    entries = select(func.coalesce(audit.c.continues, audit.c.seq)).where(audit.c.domain_id == domain_id)
    return entries.where(audit.c.at >= period.start, audit.c.action.in_(_OF_MANY_CALLS), has_call)


async def _read(
    connection: AsyncConnection, domain_id: int, condition: ColumnElement[bool], after: AuditPlace | None, limit: int
) -> tuple[tuple[SeenEntry, ...], AuditPlace | None]:
    """Return entries after a place, and where the next page begins."""
    query = _entries().where(condition)
    if after is not None:
        # The condition on `at` lets the database seek in the index.
        key = tuple_(type_coerce(audit.c.at, BigInteger), audit.c.id)
        query = query.where(audit.c.at <= after.at, key < tuple_(literal(milliseconds(after.at)), literal(after.id)))
    rows = (await connection.execute(query.limit(limit + 1))).all()
    further = await _further(connection, domain_id, [row.seq for row in rows[:limit]])
    last = rows[limit - 1] if len(rows) > limit else None
    items = tuple(_seen(row, further.get(row.seq, ())) for row in rows[:limit])
    return items, AuditPlace(at=last.at, id=last.id) if last is not None else None


def _entries() -> Select[Any]:
    """Select entries with the user's name, and the call if the subject is one of the domain."""
    user = user_at(audit.c.domain_id, audit.c.login, audit.c.at)
    call = and_(calls.c.public_id == audit.c.subject, calls.c.domain_id == audit.c.domain_id, calls.c.merged_into.is_(None))
    columns = (*audit.c, users.c.name, calls.c.src, calls.c.dst, calls.c.started_at)
    source = audit.outerjoin(users, user).outerjoin(calls, call)
    return select(*columns).select_from(source).order_by(audit.c.at.desc(), audit.c.id.desc())


async def _further(connection: AsyncConnection, domain_id: int, entries: Sequence[int]) -> dict[int, tuple[Mapping[str, Any], ...]]:
    """Return the details of the rows that continue some entries, in order, by entry."""
    query = select(audit.c.continues, audit.c.detail).where(audit.c.domain_id == domain_id, audit.c.continues.in_(entries))
    details: dict[int, tuple[Mapping[str, Any], ...]] = {}
    for row in await connection.execute(query.order_by(audit.c.seq)):
        details[row.continues] = (*details.get(row.continues, ()), row.detail)
    return details


def merged(details: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the details of an entry and of the rows that continue it as one. Pure.

    The parts that were heard (`heard_ms`, `[from, to]` in each row) become a list of disjoint
    parts; of other keys the last value counts.
    """
    result: dict[str, Any] = {key: value for detail in details for key, value in detail.items() if key != "heard_ms"}
    heard = [Span(*detail["heard_ms"]) for detail in details if "heard_ms" in detail]
    return result | {"heard_ms": [[part.start, part.end] for part in union(heard)]} if heard else result


def _seen(row: Row[Any], further: Sequence[Mapping[str, Any]]) -> SeenEntry:
    call = None if row.started_at is None else AuditedCall(src=row.src, dst=row.dst, started_at=row.started_at)
    return SeenEntry(
        at=row.at,
        login=row.login,
        name=row.name,
        address=row.address,
        action=row.action,
        subject=row.subject,
        detail=merged([row.detail, *further]),
        call=call,
    )
