"""States of limits that count over all replicas. With SQLite the one API remembers them itself.

A row is named by a digest: it tells nobody who tried to log in. There are at most so many rows, and
none is older than it matters; losing them in a crash of the server is no worse than a restart.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import randbelow
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store.database.dialect import insert, lock_names
from store.database.schema import limiter_states
from store.database.store import Store

_MOST: Final = 100_000
_TRIMMED_ONCE_IN: Final = 100  # to count the rows takes long where there are many


@dataclass(kw_only=True, slots=True)
class HeldStates:
    """The states of some names, which are written when the block ends; `now` is by one clock."""

    now: datetime
    states: dict[str, list[int] | None]


@asynccontextmanager
async def held_states(store: Store, names: Collection[str], *, kept: timedelta) -> AsyncIterator[HeldStates]:
    """Hold the states of some names: nobody else reads or writes them until the block ends.

    None is nothing. A state is forgotten after `kept`. Raises StoreError.
    """
    async with store.writing() as connection:
        now = await lock_names(connection, names)
        query = select(limiter_states).where(limiter_states.c.name.in_(names), limiter_states.c.expires_at > now)
        states: dict[str, list[int] | None] = dict.fromkeys(names)
        states |= {row.name: row.state for row in await connection.execute(query)}
        before, held = dict(states), HeldStates(now=now, states=states)
        yield held
        changed = {name: state for name, state in held.states.items() if state != before[name]}
        if changed:
            await _write(connection, changed, now + kept)
            await _forget(connection, now)


async def _write(connection: AsyncConnection, changed: dict[str, list[int] | None], expires_at: datetime) -> None:
    await connection.execute(delete(limiter_states).where(limiter_states.c.name.in_([*changed])))
    rows = [{"name": name, "state": state, "expires_at": expires_at} for name, state in changed.items() if state is not None]
    if rows:
        await connection.execute(insert(connection.dialect, limiter_states), rows)


async def _forget(connection: AsyncConnection, now: datetime) -> None:
    """Delete what has expired; now and then, of too many rows, those that expire first."""
    await connection.execute(delete(limiter_states).where(limiter_states.c.expires_at <= now))
    if randbelow(_TRIMMED_ONCE_IN) == 0:
        newest = select(limiter_states.c.expires_at).order_by(limiter_states.c.expires_at.desc()).offset(_MOST).limit(1)
        await connection.execute(delete(limiter_states).where(limiter_states.c.expires_at <= newest.scalar_subquery()))
