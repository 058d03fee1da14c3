"""Counting rows up to a limit: an exact count of more costs more than it is worth."""

from typing import Final

from sqlalchemy import ColumnElement, FromClause, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

COUNTED_UP_TO: Final = 10_000


async def bounded_count(connection: AsyncConnection, source: FromClause, condition: ColumnElement[bool]) -> int:
    """Count rows that fulfil a condition, up to COUNTED_UP_TO + 1."""
    rows = select(literal(1)).select_from(source).where(condition).limit(COUNTED_UP_TO + 1).subquery()
    number: int = (await connection.execute(select(func.count()).select_from(rows))).scalar_one()
    return number


def shown_total(number: int) -> tuple[int, bool]:
    """Return a bounded count as shown, and whether it is exact."""
    return min(number, COUNTED_UP_TO), number <= COUNTED_UP_TO
