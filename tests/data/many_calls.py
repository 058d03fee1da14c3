"""A long history in a moment: a call that is in the store already, told many times over."""

from datetime import timedelta

from sqlalchemy import insert, select

from fonoteka.core.naming import call_id
from store.database.schema import calls, participants
from store.database.store import Store

_AT_ONCE = 1000


async def repeat(store: Store, linkedid: str, count: int, *, every: timedelta = timedelta(seconds=1)) -> None:
    """Write the call of this linkedid `count` times more (without segments), each so much earlier than the one before."""
    async with store.reading() as connection:
        one = (await connection.execute(select(calls).where(calls.c.linkedid == linkedid))).one()
        theirs = (await connection.execute(select(participants).where(participants.c.call_id == one.id))).all()
    for first in range(1, count + 1, _AT_ONCE):
        rows, who = [], []
        for number in range(first, min(first + _AT_ONCE, count + 1)):
            key, name, started_at = 10**9 + number, f"{linkedid}-{number}", one.started_at - number * every
            own = {"id": key, "linkedid": name, "public_id": call_id("pbx1", name), "started_at": started_at}
            rows.append(dict(one._mapping) | own | {"duration_s": number % 97, "src": f"8913{number:07d}"})
            who += [dict(person._mapping) | {"call_id": key, "started_at": started_at} for person in theirs]
        async with store.writing() as connection:
            await connection.execute(insert(calls), rows)
            await connection.execute(insert(participants), who)
