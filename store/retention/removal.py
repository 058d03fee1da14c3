"""Calls that leave the index: with all that belongs to them, and out of the figures."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store.database.schema import calls, domains
from store.intake.call_backs import Written
from store.intake.facts import FACTS, facts_of
from store.intake.write_counters import tally


async def remove_calls(connection: AsyncConnection, domain_id: int, keys: Sequence[int]) -> None:
    """Delete calls of a domain inside the caller's transaction; paths, participants and segments go with them.

    Some hundreds at a time, so that no writer waits long. A missed call that was called back by one of them still was.
    """
    await connection.run_sync(_remove, domain_id, keys)


def _remove(connection: Connection, domain_id: int, keys: Sequence[int]) -> None:
    held = select(domains.c.timezone).where(domains.c.id == domain_id).with_for_update(key_share=True)
    zone = ZoneInfo(connection.execute(held).scalar_one())
    mine = (calls.c.domain_id == domain_id) & calls.c.id.in_(keys)
    rows = connection.execute(select(calls.c.id, *FACTS).where(mine)).all()
    connection.execute(delete(calls).where(mine))
    gone = [Written(key=row.id, before=facts_of(row._mapping), after=None) for row in rows]
    tally(connection, gone, {domain_id: zone})
