"""Which calls make a page, and how many there are: found in an index that holds all that is asked for, no row is looked at."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Row, Select, func, literal, select, tuple_, type_coerce

from store.database.store import Store
from store.halves import in_halves
from store.selection.bounded_count import COUNTED_UP_TO, number_up_to_most
from store.selection.scope import Visible
from store.selection.selection import Selection, Sort, conditions, duration_s

_BY_START: Final = (Sort.STARTED_UP, Sort.STARTED_DOWN)
_DOWN: Final = (Sort.STARTED_DOWN, Sort.DURATION_DOWN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a page begins: after this call. `now`: what calls that go on were measured to on the first page."""

    sort: Sort
    value: int
    call_id: int
    now: datetime


class Key(NamedTuple):
    """A call and its place in an order."""

    value: int
    call_id: int


async def first_and_found(
    store: Store,
    visible: Visible,
    selection: Selection,
    *,
    sort: Sort,
    after: Place | None,
    limit: int,
    now: datetime,
    counts: bool,
) -> tuple[list[Key], int]:
    """The first calls after a place; if it `counts`, how many there are in all, as far as they are counted (`bounded_count`)."""
    wanted, within = conditions(selection, visible, now), selection.period
    if counts and after is None and sort in _BY_START:
        halves = await in_halves(store, _first_and_number(visible, wanted, sort, now, limit), within)
        return keys_of(halves, sort), sum(half[0].found for half in halves if half)
    keys = keys_of(await in_halves(store, first(visible, wanted, sort, after, now, limit), within), sort)
    if not counts or (after is None and len(keys) < limit):  # a first page that is the last has them all
        return keys, len(keys)
    numbers = await in_halves(store, number_up_to_most(visible.source, wanted), within)
    return keys, sum(row.found for row in chain.from_iterable(numbers))


def keys_of(parts: Iterable[Iterable[Row[Any]]], sort: Sort) -> list[Key]:
    """The keys in the rows of `first`, in their order, where each part has the first of its own."""
    return sorted((Key(row.value, row.call_id) for row in chain.from_iterable(parts)), reverse=sort in _DOWN)


def place_after(keys: Sequence[Key], sort: Sort, limit: int, now: datetime) -> Place | None:
    """Where the next page begins, if there are more than `limit`."""
    return Place(sort=sort, value=keys[limit - 1].value, call_id=keys[limit - 1].call_id, now=now) if len(keys) > limit else None


def first(visible: Visible, wanted: ColumnElement[bool], sort: Sort, after: Place | None, now: datetime, limit: int) -> Select[Any]:
    """The first visible calls after a place that fulfil a condition."""
    value = _sort_value(visible, sort, now)
    chosen = select(value.label("value"), visible.call_id.label("call_id")).select_from(visible.source).where(wanted)
    if after is not None:
        key, place = tuple_(value, visible.call_id), tuple_(literal(after.value), literal(after.call_id))
        chosen = chosen.where(key < place if sort in _DOWN else key > place)
    return chosen.order_by(*_order(sort, value, visible.call_id)).limit(limit)


def _first_and_number(visible: Visible, wanted: ColumnElement[bool], sort: Sort, now: datetime, limit: int) -> Select[Any]:
    """In the order of the index: the calls are looked at once for both."""
    found = first(visible, wanted, sort, None, now, COUNTED_UP_TO + 1).cte("found")
    number = select(func.count()).select_from(found).scalar_subquery()
    return select(found, number.label("found")).order_by(*_order(sort, found.c.value, found.c.call_id)).limit(limit)


def _sort_value(visible: Visible, sort: Sort, now: datetime) -> ColumnElement[int]:
    return type_coerce(visible.started_at, BigInteger) if sort in _BY_START else duration_s(now)


def _order(sort: Sort, value: ColumnElement[Any], call_id: ColumnElement[Any]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return (value.desc(), call_id.desc()) if sort in _DOWN else (value, call_id)
