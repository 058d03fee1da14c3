"""Idempotent intake of calls and recordings from agents. A receipt means that they are durable."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.agent_protocol import CallReceipt, RecordingReceipt
from fonoteka.core.call_report import CallReport
from fonoteka.core.errors import AudioStored, IntakeDeferred, IntakeRefused, RetentionEnded, SegmentOfOtherCall
from fonoteka.core.manifest import Manifest, Mixed
from fonoteka.core.naming import content_digest, peaks_key, placed_key, recording_key
from store.audit.write import Actor, write_entry
from store.database.dialect import lock_audit
from store.database.domain_keys import check_current
from store.database.object_places import check_place, place_for
from store.database.schema import LONGEST_LOGIN, audit, object_locks, segments
from store.database.signals import Signal, SignalKind, publish
from store.database.store import Store
from store.encryption.data_key import DataKey
from store.intake.adoption import within_domains
from store.intake.bounds import read_bounds
from store.intake.place import Place, StoredAudio, find_place
from store.intake.recording_state import Arrival, Segment
from store.intake.report_limits import exceeded_limit, exceeded_recording_limit
from store.intake.row_mapping import IncomingReport, speech_value, storable
from store.intake.write_calls import CallChange, write_calls
from store.objects.drafts import Draft
from store.objects.file_signature import checked_kind
from store.people.accounts import Pbx
from store.selection.scope import Scope

_AUDIO_REFUSED: Final = "audio_refused"
_REFUSED_AGAIN_AFTER: Final = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class CallsTaken:
    """One receipt for each report, in order; the changes of calls; and what was refused."""

    receipts: tuple[CallReceipt, ...]
    changes: tuple[CallChange, ...]
    refusals: tuple[IntakeRefused, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingTaken:
    """The receipt, the change (None if it was stored before), and the changes of missed calls."""

    receipt: RecordingReceipt
    change: CallChange | None
    others: tuple[CallChange, ...] = ()
    refusals: tuple[IntakeRefused, ...] = ()


async def upsert_calls(store: Store, pbx: Pbx, reports: Sequence[CallReport], *, now: datetime | None = None) -> CallsTaken:
    """Write the newest report of each call; older and equal revisions change nothing.

    A report that cannot be written (of an unknown domain, say) is refused in its receipt, and does
    not affect the others. Segments of other domains are left out of a report, and are refusals too.
    """
    moment = now or datetime.now(UTC)
    problems: list[IntakeRefused | IntakeDeferred | None] = [_refusal(pbx, report, moment) for report in reports]
    valid = [report for report, problem in zip(reports, problems, strict=True) if problem is None]
    async with store.writing() as connection:
        bounds = await read_bounds(connection, pbx, valid, moment, lock=True)
        problems = [problem or bounds.problem(report) for report, problem in zip(reports, problems, strict=True)]
        newest: dict[str, CallReport] = {}
        for report, problem in zip(reports, problems, strict=True):
            if problem is None:
                public_id = bounds.public_id_of(report)
                if report.revision >= newest.get(public_id, report).revision:
                    newest[public_id] = report
        incoming = [
            IncomingReport(domain_id=bounds.id_of(report), public_id=public_id, report=report)
            for public_id, report in newest.items()
        ]
        incoming, strangers = await within_domains(connection, pbx.id, incoming)
        changes = await write_calls(connection, pbx.id, incoming)
        # A report that comes again changes nothing; its first writer may have died before it told.
        taken = (Signal(kind=SignalKind.CALL, of=item.domain_id, what=item.public_id) for item in incoming)
        publish(connection, *dict.fromkeys([*taken, *(change.signal(recording_only=False) for change in changes)]))
    receipts = tuple(_call_receipt(report, problem) for report, problem in zip(reports, problems, strict=True))
    refused = (problem for problem in problems if isinstance(problem, IntakeRefused))
    return CallsTaken(receipts=receipts, changes=tuple(changes), refusals=(*refused, *strangers))


def _call_receipt(report: CallReport, problem: IntakeRefused | IntakeDeferred | None) -> CallReceipt:
    return CallReceipt(
        linkedid=report.linkedid,
        revision=report.revision,
        refused=None if problem is None else str(problem),
        retry=isinstance(problem, IntakeDeferred),
        deleted=isinstance(problem, RetentionEnded),
    )


async def store_recording(
    store: Store,
    pbx: Pbx,
    manifest: Manifest,
    mixed: Mixed,
    peaks: bytes,
    audio: AsyncIterator[bytes],
    now: datetime,
    *,
    address: str = "",
) -> RecordingTaken:
    """Store a recording: its objects, its segment and its call.

    `peaks` is the JSON of the mixer's peaks file, `address` is the agent's. Stored audio never
    changes: the same bytes again get the same receipt; other bytes raise AudioStored, and the audit
    gets an entry. Raises IntakeRefused, IntakeDeferred, ChecksumWrong and ObjectsFull too.
    """
    if refusal := _refusal(pbx, manifest.call, now, mixed, manifest):
        raise refusal
    by = Actor(login=f"pbx:{pbx.name}", address=address)
    async with store.reading() as connection:
        place = await find_place(connection, pbx, manifest, now)
        objects = await place_for(connection, place.domain_id)
    if (stored := await _kept_audio(store, place, mixed)) is not None:
        return await _answer_stored(store, place, stored, mixed, by, now)
    data_key = await store.keys.current(place.domain_id)
    key = _object_key(objects, pbx, manifest, mixed, peaks)
    arrived = StoredAudio(object_key=key, sha256=mixed.sha256, size_bytes=mixed.size_bytes)
    async with _drafts(store, key, mixed, peaks, audio, data_key) as drafts, store.writing() as connection:
        place = await find_place(connection, pbx, manifest, now, lock=True)
        if (stored := await _kept_audio(store, place, mixed)) is None:
            await check_current(connection, place.domain_id, data_key)
            await check_place(connection, place.domain_id, objects)
            values = _audio_values(place.manifest, mixed, key, data_key, now)
            written, strangers = await _write_recording(connection, pbx, place, mixed, values)
            publish(connection, *(change.signal(recording_only=change is written[0]) for change in written))
            # Under the lock of the place: no object that a row names is replaced, not even by the
            # same bytes, as a rotation of keys may destroy the key of `drafts`.
            await store.objects.publish(*drafts)
    if stored is not None:  # another request has stored the recording meanwhile
        return await _answer_stored(store, place, stored, mixed, by, now)
    change, *others = written
    return RecordingTaken(receipt=_receipt(place, arrived), change=change, others=tuple(others), refusals=tuple(strangers))


async def _kept_audio(store: Store, place: Place, mixed: Mixed) -> StoredAudio | None:
    """Return the stored audio, which stays; None if the place is free, or its object is missing.

    A missing object may be stored again, with the same bytes.
    """
    audio = place.audio
    if audio is None or (audio.sha256 == mixed.sha256 and await _is_lost(store, audio)):
        return None
    return audio


async def _is_lost(store: Store, audio: StoredAudio) -> bool:
    return audio.object_key is None or not await store.objects.exists(audio.object_key)


async def _answer_stored(store: Store, place: Place, audio: StoredAudio, mixed: Mixed, by: Actor, now: datetime) -> RecordingTaken:
    """Return the receipt of stored audio for the same bytes.

    Raises AudioStored for other bytes; the audit gets one entry for each segment and hour, so that
    a stolen token cannot fill it.
    """
    if audio.sha256 == mixed.sha256:
        await store.tell(Signal(kind=SignalKind.RECORDING, of=place.domain_id, what=place.public_id))
        return RecordingTaken(receipt=_receipt(place, audio), change=None)
    segment = place.manifest.name
    scope, detail = Scope(domain_id=place.domain_id, login=None), {"segment": segment, "sha256": storable(mixed.sha256)[:64]}
    async with store.writing() as connection:
        await lock_audit(connection, place.domain_id)
        if not await _was_refused(connection, place, now):
            await write_entry(connection, scope, by, action=_AUDIO_REFUSED, subject=place.public_id, detail=detail, now=now)
    raise AudioStored(f"segment {segment!r} has other audio already, which stays")


async def _was_refused(connection: AsyncConnection, place: Place, now: datetime) -> bool:
    """Whether the audit has an entry about other audio for the segment, of the last hour."""
    of_call = and_(audit.c.domain_id == place.domain_id, audit.c.subject == place.public_id, audit.c.action == _AUDIO_REFUSED)
    details = await connection.execute(select(audit.c.detail).where(of_call, audit.c.at > now - _REFUSED_AGAIN_AFTER))
    return any(detail["segment"] == place.manifest.name for detail in details.scalars())


def _receipt(place: Place, audio: StoredAudio) -> RecordingReceipt:
    return RecordingReceipt(segment=place.manifest.name, sha256=audio.sha256, size_bytes=audio.size_bytes)


def _refusal(
    pbx: Pbx, report: CallReport, now: datetime, mixed: Mixed | None = None, manifest: Manifest | None = None
) -> IntakeRefused | None:
    """Return why a report, or a recording, is refused without a look at the index."""
    text: str | None
    if report.pbx != pbx.name:
        text = f"the call says it is of PBX {report.pbx[:LONGEST_LOGIN]!r}, but this token is of {pbx.name!r}"
    elif manifest is not None and mixed is not None:
        text = exceeded_recording_limit(manifest, mixed, now)
    else:
        text = exceeded_limit(report, now)
    return IntakeRefused(text) if text is not None else None


def _object_key(objects: int | None, pbx: Pbx, manifest: Manifest, mixed: Mixed, peaks: bytes) -> str:
    """Return the key of the audio; it names the content, so that other content replaces nothing."""
    key = recording_key(pbx.name, manifest.name, manifest.started_at, mixed.format, content_digest(mixed.sha256, peaks))
    return placed_key(objects, key)


@asynccontextmanager
async def _drafts(
    store: Store, key: str, mixed: Mixed, peaks: bytes, audio: AsyncIterator[bytes], data_key: DataKey | None
) -> AsyncIterator[tuple[Draft, Draft]]:
    """Write the audio and the peaks; without `publish` nothing is left of them."""
    checked = checked_kind(audio, mixed.format, IntakeRefused(f"the audio is no {mixed.format} file"))
    async with (
        store.objects.draft(key, checked, sha256=mixed.sha256, size_bytes=mixed.size_bytes, data_key=data_key) as of_audio,
        store.objects.draft_bytes(peaks_key(key), peaks, data_key=data_key) as of_peaks,
    ):
        yield of_audio, of_peaks


async def _write_recording(
    connection: AsyncConnection, pbx: Pbx, place: Place, mixed: Mixed, audio_values: Mapping[str, Any]
) -> tuple[list[CallChange], list[SegmentOfOtherCall]]:
    """Write the call, and its segment with its audio; return the changes and refusals.

    Raises IntakeDeferred.
    """
    manifest = place.manifest
    segment = _segment(manifest, mixed)
    incoming = IncomingReport(domain_id=place.domain_id, public_id=place.public_id, report=manifest.call, arrived=segment)
    kept, strangers = await within_domains(connection, pbx.id, [incoming])
    changes = await write_calls(connection, pbx.id, kept)
    of_segment = (segments.c.pbx_id == pbx.id) & (segments.c.name == manifest.name)
    written = update(segments).where(of_segment, segments.c.call_id == changes[0].call_id)
    if (await connection.execute(written.values(audio_values))).rowcount != 1:
        # The newest report of the call, which has the segment, has not arrived yet.
        raise IntakeDeferred(f"segment {manifest.name!r} is of another call still")
    if place.audio is not None:  # whose object is missing
        stored = select(segments.c.id).where(of_segment)
        await connection.execute(delete(object_locks).where(object_locks.c.segment_id.in_(stored)))
    return changes, strangers


def _segment(manifest: Manifest, mixed: Mixed) -> Segment:
    reported = next((segment for segment in manifest.call.segments if segment.name == manifest.name), None)
    return Segment(
        name=manifest.name,
        user=manifest.user,
        started_at=manifest.started_at,
        reason=reported.reason if reported else None,
        arrival=Arrival(
            duration_ms=mixed.duration_ms,
            talk_ms=manifest.talk_ms,
            muted=tuple(manifest.muted),
            salvaged=mixed.salvaged,
            speech=mixed.speech,
        ),
    )


def _audio_values(manifest: Manifest, mixed: Mixed, object_key: str, data_key: DataKey | None, now: datetime) -> dict[str, Any]:
    """Return the columns of `segments` that describe the audio."""
    return {
        "object_key": object_key,
        "sha256": mixed.sha256,
        "size_bytes": mixed.size_bytes,
        "format": mixed.format,
        "layout": mixed.layout,
        "rate_hz": mixed.rate_hz,
        "duration_ms": mixed.duration_ms,
        "talk_ms": manifest.talk_ms,
        "muted": [[span.from_ms, span.to_ms] for span in manifest.muted],
        "salvaged": mixed.salvaged,
        "arrived_at": now,
        "key_version": data_key.version if data_key is not None else None,
        "speech": speech_value(mixed.speech),
    }
