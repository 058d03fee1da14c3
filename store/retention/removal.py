"""Removal of calls with all their rows and their audio, and from the counters."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, delete, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.manifest import AudioFormat
from fonoteka.core.naming import call_id, peaks_key, place_of, placed_key, recording_key
from store.audit.write import NewEntry, write_entries
from store.database.object_places import places_of
from store.database.schema import HAS_AUDIO, calls, erased_calls, pbxs, segments
from store.database.store import Store
from store.intake.call_backs import WrittenCall
from store.intake.facts import FACTS, facts_of_row
from store.intake.write_counters import update_counters
from store.objects.set_aside import stem
from store.retention.expiry import HELD_COLUMNS, SEGMENTS_AT_A_TIME, delete_marked, lock_domain, mark_expired, without_held
from store.retention.merged_calls import with_merged

CALLS_AT_A_TIME: Final = 50  # of one transaction, so that no other writer waits for 100 ms


async def erase_calls(
    store: Store, domain_id: int, keys: Sequence[int], *, now: datetime, entry: Callable[[Sequence[str]], NewEntry]
) -> tuple[str, ...]:
    """Delete calls of a domain with their audio and the calls merged into them; return public ids.

    First the audio is deleted (`store.retention.expiry`), with all other files of the segments that
    no row names. Then the rows are deleted, with the audit entry that `entry` makes of the public
    ids, in one transaction for each CALLS_AT_A_TIME calls. After a kill some calls may be there
    without their audio: erase them again. Calls under legal hold stay.
    """
    removed: tuple[str, ...] = ()
    for start in range(0, len(keys), CALLS_AT_A_TIME):
        batch = keys[start : start + CALLS_AT_A_TIME]
        await _expire_audio(store, domain_id, batch, now)
        async with store.writing() as connection:
            ids = await remove_calls(connection, domain_id, batch, now)
            if ids:
                await write_entries(connection, [entry(ids)])
        removed = (*removed, *ids)
    return removed


async def _expire_audio(store: Store, domain_id: int, keys: Sequence[int], now: datetime) -> None:
    async with store.reading() as connection:
        of_calls = segments.c.call_id.in_(await with_merged(connection, domain_id, keys))
        wanted = list((await connection.execute(select(segments.c.id).where(of_calls, HAS_AUDIO))).scalars())
        parts = await _segments(connection, of_calls)
        places = await places_of(connection, domain_id)
    for start in range(0, len(wanted), SEGMENTS_AT_A_TIME):
        async with store.writing() as connection:
            await mark_expired(connection, domain_id, wanted[start : start + SEGMENTS_AT_A_TIME], now)
    await delete_marked(store)
    # Before the rows, which alone say whose such a file is. A file with a row may be held by now.
    stems = {stem(row.object_key or recording_key(row.pbx, row.name, row.started_at, AudioFormat.OPUS)) for row in parts}
    stems |= {placed_key(place, place_of(each)[1]) for each in stems for place in places}
    named = {name for row in parts if (key := row.object_key) is not None for name in (key, peaks_key(key))}
    found = await store.objects.strays(stems, also_in_place=True)
    await store.objects.delete_all(key for key in found if key not in named)


async def _segments(connection: AsyncConnection, of_calls: ColumnElement[bool]) -> list[Row[Any]]:
    """Return segments, also those whose audio is lost, but for those of calls under legal hold."""
    columns = (segments.c.name, segments.c.started_at, segments.c.object_key, *HELD_COLUMNS)
    query: Select[Any] = select(*columns).join(calls, calls.c.id == segments.c.call_id).join(pbxs, pbxs.c.id == calls.c.pbx_id)
    return await without_held(connection, (await connection.execute(query.where(of_calls))).all())


async def remove_calls(connection: AsyncConnection, domain_id: int, keys: Sequence[int], now: datetime) -> tuple[str, ...]:
    """Delete calls of a domain in the caller's transaction, with all rows that belong to them.

    Calls that are merged into them go too, and none comes back (`store.intake.bounds`). Calls under
    legal hold stay, and calls whose audio has not been deleted. Returns the public ids. Pass
    CALLS_AT_A_TIME calls at most, so that no other writer waits long. A missed call that was called
    back by a deleted call keeps its `called_back_at`.
    """
    zone = await lock_domain(connection, domain_id)
    rows = await without_held(connection, await _removable(connection, await with_merged(connection, domain_id, keys)))
    await connection.execute(delete(calls).where(calls.c.id.in_([row.id for row in rows])))
    if rows:
        # Of a further domain's row and of a first one's alike: neither comes back as the other.
        ids = {public_id for row in rows for public_id in (row.public_id, call_id(row.pbx, row.linkedid, row.domain_name))}
        await connection.execute(erased_calls.insert(), [{"public_id": public_id, "erased_at": now} for public_id in sorted(ids)])
    removed = [WrittenCall(key=row.id, before=facts_of_row(row._mapping), after=None) for row in rows]
    await connection.run_sync(update_counters, removed, {domain_id: zone}, prune=True)
    return tuple(row.public_id for row in rows)


async def _removable(connection: AsyncConnection, keys: Sequence[int]) -> Sequence[Row[Any]]:
    """Return the rows of calls that have no objects."""
    has_objects = exists().where(segments.c.call_id == calls.c.id, segments.c.object_key.is_not(None))
    facts = [column for column in FACTS if column not in {calls.c.merged_into, calls.c.domain_id}]
    columns = (calls.c.id, calls.c.linkedid, *facts, *HELD_COLUMNS)
    query: Select[Any] = select(*columns).join(pbxs, pbxs.c.id == calls.c.pbx_id).where(calls.c.id.in_(keys), ~has_objects)
    return list(await connection.execute(query))
