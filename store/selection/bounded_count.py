"""How many rows there are, as far as it is worth knowing: an exact count of more costs more than it tells."""

from typing import Final

from sqlalchemy import ColumnElement, FromClause, Select, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

COUNTED_UP_TO: Final = 10_000


async def counted(connection: AsyncConnection, source: FromClause, condition: ColumnElement[bool]) -> tuple[int, bool]:
    """How many rows of a source fulfil a condition, at most COUNTED_UP_TO; and whether that is all of them."""
    found: int = (await connection.execute(number_up_to_most(source, condition))).scalar_one()
    return up_to_most(found)


def number_up_to_most(source: FromClause, condition: ColumnElement[bool]) -> Select[int]:
    """How many rows of a source fulfil a condition, as `found`; no more than COUNTED_UP_TO + 1 are looked for."""
    some = select(literal(1)).select_from(source).where(condition).limit(COUNTED_UP_TO + 1).subquery()
    return select(func.count().label("found")).select_from(some)


def up_to_most(found: int) -> tuple[int, bool]:
    """What is told of so many found, of whom at most COUNTED_UP_TO + 1 were looked for."""
    return min(found, COUNTED_UP_TO), found <= COUNTED_UP_TO
