"""What agents ship: calls and recordings, taken idempotently. A receipt is given only for what is durable."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.agent_protocol import CallReceipt, RecordingReceipt
from fonoteka.core.call_report import CallReport
from fonoteka.core.errors import IntakeDeferred, IntakeRefused
from fonoteka.core.manifest import Manifest, Mixed
from fonoteka.core.naming import call_id, peaks_key, recording_key
from store.database.schema import LONGEST_LOGIN, calls, domains, segments
from store.database.store import Store
from store.intake.recording_state import Arrival, Segment
from store.intake.report_limits import exceeded_limit, exceeded_recording_limit
from store.intake.row_mapping import IncomingReport
from store.intake.write_calls import CallChange, merged_into, write_calls
from store.objects.file_signature import checked_kind
from store.people.accounts import Pbx


@dataclass(frozen=True, kw_only=True, slots=True)
class CallsTaken:
    """One receipt for each report, in order, and what changed."""

    receipts: tuple[CallReceipt, ...]
    changes: tuple[CallChange, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingTaken:
    """The receipt, what changed (None if all of it was here already), and which missed calls are called back by it."""

    receipt: RecordingReceipt
    change: CallChange | None
    others: tuple[CallChange, ...] = ()


async def upsert_calls(store: Store, pbx: Pbx, reports: Sequence[CallReport]) -> CallsTaken:
    """Take reports of calls: of each call the newest revision counts, an older or equal one changes nothing.

    What cannot be taken (an unknown domain, another PBX's call) is refused one by one and never holds up the rest.
    """
    async with store.writing() as connection:
        known = await _domains(connection)
        refused = [_refusal(pbx, report) or exceeded_limit(report) for report in reports]
        unknown = [_deferral(report, known) for report in reports]
        newest: dict[str, CallReport] = {}
        for report, *why_not in zip(reports, refused, unknown, strict=True):
            if not any(why_not) and report.revision >= newest.get(report.linkedid, report).revision:
                newest[report.linkedid] = report
        incoming = [IncomingReport(domain_id=known[report.domain], report=report) for report in newest.values()]
        changes = await write_calls(connection, pbx.id, incoming)
    receipts = tuple(
        CallReceipt(
            linkedid=report.linkedid,
            revision=report.revision,
            refused=never or not_yet,
            retry=never is None and not_yet is not None,
        )
        for report, never, not_yet in zip(reports, refused, unknown, strict=True)
    )
    return CallsTaken(receipts=receipts, changes=tuple(changes))


async def store_recording(
    store: Store, pbx: Pbx, manifest: Manifest, mixed: Mixed, peaks: bytes, audio: AsyncIterator[bytes], now: datetime
) -> RecordingTaken:
    """Take a recording: first its objects, then, in one transaction, its segment and the call it belongs to.

    `peaks` is the JSON of the mixer's peaks file. Raises IntakeRefused, ChecksumWrong, IntakeDeferred, ObjectsFull.
    """
    if refused := _refusal(pbx, manifest.call) or exceeded_recording_limit(manifest, mixed):
        raise IntakeRefused(refused)
    async with store.reading() as connection:
        known = await _domains(connection)
        earlier = await _stored_segment(connection, pbx, manifest.name)
        manifest = await _resolve_merge(connection, manifest)
    if unknown := _deferral(manifest.call, known):
        raise IntakeDeferred(unknown)
    of_another = earlier is not None and earlier.public_id != call_id(pbx.name, manifest.call.linkedid)
    # What has no audio yet goes to the call that claims it: two calls may have become one since it was begun.
    claimed = any(segment.name == manifest.name for segment in manifest.call.segments)
    if of_another and not (claimed and earlier is not None and earlier.object_key is None):
        raise IntakeRefused(f"segment {manifest.name!r} is of another call already")
    receipt = RecordingReceipt(segment=manifest.name, sha256=mixed.sha256, size_bytes=mixed.size_bytes)
    before = earlier.object_key if earlier else None
    if before is not None and earlier is not None and earlier.sha256 == mixed.sha256 and store.objects.path(before).exists():
        return RecordingTaken(receipt=receipt, change=None)
    key = recording_key(pbx.name, manifest.name, manifest.started_at, mixed.format)
    really = checked_kind(audio, mixed.format, IntakeRefused(f"the audio is no {mixed.format} file"))
    await store.objects.put(key, really, sha256=mixed.sha256, size_bytes=mixed.size_bytes)
    await store.objects.put_bytes(peaks_key(key), peaks)
    async with store.writing() as connection:
        change, *others = await _take_recording(connection, pbx, known[manifest.call.domain], manifest, mixed, key, now)
    if before is not None and before != key:
        await store.objects.delete(before)
        await store.objects.delete(peaks_key(before))
    return RecordingTaken(receipt=receipt, change=change, others=tuple(others))


async def _resolve_merge(connection: AsyncConnection, manifest: Manifest) -> Manifest:
    """The manifest, speaking of the call that its own has become a part of since the legs were closed."""
    whole = await merged_into(connection, call_id(manifest.call.pbx, manifest.call.linkedid))
    if whole is None:
        return manifest
    return replace(manifest, call=replace(manifest.call, linkedid=whole, revision=0))


def _refusal(pbx: Pbx, report: CallReport) -> str | None:
    if report.pbx == pbx.name:
        return None
    return f"the call says it is of PBX {report.pbx[:LONGEST_LOGIN]!r}, but this token is of {pbx.name!r}"


def _deferral(report: CallReport, known_domains: Mapping[str, int]) -> str | None:
    if report.domain in known_domains:
        return None
    return f"unknown domain {report.domain[:LONGEST_LOGIN]!r}: name it in the file that `fonoteka apply` takes"


async def _domains(connection: AsyncConnection) -> dict[str, int]:
    there = select(domains.c.name, domains.c.id).where(domains.c.removed_at.is_(None))
    return {row.name: row.id for row in await connection.execute(there)}


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredSegment:
    public_id: str
    sha256: str | None
    object_key: str | None


async def _stored_segment(connection: AsyncConnection, pbx: Pbx, name: str) -> _StoredSegment | None:
    """What is known of a segment: whose it is, and its audio if that is here."""
    there = select(calls.c.public_id, segments.c.sha256, segments.c.object_key).join(segments, segments.c.call_id == calls.c.id)
    row = (await connection.execute(there.where(segments.c.pbx_id == pbx.id, segments.c.name == name))).first()
    return _StoredSegment(public_id=row.public_id, sha256=row.sha256, object_key=row.object_key) if row is not None else None


async def _take_recording(
    connection: AsyncConnection, pbx: Pbx, domain_id: int, manifest: Manifest, mixed: Mixed, object_key: str, now: datetime
) -> list[CallChange]:
    arrival = Arrival(duration_ms=mixed.duration_ms, talk_ms=manifest.talk_ms, muted=tuple(manifest.muted), salvaged=mixed.salvaged)
    reported = next((segment for segment in manifest.call.segments if segment.name == manifest.name), None)
    segment = Segment(
        name=manifest.name,
        user=manifest.user,
        started_at=manifest.started_at,
        reason=reported.reason if reported else None,
        arrival=arrival,
    )
    incoming = IncomingReport(domain_id=domain_id, report=manifest.call, arrived=segment)
    changes = await write_calls(connection, pbx.id, [incoming])
    values = {
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
    mine = (segments.c.pbx_id == pbx.id) & (segments.c.name == manifest.name) & (segments.c.call_id == changes[0].call_id)
    if (await connection.execute(update(segments).where(mine).values(values))).rowcount != 1:
        # The call claims it, but its report has not come, or one that knew less: it will be sent again after the calls.
        raise IntakeDeferred(f"segment {manifest.name!r} is of another call still")
    return changes
