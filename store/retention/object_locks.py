"""Object lock: the recordings of calls under legal hold are locked in the bucket, others are not.

The index says what ought to be locked (`calls.legal_hold`, also of the calls that are merged into
such a call) and what is locked (`object_locks`). A run locks and unlocks objects until both agree,
whatever has happened since the last run: late recordings, merged calls, a server that was away.
Code that replaces an object deletes the object's row of `object_locks`, unless the code locks the
new object itself, as encryption does.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Row, Select, and_, delete, exists, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.errors import ObjectMissing, StoreError
from fonoteka.core.naming import peaks_key, place_of
from store.database.schema import HAS_AUDIO, calls, object_locks, pbxs, segments
from store.database.store import Store
from store.retention.expiry import HELD_COLUMNS, without_held
from store.retention.merged_calls import with_merged

_READ_AT_A_TIME: Final = 500
_NOTED_AT_A_TIME: Final = 100
_FAILURES: Final = 3  # in a row: the server is away, or refuses


@dataclass(kw_only=True, slots=True)
class LockRun:
    """What a run did: `unlocked` are recordings under legal hold that could not be locked.

    `reason` is the first error. `is_busy`: another process does the same, nothing was done here.
    `failures` counts those in a row at each place of objects: a bucket of a domain that is away
    keeps no other from being asked.
    """

    locked: int = 0
    released: int = 0
    unlocked: int = 0
    reason: str | None = None
    is_busy: bool = False
    failures: Counter[int | None] = field(default_factory=Counter)

    async def done(self, work: Callable[[str], Awaitable[None]], key: str) -> bool:
        """Do something to the objects of a recording; return False if that failed."""
        place, _ = place_of(key)
        if self.failures[place] >= _FAILURES:
            return False
        try:
            await work(key)
            with suppress(ObjectMissing):  # they can be made again
                await work(peaks_key(key))
        except StoreError as error:
            self.reason = self.reason or str(error)
            self.failures[place] += not isinstance(error, ObjectMissing)
            return False
        del self.failures[place]
        return True


async def settle_locks(store: Store, *, afresh: bool = False) -> LockRun:
    """Lock and unlock what differs, in a store that can lock; `afresh` locks all once more.

    Errors of the bucket are in the result; after three in a row a bucket is asked for nothing more.
    Raises StoreError if the index fails, or the bucket does not say whether it locks.
    """
    run = LockRun()
    if not await store.objects.can_lock():
        return run
    async with store.alone("object_locks") as is_alone:
        if not is_alone:
            return LockRun(is_busy=True)
        async for rows in _batches(_to_lock(store, afresh=afresh)):
            done = [row for row in rows if await run.done(store.objects.lock, row.object_key)]
            await _note(store, done)
            run.locked += len(done)
            run.unlocked += len(rows) - len(done)
        async for rows in _batches(_to_unlock(store)):
            done = [row for row in rows if await run.done(store.objects.unlock, row.object_key)]
            await _forget(store, done)
            run.released += len(done)
    return run


async def _batches(pages: AsyncIterator[list[Row[Any]]]) -> AsyncIterator[list[Row[Any]]]:
    """Divide pages, so that each transaction is short."""
    async for page in pages:
        for start in range(0, len(page), _NOTED_AT_A_TIME):
            yield page[start : start + _NOTED_AT_A_TIME]


async def _to_lock(store: Store, *, afresh: bool) -> AsyncIterator[list[Row[Any]]]:
    """Yield the recordings under legal hold that are not locked, or all."""
    is_noted = exists().where(object_locks.c.segment_id == segments.c.id, object_locks.c.object_key == segments.c.object_key)
    wanted = HAS_AUDIO if afresh else and_(HAS_AUDIO, ~is_noted)
    columns = (segments.c.id, segments.c.object_key, *HELD_COLUMNS)
    query: Select[Any] = select(*columns).join(calls, calls.c.id == segments.c.call_id).join(pbxs, pbxs.c.id == calls.c.pbx_id)
    held = select(calls.c.id, calls.c.domain_id).where(calls.c.legal_hold).order_by(calls.c.id).limit(_READ_AT_A_TIME)
    after = 0
    while True:
        async with store.reading() as connection:
            page = (await connection.execute(held.where(calls.c.id > after))).all()
            keys = list[int]()
            for domain_id in {row.domain_id for row in page}:
                keys += await with_merged(connection, domain_id, [row.id for row in page if row.domain_id == domain_id])
            rows = (await connection.execute(query.where(segments.c.call_id.in_(keys), wanted))).all()
            free = {row.id for row in await without_held(connection, rows)}
        if not page:
            return
        yield [row for row in rows if row.id not in free]
        after = page[-1].id


async def _to_unlock(store: Store) -> AsyncIterator[list[Row[Any]]]:
    """Yield what is locked, and is not the audio of a call under legal hold."""
    columns = (object_locks, and_(HAS_AUDIO, segments.c.object_key == object_locks.c.object_key).label("is_audio"))
    query: Select[Any] = select(*columns, *HELD_COLUMNS).join(segments, segments.c.id == object_locks.c.segment_id)
    query = query.join(calls, calls.c.id == segments.c.call_id).join(pbxs, pbxs.c.id == calls.c.pbx_id)
    key = tuple_(*object_locks.primary_key)
    query, after = query.order_by(*object_locks.primary_key).limit(_READ_AT_A_TIME), (0, "")
    while True:
        async with store.reading() as connection:
            page = (await connection.execute(query.where(key > after))).all()
            free = {row.segment_id for row in await without_held(connection, page)}
        if not page:
            return
        yield [row for row in page if row.segment_id in free or not row.is_audio]
        after = (page[-1].segment_id, page[-1].object_key)


async def _note(store: Store, rows: Sequence[Row[Any]]) -> None:
    """Note that recordings are locked, if the index still names them."""
    if not rows:
        return
    keys = [(row.id, row.object_key) for row in rows]
    named = select(segments.c.id, segments.c.object_key).where(segments.c.id.in_([row.id for row in rows]), HAS_AUDIO)
    named = named.where(tuple_(segments.c.id, segments.c.object_key).in_(keys))
    async with store.writing() as connection:
        await _delete(connection, keys)
        await connection.execute(insert(object_locks).from_select(["segment_id", "object_key"], named))


async def _forget(store: Store, rows: Sequence[Row[Any]]) -> None:
    if not rows:
        return
    async with store.writing() as connection:
        await _delete(connection, [(row.segment_id, row.object_key) for row in rows])


async def _delete(connection: AsyncConnection, keys: Sequence[tuple[int, str]]) -> None:
    await connection.execute(delete(object_locks).where(tuple_(*object_locks.primary_key).in_(keys)))
