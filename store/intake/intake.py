"""Idempotent intake of calls and recordings from agents. A receipt means that they are durable."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.agent_protocol import CallReceipt, RecordingReceipt
from fonoteka.core.call_report import CallReport
from fonoteka.core.errors import IntakeDeferred, IntakeRefused
from fonoteka.core.manifest import Manifest, Mixed
from fonoteka.core.naming import call_id, peaks_key, recording_key
from store.database.schema import LONGEST_LOGIN, calls, segments
from store.database.store import Store
from store.intake.domain_names import domain_names
from store.intake.recording_state import Arrival, Segment
from store.intake.report_limits import exceeded_limit, exceeded_recording_limit
from store.intake.row_mapping import IncomingReport
from store.intake.write_calls import CallChange, merged_into, write_calls
from store.objects.file_signature import checked_kind
from store.people.accounts import Pbx


@dataclass(frozen=True, kw_only=True, slots=True)
class CallsTaken:
    """One receipt for each report, in order, and the changes of calls."""

    receipts: tuple[CallReceipt, ...]
    changes: tuple[CallChange, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingTaken:
    """The receipt, the change (None if it was stored before), and the changes of missed calls."""

    receipt: RecordingReceipt
    change: CallChange | None
    others: tuple[CallChange, ...] = ()


async def upsert_calls(store: Store, pbx: Pbx, reports: Sequence[CallReport]) -> CallsTaken:
    """Write the newest report of each call; older and equal revisions change nothing.

    A report that cannot be written (of an unknown domain, say) is refused in its receipt, and does
    not affect the others.
    """
    async with store.writing() as connection:
        names = await domain_names(connection)
        refusals = [_refusal(pbx, report) or exceeded_limit(report) or names.refusal(report) for report in reports]
        domain_ids = [None if refused else names.id_of(report) for report, refused in zip(reports, refusals, strict=True)]
        deferrals = [_deferral(report, domain_id) for report, domain_id in zip(reports, domain_ids, strict=True)]
        newest: dict[str, IncomingReport] = {}
        for report, domain_id in zip(reports, domain_ids, strict=True):
            if domain_id is not None:
                before = newest.get(report.linkedid)
                if before is None or report.revision >= before.report.revision:
                    newest[report.linkedid] = IncomingReport(domain_id=domain_id, report=report)
        changes = await write_calls(connection, pbx.id, list(newest.values()))
    receipts = tuple(
        CallReceipt(
            linkedid=report.linkedid,
            revision=report.revision,
            refused=refusal or deferral,
            retry=refusal is None and deferral is not None,
        )
        for report, refusal, deferral in zip(reports, refusals, deferrals, strict=True)
    )
    return CallsTaken(receipts=receipts, changes=tuple(changes))


async def store_recording(
    store: Store, pbx: Pbx, manifest: Manifest, mixed: Mixed, peaks: bytes, audio: AsyncIterator[bytes], now: datetime
) -> RecordingTaken:
    """Store a recording: first its objects, then in one transaction its segment and its call.

    `peaks` is the JSON of the mixer's peaks file. Raises IntakeRefused, IntakeDeferred,
    ChecksumWrong and ObjectsFull.
    """
    if refusal := _refusal(pbx, manifest.call) or exceeded_recording_limit(manifest, mixed):
        raise IntakeRefused(refusal)
    async with store.reading() as connection:
        names = await domain_names(connection)
        stored = await _stored_segment(connection, pbx, manifest.name)
        manifest = await _resolve_merge(connection, manifest)
    domain_id = names.id_of(manifest.call)
    if refusal := names.refusal(manifest.call):
        raise IntakeRefused(refusal)
    if domain_id is None:
        raise IntakeDeferred(_unknown_domain(manifest.call))
    _check_owner(pbx, manifest, stored)
    receipt = RecordingReceipt(segment=manifest.name, sha256=mixed.sha256, size_bytes=mixed.size_bytes)
    stored_key = stored.object_key if stored else None
    if stored_key and stored and stored.sha256 == mixed.sha256 and store.objects.path(stored_key).exists():
        return RecordingTaken(receipt=receipt, change=None)
    key = await _store_objects(store, pbx, manifest, mixed, peaks, audio)
    async with store.writing() as connection:
        change, *others = await _write_recording(connection, pbx, domain_id, manifest, mixed, key, now)
    if stored_key is not None and stored_key != key:
        await store.objects.delete(stored_key)
        await store.objects.delete(peaks_key(stored_key))
    return RecordingTaken(receipt=receipt, change=change, others=tuple(others))


async def _resolve_merge(connection: AsyncConnection, manifest: Manifest) -> Manifest:
    """Replace the manifest's call by the call into which it was merged meanwhile."""
    linkedid = await merged_into(connection, call_id(manifest.call.pbx, manifest.call.linkedid))
    if linkedid is None:
        return manifest
    return replace(manifest, call=replace(manifest.call, linkedid=linkedid, revision=0))


