"""The keys of a page of calls and the number of calls, read from covering indexes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Dialect, Row, Select, func, literal, select, tuple_, type_coerce, union_all
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.visitors import iterate

from store.database.dialect import has_later_indexes
from store.database.schema import calls
from store.selection.bounded_count import COUNTED_UP_TO, bounded_count
from store.selection.scope import VisibleCalls, from_participants
from store.selection.selection import Selection, Sort, conditions, duration_s

_BY_START: Final = (Sort.STARTED_UP, Sort.STARTED_DOWN)
_DOWN: Final = (Sort.STARTED_DOWN, Sort.DURATION_DOWN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The call after which a page begins. `now` is the time of the first page."""

    sort: Sort
    value: int
    call_id: int
    now: datetime


class Key(NamedTuple):
    """A call and its place in an order."""

    value: int
    call_id: int


def keyed_calls(
    dialect: Dialect, visible: VisibleCalls, selection: Selection, sort: Sort, now: datetime
) -> tuple[VisibleCalls, ColumnElement[bool]]:
    """Return the calls to take keys from, and the selection as a condition on them."""
    if visible.taken_part is not None and sort in _BY_START and has_later_indexes(dialect):
        alone = from_participants(visible)
        wanted = conditions(selection, alone, now)
        if all(getattr(part, "table", None) is not calls for part in iterate(wanted)):
            return alone, wanted
    return visible, conditions(selection, visible, now)


async def first_page(
    connection: AsyncConnection, visible: VisibleCalls, wanted: ColumnElement[bool], *, sort: Sort, limit: int, now: datetime
) -> tuple[list[Key], int]:
    """Return the first keys and the number of all calls, counted up to COUNTED_UP_TO + 1."""
    if sort in _BY_START:
        rows = (await connection.execute(_keys_and_number(connection.dialect, visible, wanted, sort, now, limit))).all()
        return read_keys(rows), rows[0].number if rows else 0
    keys = read_keys(await connection.execute(keys_query(connection.dialect, visible, wanted, sort, None, now, limit)))
    if len(keys) < limit:
        return keys, len(keys)
    return keys, await bounded_count(connection, visible.source, wanted)


def read_keys(rows: Iterable[Row[Any]]) -> list[Key]:
    """Read the rows of `keys_query`."""
    return [Key(row.value, row.call_id) for row in rows]


def place_after(keys: Sequence[Key], sort: Sort, limit: int, now: datetime) -> Place | None:
    """Return where the next page begins; None if there are no more than `limit` keys."""
    return Place(sort=sort, value=keys[limit - 1].value, call_id=keys[limit - 1].call_id, now=now) if len(keys) > limit else None


def keys_query(
    dialect: Dialect, visible: VisibleCalls, wanted: ColumnElement[bool], sort: Sort, after: Place | None, now: datetime, limit: int
) -> Select[Any]:
    """Select the first visible calls after a place that fulfil a condition."""
    if sort in _BY_START:
        return _ordered(visible, wanted, sort, after, type_coerce(visible.started_at, BigInteger), limit)
    if visible.source is not calls or not has_later_indexes(dialect):
        return _ordered(visible, wanted, sort, after, duration_s(now), limit)
    # Ended calls in the order of an index; the length of the few in progress is in none.
    ended = _ordered(visible, wanted & calls.c.duration_s.is_not(None), sort, after, calls.c.duration_s, limit)
    in_progress = wanted & calls.c.ended_at.is_(None)
    both = union_all(ended, _ordered(visible, in_progress, sort, after, duration_s(now), limit)).subquery()
    return select(both).order_by(*_order(sort, both.c.value, both.c.call_id)).limit(limit)


def _ordered(
    visible: VisibleCalls, wanted: ColumnElement[bool], sort: Sort, after: Place | None, value: ColumnElement[int], limit: int
) -> Select[Any]:
    chosen = select(value.label("value"), visible.call_id.label("call_id")).select_from(visible.source).where(wanted)
    if after is not None:
        key, place = tuple_(value, visible.call_id), tuple_(literal(after.value), literal(after.call_id))
        chosen = chosen.where(key < place if sort in _DOWN else key > place)
    return chosen.order_by(*_order(sort, value, visible.call_id)).limit(limit)


def _keys_and_number(
    dialect: Dialect, visible: VisibleCalls, wanted: ColumnElement[bool], sort: Sort, now: datetime, limit: int
) -> Select[Any]:
    """Select both in one pass over the index, in its order."""
    chosen = keys_query(dialect, visible, wanted, sort, None, now, COUNTED_UP_TO + 1).cte("chosen")
    number = select(func.count()).select_from(chosen).scalar_subquery()
    return select(chosen, number.label("number")).order_by(*_order(sort, chosen.c.value, chosen.c.call_id)).limit(limit)


def _order(sort: Sort, value: ColumnElement[Any], call_id: ColumnElement[Any]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return (value.desc(), call_id.desc()) if sort in _DOWN else (value, call_id)
