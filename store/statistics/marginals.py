"""The groups of a query, added up by each column that it groups by.

The database adds: a large company has ten thousand groups of trunk, employee and hour. To add them
in Python took longer than to count the calls, and the API answered nobody else meanwhile.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, CompoundSelect, Float, Row, Select, Text, cast, func, literal, select, union_all

Counts = TypeVar("Counts")
Aggregate = Callable[[ColumnElement[Any]], ColumnElement[Any]]


def marginals(groups: Select[Any], keys: Sequence[str], others: Mapping[str, Aggregate]) -> CompoundSelect[Any]:
    """Select the columns of `groups` by each of its keys, for `read_marginals`.

    Columns are added up, but those in `others`, which has their aggregates.
    """
    each = groups.cte("each")
    columns = [others.get(column.name, _sum)(column).label(column.name) for column in each.c if column.name not in keys]
    return union_all(
        *(
            select(literal(place).label("place"), cast(each.c[key], Text).label("key"), *columns).group_by(each.c[key])
            for place, key in enumerate(keys)
        )
    )


def read_marginals(
    rows: Iterable[Row[Any]], keys: Sequence[str], read: Callable[[Row[Any]], Counts]
) -> list[dict[str | None, Counts]]:
    """Read the rows of `marginals`: for each of the keys, the counts by its values as text."""
    counts: list[dict[str | None, Counts]] = [{} for _ in keys]
    for row in rows:
        counts[row.place][row.key] = read(row)
    return counts


def named(counts: Mapping[str | None, Counts]) -> dict[str, Counts]:
    """Return the counts without those of the calls that have no value."""
    return {key: of_key for key, of_key in counts.items() if key is not None}


def _sum(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Sum a column; PostgreSQL's sum of integers is a decimal number."""
    return func.sum(column) if isinstance(column.type, Float) else cast(func.sum(column), BigInteger)
