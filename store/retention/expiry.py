"""Deletion of audio for good, in three steps, so that a kill at any point leaves nothing half done.

1. `mark_expired`, in a transaction of the caller: segments get `expired_at` and a reason
   (`retention`, `quota`); calls, participants and counters follow. From now on the audio is neither
   seen nor taken again. The caller writes its audit entry last in the same transaction.
2. `delete_marked` deletes the objects (audio and peaks) and the copies of the API's cache.
3. Then it clears `object_key`. A row that still has it was interrupted: the next `delete_marked`,
   of any process, goes on with it. All steps may be repeated, and run twice at the same time.

To delete the audio of some segments::

    async with store.writing() as connection:
        expired = await mark_expired(connection, domain_id, segment_ids, now)
        if expired.recordings:
            await write_entries(connection, [entry_about(expired)])
    await delete_marked(store)

Pass at most SEGMENTS_AT_A_TIME segments to each transaction. `store.retention.removal.erase_calls`
deletes calls with their audio.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import BindParameter, Row, Select, and_, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import Reason
from fonoteka.core.errors import StoreError
from fonoteka.core.naming import peaks_key
from store.database.schema import HAS_AUDIO, SPEECH_COLUMNS, calls, domains, participants, pbxs, segments
from store.database.store import Store
from store.intake.call_backs import WrittenCall
from store.intake.facts import AUDIBLE
from store.intake.merge import StoredCall
from store.intake.recording_state import Recording, Segment, assess, assess_for
from store.intake.row_mapping import recording_values
from store.intake.write_calls import stored_calls, update_calls
from store.intake.write_counters import update_counters
from store.objects.copies import delete_copies
from store.objects.set_aside import stem
from store.retention.merged_calls import MERGE_COLUMNS, merge_chains, with_merged

SEGMENTS_AT_A_TIME: Final = 50  # of one transaction, so that no other writer waits for 100 ms
MARKED_AT_A_TIME: Final = 100  # whose objects are deleted together: their folders are synced once

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpiredSegment:
    """A segment whose audio was marked as expired; `call` is the public id of its call."""

    id: int
    call: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Expired:
    """The segments that a transaction marked."""

    segments: tuple[ExpiredSegment, ...]

    @property
    def recordings(self) -> int:
        """The number of segments."""
        return len(self.segments)

    @property
    def size_bytes(self) -> int:
        """The size of their audio, without peaks."""
        return sum(segment.size_bytes for segment in self.segments)

    @property
    def calls(self) -> tuple[str, ...]:
        """The public ids of their calls."""
        return tuple(dict.fromkeys(segment.call for segment in self.segments))


async def mark_expired(
    connection: AsyncConnection, domain_id: int, segment_ids: Sequence[int], now: datetime, reason: Reason = Reason.RETENTION
) -> Expired:
    """Mark the audio of segments of a domain as expired, and return what was marked.

    Left out are segments without audio, those of other domains, and those of a call under legal
    hold or merged into one.
    """
    zone = await lock_domain(connection, domain_id)
    columns = (segments.c.id, segments.c.size_bytes, *HELD_COLUMNS)
    query: Select[Any] = select(*columns).join(calls, calls.c.id == segments.c.call_id).join(pbxs, pbxs.c.id == calls.c.pbx_id)
    query = query.where(segments.c.id.in_(segment_ids), calls.c.domain_id == domain_id, HAS_AUDIO).order_by(segments.c.id)
    rows = await without_held(connection, (await connection.execute(query)).all())
    if not rows:
        return Expired(segments=())
    marked = update(segments).where(segments.c.id.in_([row.id for row in rows]))
    await connection.execute(marked.values(expired_at=now, reason=reason))
    await _update_recordings(connection, domain_id, list({row.public_id for row in rows}), zone)
    return Expired(segments=tuple(ExpiredSegment(id=row.id, call=row.public_id, size_bytes=row.size_bytes) for row in rows))


async def delete_marked(store: Store) -> None:
    """Delete the objects of all segments that are marked as expired.

    Objects that cannot be deleted are logged, and stay marked for the next time.
    """
    after = 0
    while rows := await _marked(store, after):
        after = rows[-1].id
        rows = await _deleted(store, rows)
        if not rows:
            continue
        try:
            # After the objects: a copy that is being made is deleted by its maker, or here.
            await asyncio.to_thread(delete_copies, store.objects, await _copied_calls(store, rows))
        except OSError as error:
            log.error("retention.objects_not_deleted", reason=str(error))
            continue
        is_row = and_(segments.c.id == bindparam("key"), segments.c.object_key == bindparam("deleted_key"))
        settled = update(segments).where(is_row, segments.c.expired_at.is_not(None)).values(object_key=None)
        async with store.writing() as connection:
            await connection.execute(settled, [{"key": row.id, "deleted_key": row.object_key} for row in rows])


async def _deleted(store: Store, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Delete the objects of segments, and return the segments whose objects are gone.

    An object that cannot be deleted keeps no other. The error is logged once for the batch.
    """
    keys = [row.object_key for row in rows]
    with suppress(StoreError):
        await store.objects.delete_all(await _files(store, keys))
        return list(rows)
    deleted, reason = [], ""
    for row in rows:
        try:
            await store.objects.delete_all(await _files(store, [row.object_key]))
            deleted.append(row)
        except StoreError as error:
            reason = str(error)
    log.error("retention.objects_not_deleted", reason=reason, objects=len(rows) - len(deleted))
    return deleted


