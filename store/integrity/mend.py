"""Mending what `fonoteka verify` found, without losing anything."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Row, Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import Reason
from fonoteka.core.errors import ObjectDamaged, ObjectMissing
from fonoteka.core.naming import peaks_key
from store.audit.write import OPERATOR, write_entry
from store.database.schema import HAS_AUDIO, calls, domains, object_locks, participants, segments
from store.database.store import Store
from store.intake.call_backs import WrittenCall
from store.intake.facts import AUDIBLE, facts_of_row
from store.intake.recording_state import assess, assess_for
from store.intake.row_mapping import recording_values, segment_of
from store.intake.write_counters import update_counters
from store.integrity.counter_check import recount
from store.integrity.findings import Finding, Kind
from store.integrity.intact import opened_intact
from store.integrity.orphan_check import is_orphan
from store.queries.audio import StoredAudio, stored_audio
from store.retention.set_aside import owner_of
from store.selection.scope import Scope

MakePeaks = Callable[[BinaryIO, StoredAudio, bool], bytes]
"""Make the peaks file of an audio file, with who spoke if that is known. Raises StoreError."""

log = structlog.get_logger()


async def mend(store: Store, finding: Finding, make_peaks: MakePeaks) -> str | None:
    """Mend a finding and return what was done; None if nothing can be done.

    The audit of the domain has an entry for each change, in the transaction of the change.
    Altered audio and broken chains stay as they are: the store does not have what they were.
    """
    try:
        match finding.kind:
            case Kind.MISSING:
                return await _mark_lost(store, int(finding.key[0]), datetime.now(UTC))
            case Kind.PEAKS_MISSING | Kind.PEAKS_ALTERED:
                return await _remake_peaks(store, int(finding.key[0]), make_peaks)
            case Kind.ORPHANED:
                return await _set_orphan_aside(store, finding)
            case Kind.COUNTERS:
                await recount(store, finding)
                return "counted again"
            case _:
                return None
    except (ObjectMissing, ObjectDamaged):
        return None


async def _mark_lost(store: Store, segment_id: int, now: datetime) -> str | None:
    """Let the state of a call say that the audio of a segment is lost.

    The index keeps the SHA-256, so that no other audio takes its place, and the audit the key. A
    call under legal hold is not changed, nor a segment whose file has come back.
    """
    async with store.writing() as connection:
        has_key = (segments.c.id == segment_id) & HAS_AUDIO
        if (lost := (await connection.execute(select(segments).where(has_key))).first()) is None:
            return None
        domain_id = select(calls.c.domain_id).where(calls.c.id == lost.call_id).scalar_subquery()
        locked = select(domains.c.id, domains.c.timezone).where(domains.c.id == domain_id).with_for_update(key_share=True)
        domain = (await connection.execute(locked)).one()
        call = (await connection.execute(select(calls).where(calls.c.id == lost.call_id).with_for_update())).one()
        if call.legal_hold or await store.objects.exists(lost.object_key):
            return None
        values = {"object_key": None, "reason": Reason.AUDIO_DAMAGED}
        await connection.execute(update(segments).where(segments.c.id == segment_id).values(values))
        await _assess_again(connection, call, ZoneInfo(domain.timezone))
        detail = {"segment": lost.name, "sha256": lost.sha256, "object_key": lost.object_key, "reason": lost.reason}
        scope = Scope(domain_id=domain.id, login=None)
        await write_entry(connection, scope, OPERATOR, action="recording_lost", subject=call.public_id, detail=detail, now=now)
    peaks = peaks_key(lost.object_key)
    if await store.objects.exists(peaks):
        await store.objects.set_aside(peaks)
    return "the recording says that it failed; the journal has the name of the file"


async def _assess_again(connection: AsyncConnection, call: Row[Any], zone: ZoneInfo) -> None:
    """Write the state of a call's recording for its present segments, and the counters."""
    rows = await connection.execute(select(segments).where(segments.c.call_id == call.id))
    parts = [segment_of(row) for row in rows]
    reason, ended = Reason(call.reason) if call.reason else None, call.ended_at is not None
    recording = assess(parts, reason=reason, ended=ended)
    await connection.execute(update(calls).where(calls.c.id == call.id).values(recording_values(recording)))
    logins = (await connection.execute(select(participants.c.login).where(participants.c.call_id == call.id))).scalars()
    for login in list(logins):
        own = recording_values(assess_for(login, parts, reason=reason, ended=ended))
        of_login = (participants.c.call_id == call.id) & (participants.c.login == login)
        await connection.execute(update(participants).where(of_login).values(own))
    if (before := facts_of_row(call._mapping)) is not None:
        after = replace(before, audible=recording.state in AUDIBLE)
        written = [WrittenCall(key=call.id, before=before, after=after)]
        await connection.run_sync(update_counters, written, {call.domain_id: zone})


async def _remake_peaks(store: Store, segment_id: int, make_peaks: MakePeaks) -> str | None:
    """Make the peaks of a segment from its audio. Raises ObjectMissing and ObjectDamaged."""
    query: Select[Any] = select(*segments.c, calls.c.domain_id, calls.c.public_id).join(calls, calls.c.id == segments.c.call_id)
    async with store.reading() as connection:
        row = (await connection.execute(query.where(segments.c.id == segment_id, HAS_AUDIO))).first()
    if row is None:
        return None
    audio, data_key = stored_audio(row), await store.keys.current(row.domain_id)
    with await opened_intact(store.objects, audio) as file:
        content = await asyncio.to_thread(make_peaks, file, audio, row.speech is not None)
    await store.objects.put_bytes(peaks_key(audio.object_key), content, data_key=data_key)
    same = (segments.c.id == segment_id) & (segments.c.object_key == audio.object_key)
    async with store.writing() as connection:
        values = {"peaks_sha256": hashlib.sha256(content).hexdigest()}
        await connection.execute(update(segments).where(same).values(values))
        await connection.execute(delete(object_locks).where(object_locks.c.segment_id == segment_id))  # these are not
        scope, now = Scope(domain_id=row.domain_id, login=None), datetime.now(UTC)
        detail = {"segment": row.name}
        await write_entry(connection, scope, OPERATOR, action="peaks_remade", subject=row.public_id, detail=detail, now=now)
    return "made again from the audio"


async def _set_orphan_aside(store: Store, finding: Finding) -> str | None:
    """Move a file that no row names. No row is written between the check and the move.

    The domain of a plain file may be unknown: the log has it then, and no audit.
    """
    key, now = str(finding.key[0]), datetime.now(UTC)
    async with store.writing() as connection:
        await connection.execute(select(domains.c.id).order_by(domains.c.id).with_for_update(key_share=True))
        if not await is_orphan(connection, store.objects, finding):
            return None
        if (domain_id := (await owner_of(connection, store, key)).domain_id) is not None:
            scope = Scope(domain_id=domain_id, login=None)
            await write_entry(connection, scope, OPERATOR, action="file_set_aside", subject="", detail={"file": key}, now=now)
        log.warning("file.set_aside", file=key, reason=finding.detail)
        return await store.objects.set_aside(key)
