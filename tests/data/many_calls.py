"""A long history in a moment: copies of a stored call."""

from datetime import timedelta

from sqlalchemy import insert, select

from fonoteka.core.naming import call_id
from store.database.schema import calls, participants
from store.database.store import Store

_AT_ONCE = 1000


async def repeat(store: Store, linkedid: str, count: int, *, every: timedelta = timedelta(seconds=1)) -> None:
    """Copy a call `count` times, without segments; each copy is earlier by `every`."""
    async with store.reading() as connection:
        call = (await connection.execute(select(calls).where(calls.c.linkedid == linkedid))).one()
        users = (await connection.execute(select(participants).where(participants.c.call_id == call.id))).all()
    for first in range(1, count + 1, _AT_ONCE):
        call_rows, user_rows = [], []
        for number in range(first, min(first + _AT_ONCE, count + 1)):
            key, name, started_at = 10**9 + number, f"{linkedid}-{number}", call.started_at - number * every
            own = {"id": key, "linkedid": name, "public_id": call_id("pbx1", name), "started_at": started_at}
            call_rows.append(dict(call._mapping) | own | {"duration_s": number % 97, "src": f"8913{number:07d}"})
            user_rows += [dict(user._mapping) | {"call_id": key, "started_at": started_at} for user in users]
        async with store.writing() as connection:
            await connection.execute(insert(calls), call_rows)
            await connection.execute(insert(participants), user_rows)
