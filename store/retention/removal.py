"""Removal of calls with all their rows, and from the counters."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store.database.schema import calls, domains
from store.intake.call_backs import WrittenCall
from store.intake.facts import FACTS, facts_of_row
from store.intake.write_counters import update_counters


async def remove_calls(connection: AsyncConnection, domain_id: int, keys: Sequence[int]) -> None:
    """Delete calls of a domain in the caller's transaction, with all rows that belong to them.

    Calls under legal hold stay. Pass some hundreds at a time, so that no other writer waits long. A
    missed call that was called back by a deleted call keeps its `called_back_at`.
    """
    await connection.run_sync(_remove, domain_id, keys)


def _remove(connection: Connection, domain_id: int, keys: Sequence[int]) -> None:
    locked = select(domains.c.timezone).where(domains.c.id == domain_id).with_for_update(key_share=True)
    zone = ZoneInfo(connection.execute(locked).scalar_one())
    selected = (calls.c.domain_id == domain_id) & calls.c.id.in_(keys) & calls.c.legal_hold.is_(False)
    rows = connection.execute(select(calls.c.id, *FACTS).where(selected)).all()
    connection.execute(delete(calls).where(selected))
    removed = [WrittenCall(key=row.id, before=facts_of_row(row._mapping), after=None) for row in rows]
    update_counters(connection, removed, {domain_id: zone})
