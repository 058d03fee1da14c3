"""One table in two databases: make the second one like the first.

Values are compared and copied as the databases keep them: times as milliseconds, JSON as its text.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from store.database.dialect import without_nul
from store.database.schema import Instant

BATCH: Final = 1000  # rows

Key = tuple[Any, ...]
Row = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """The rows that the second database lacks, and those that are others there."""

    missing: tuple[Row, ...]
    changed: tuple[Row, ...]


def difference(wanted: Mapping[Key, Row], found: Mapping[Key, Row]) -> Difference:
    """Compare rows by their keys. Keys that only `found` has are not looked at."""
    return Difference(
        missing=tuple(row for key, row in wanted.items() if key not in found),
        changed=tuple(row for key, row in wanted.items() if key in found and found[key] != row),
    )


async def count(connection: AsyncConnection, table: Table) -> int:
    """Count the rows."""
    return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


async def batches(connection: AsyncConnection, table: Table) -> AsyncIterator[dict[Key, Row]]:
    """Yield all rows by their keys, in the order of the keys, BATCH at a time."""
    columns, keys = [_as_kept(column) for column in table.columns], _keys(table)
    after: ColumnElement[bool] | None = None
    while True:
        query = select(*columns).order_by(*keys).limit(BATCH)
        found = _by_key(table, await connection.execute(query if after is None else query.where(after)))
        if found:
            yield found
        if len(found) < BATCH:
            return
        last = next(reversed(found))
        after = tuple_(*keys) > tuple_(*(literal(value, key.type) for value, key in zip(last, keys, strict=True)))


async def rows_of(connection: AsyncConnection, table: Table, keys: Sequence[Key]) -> dict[Key, Row]:
    """Return the rows that exist of these keys."""
    wanted = tuple_(*_keys(table)).in_(keys)
    return _by_key(table, await connection.execute(select(*map(_as_kept, table.columns)).where(wanted)))


async def apply(connection: AsyncConnection, table: Table, found: Difference) -> None:
    """Write the rows of a difference."""
    values = {column.name: _bound(column) for column in table.columns}
    if found.missing:
        await connection.execute(insert(table).values(values), [_parameters(table, row) for row in found.missing])
    if found.changed:
        same_key = and_(*(column == _bound(column) for column in table.primary_key))
        await connection.execute(update(table).where(same_key).values(values), [_parameters(table, row) for row in found.changed])


async def remove(connection: AsyncConnection, table: Table, keys: Sequence[Key]) -> None:
    """Delete rows by their keys."""
    await connection.execute(delete(table).where(tuple_(*_keys(table)).in_(keys)))


def _keys(table: Table) -> list[ColumnElement[Any]]:
    return [_as_kept(column) for column in table.primary_key]


def _as_kept(column: ColumnElement[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, JSON):
        return cast(column, Text)
    return type_coerce(column, BigInteger) if isinstance(column.type, Instant) else column


def _bound(column: Any) -> ColumnElement[Any]:
    if isinstance(column.type, JSON):
        return cast(bindparam(f"new_{column.name}", type_=Text), JSON)
    return bindparam(f"new_{column.name}", type_=BigInteger if isinstance(column.type, Instant) else column.type)


def _parameters(table: Table, row: Row) -> dict[str, Any]:
    return {f"new_{column.name}": value for column, value in zip(table.columns, row, strict=True)}


def _by_key(table: Table, rows: Any) -> dict[Key, Row]:
    places = [place for place, column in enumerate(table.columns) if column.primary_key]
    kept = (without_nul(tuple(row)) for row in rows)
    return {tuple(row[place] for place in places): row for row in kept}