def _refusal(pbx: Pbx, report: CallReport) -> str | None:
    """Return why a report is refused for good; None if it is not."""
    if report.pbx == pbx.name:
        return None
    return f"the call says it is of PBX {report.pbx[:LONGEST_LOGIN]!r}, but this token is of {pbx.name!r}"


def _deferral(report: CallReport, domain_id: int | None) -> str | None:
    """Return why a report cannot be written yet; None if it can."""
    return _unknown_domain(report) if domain_id is None else None


def _unknown_domain(report: CallReport) -> str:
    return f"unknown domain {report.domain[:LONGEST_LOGIN]!r}: name it in the file that `fonoteka apply` takes"


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredSegment:
    """A segment in the index: the public id of its call, and its audio if there is any."""

    public_id: str
    sha256: str | None
    object_key: str | None


async def _stored_segment(connection: AsyncConnection, pbx: Pbx, name: str) -> _StoredSegment | None:
    query = select(calls.c.public_id, segments.c.sha256, segments.c.object_key).join(segments, segments.c.call_id == calls.c.id)
    row = (await connection.execute(query.where(segments.c.pbx_id == pbx.id, segments.c.name == name))).first()
    return _StoredSegment(public_id=row.public_id, sha256=row.sha256, object_key=row.object_key) if row is not None else None


def _check_owner(pbx: Pbx, manifest: Manifest, stored: _StoredSegment | None) -> None:
    """Refuse a segment of another call.

    A segment without audio may move to the call that reports it: two calls may have been merged
    since the recording began.
    """
    if stored is None or stored.public_id == call_id(pbx.name, manifest.call.linkedid):
        return
    is_reported = any(segment.name == manifest.name for segment in manifest.call.segments)
    if stored.object_key is not None or not is_reported:
        raise IntakeRefused(f"segment {manifest.name!r} is of another call already")


async def _store_objects(
    store: Store, pbx: Pbx, manifest: Manifest, mixed: Mixed, peaks: bytes, audio: AsyncIterator[bytes]
) -> str:
    """Store the audio and the peaks; return the key of the audio."""
    key = recording_key(pbx.name, manifest.name, manifest.started_at, mixed.format)
    checked = checked_kind(audio, mixed.format, IntakeRefused(f"the audio is no {mixed.format} file"))
    await store.objects.put(key, checked, sha256=mixed.sha256, size_bytes=mixed.size_bytes)
    await store.objects.put_bytes(peaks_key(key), peaks)
    return key


async def _write_recording(
    connection: AsyncConnection, pbx: Pbx, domain_id: int, manifest: Manifest, mixed: Mixed, object_key: str, now: datetime
) -> list[CallChange]:
    """Write the call and its segment; return the changes. Raises IntakeDeferred."""
    incoming = IncomingReport(domain_id=domain_id, report=manifest.call, arrived=_segment(manifest, mixed))
    changes = await write_calls(connection, pbx.id, [incoming])
    of_segment = (segments.c.pbx_id == pbx.id) & (segments.c.name == manifest.name)
    written = update(segments).where(of_segment, segments.c.call_id == changes[0].call_id)
    if (await connection.execute(written.values(_audio_values(manifest, mixed, object_key, now)))).rowcount != 1:
        # The newest report of the call, which has the segment, has not arrived yet.
        raise IntakeDeferred(f"segment {manifest.name!r} is of another call still")
    return changes


def _segment(manifest: Manifest, mixed: Mixed) -> Segment:
    reported = next((segment for segment in manifest.call.segments if segment.name == manifest.name), None)
    return Segment(
        name=manifest.name,
        user=manifest.user,
        started_at=manifest.started_at,
        reason=reported.reason if reported else None,
        arrival=Arrival(
            duration_ms=mixed.duration_ms, talk_ms=manifest.talk_ms, muted=tuple(manifest.muted), salvaged=mixed.salvaged
        ),
    )


def _audio_values(manifest: Manifest, mixed: Mixed, object_key: str, now: datetime) -> dict[str, Any]:
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
    }