async def _files(store: Store, keys: Sequence[str]) -> list[str]:
    """Return the keys of audio, of its peaks, and of what was set aside of the same segments."""
    return [*keys, *map(peaks_key, keys), *await store.objects.strays(map(stem, keys), also_in_place=False)]


async def _marked(store: Store, after: int) -> Sequence[Row[Any]]:
    columns = (segments.c.id, segments.c.object_key, segments.c.call_id, calls.c.domain_id)
    query: Select[Any] = select(*columns).join(calls, calls.c.id == segments.c.call_id)
    query = query.where(segments.c.expired_at.is_not(None), segments.c.object_key.is_not(None), segments.c.id > after)
    async with store.reading() as connection:
        return list(await connection.execute(query.order_by(segments.c.id).limit(MARKED_AT_A_TIME)))


async def _copied_calls(store: Store, rows: Sequence[Row[Any]]) -> set[str]:
    """Return the calls of segments, and the calls merged into them, whose segments moved."""
    copied: set[str] = set()
    async with store.reading() as connection:
        for domain_id in {row.domain_id for row in rows}:
            keys = await with_merged(connection, domain_id, [row.call_id for row in rows if row.domain_id == domain_id])
            copied |= set((await connection.execute(select(calls.c.public_id).where(calls.c.id.in_(keys)))).scalars())
    return copied


async def lock_domain(connection: AsyncConnection, domain_id: int) -> ZoneInfo:
    """Lock a domain as writers of calls and legal holds do, until the transaction ends."""
    locked = select(domains.c.timezone).where(domains.c.id == domain_id).with_for_update(key_share=True)
    return ZoneInfo((await connection.execute(locked)).scalar_one())


HELD_COLUMNS: Final = (calls.c.legal_hold, *MERGE_COLUMNS)
"""The columns that `without_held` reads."""


async def without_held(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Return the rows whose call is not under legal hold, nor any call into which it is merged."""
    chains = await merge_chains(connection, rows)
    return [
        row for row, chain in zip(rows, chains, strict=True) if not row.legal_hold and not any(call.legal_hold for call in chain)
    ]


async def _update_recordings(connection: AsyncConnection, domain_id: int, public_ids: Sequence[str], zone: ZoneInfo) -> None:
    """Assess the recordings of calls again, after a change of their segments."""
    values, of_users, written = [], [], []
    for call in (await stored_calls(connection, public_ids)).values():
        recording = _assess(call, None)
        values.append({"key": call.key} | recording_values(recording))
        of_users += [
            {"key": call.key, "of": login}
            | {f"new_{name}": value for name, value in recording_values(_assess(call, login)).items()}
            for login in call.participants
        ]
        after = replace(call.facts, audible=recording.state in AUDIBLE) if call.facts else None
        written.append(WrittenCall(key=call.key, before=call.facts, after=after))
    await update_calls(connection, values)
    if of_users:
        is_row = and_(participants.c.call_id == bindparam("key"), participants.c.login == bindparam("of"))
        names = ("recording_state", "recording_reason", "recording_ms", *SPEECH_COLUMNS)
        columns: dict[str, BindParameter[Any]] = {name: bindparam(f"new_{name}") for name in names}
        await connection.execute(update(participants).where(is_row).values(columns), of_users)
    await connection.run_sync(update_counters, written, {domain_id: zone})


def _assess(call: StoredCall, login: str | None) -> Recording:
    parts: Sequence[Segment] = call.segments
    ended = call.ended_at is not None
    if login is None:
        return assess(parts, reason=call.reason, ended=ended)
    return assess_for(login, parts, reason=call.reason, ended=ended)
