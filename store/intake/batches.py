"""All calls of a domain in batches, so that memory does not grow with their number."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Row, literal, select, tuple_, type_coerce

from store.database.schema import calls

_BATCH: Final = 5000


def calls_in_batches(connection: Connection, domain_id: int, *columns: ColumnElement[Any]) -> Iterator[Sequence[Row[Any]]]:
    """Yield batches of a domain's calls, ordered by start, without merged calls.

    A row has `id`, `began_ms` and the given columns.
    """
    started_at = type_coerce(calls.c.started_at, BigInteger)
    query = select(calls.c.id, started_at.label("began_ms"), *columns)
    query = query.where(calls.c.domain_id == domain_id, calls.c.merged_into.is_(None))
    query = query.order_by(started_at, calls.c.id).limit(_BATCH)
    after = (-1, -1)
    while rows := connection.execute(query.where(tuple_(started_at, calls.c.id) > tuple_(*map(literal, after)))).all():
        yield rows
        after = (rows[-1].began_ms, rows[-1].id)
