"""The call and the segment to which a recording belongs."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import CallReport
from fonoteka.core.errors import CallHeld, DomainNotServed, IntakeRefused, RetentionEnded
from fonoteka.core.manifest import Manifest
from fonoteka.core.naming import call_id
from store.database.schema import calls, domains, segments
from store.intake.bounds import FROZEN, read_bounds
from store.people.accounts import Pbx


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredAudio:
    """The audio of a segment, as the index has it; without a key the object is lost."""

    object_key: str | None
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a recording belongs: the manifest names the call; `audio` is stored already."""

    manifest: Manifest
    domain_id: int
    audio: StoredAudio | None

    @property
    def public_id(self) -> str:
        """The public id of the call."""
        return call_id(self.manifest.call.pbx, self.manifest.call.linkedid)


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredSegment:
    """A segment in the index, its call, and its audio if there is any."""

    public_id: str
    linkedid: str
    domain_id: int
    domain: str
    is_frozen: bool
    is_expired: bool
    user: str
    started_at: datetime
    audio: StoredAudio | None


async def find_place(connection: AsyncConnection, pbx: Pbx, manifest: Manifest, now: datetime, *, lock: bool = False) -> Place:
    """Find the place of a recording.

    A segment stays in its call if that call is of another domain or under legal hold; else it may
    move to the call that reports it. A held call takes the audio that it lacks, and changes in
    nothing else. Raises IntakeRefused and IntakeDeferred.
    """
    before = await _stored_segment(connection, pbx, manifest.name) if lock else None
    also = [before.domain_id] if before is not None else []
    bounds = await read_bounds(connection, pbx, [manifest.call], now, lock=lock, also=also)
    if problem := bounds.domain_problem(manifest.call):
        raise problem
    domain_id, is_frozen = bounds.id_of(manifest.call), bounds.is_frozen(manifest.call.linkedid)
    if not is_frozen and (merged_into := await _merged_into(connection, pbx, manifest.call, domain_id)) is not None:
        manifest = replace(manifest, call=replace(manifest.call, linkedid=merged_into, revision=0))
    stored = await _stored_segment(connection, pbx, manifest.name)
    if stored is not None and stored.is_expired:
        raise RetentionEnded(f"the audio of segment {manifest.name!r} was deleted when its retention ended")
    public_id = call_id(pbx.name, manifest.call.linkedid)
    if stored is not None and stored.public_id != public_id and (stored.is_frozen or stored.domain_id != domain_id):
        if not bounds.served.allows(stored.domain_id):
            raise DomainNotServed(f"segment {manifest.name!r} is of a domain that PBX {pbx.name!r} does not serve")
        call = replace(manifest.call, linkedid=stored.linkedid, domain=stored.domain, revision=0)
        manifest, domain_id, is_frozen = replace(manifest, call=call), stored.domain_id, stored.is_frozen
    _check_owner(pbx, manifest, stored)
    if is_frozen:
        manifest = _as_stored(manifest, stored)
    return Place(manifest=manifest, domain_id=domain_id, audio=stored.audio if stored is not None else None)


def _as_stored(manifest: Manifest, stored: _StoredSegment | None) -> Manifest:
    """Return the manifest with the stored call and segment in place of its own. Raises CallHeld."""
    if stored is None:
        raise CallHeld(f"call {manifest.call.linkedid!r} is under legal hold and has no segment {manifest.name!r}")
    return replace(manifest, user=stored.user, started_at=stored.started_at, call=replace(manifest.call, revision=0))


def _check_owner(pbx: Pbx, manifest: Manifest, stored: _StoredSegment | None) -> None:
    """Refuse a segment of another call.

    A segment without audio may move to the call that reports it: two calls may have been merged
    since the recording began.
    """
    if stored is None or stored.public_id == call_id(pbx.name, manifest.call.linkedid):
        return
    is_reported = any(segment.name == manifest.name for segment in manifest.call.segments)
    if stored.audio is not None or not is_reported:
        raise IntakeRefused(f"segment {manifest.name!r} is of another call already")


async def _merged_into(connection: AsyncConnection, pbx: Pbx, call: CallReport, domain_id: int) -> str | None:
    """Return the linkedid of the call of the same domain into which a call was merged meanwhile."""
    source = calls.c.public_id == call_id(pbx.name, call.linkedid)
    linkedid: str | None = (await connection.execute(select(calls.c.merged_into).where(source))).scalar()
    if linkedid is None:
        return None
    target = select(calls.c.domain_id).where(calls.c.public_id == call_id(pbx.name, linkedid))
    target_domain_id = (await connection.execute(target)).scalar()
    return linkedid if target_domain_id in (None, domain_id) else None


async def _stored_segment(connection: AsyncConnection, pbx: Pbx, name: str) -> _StoredSegment | None:
    columns = (
        calls.c.public_id,
        calls.c.linkedid,
        calls.c.domain_id,
        domains.c.name.label("domain"),
        FROZEN.label("is_frozen"),
        segments.c.expired_at.is_not(None).label("is_expired"),
        segments.c.user,
        segments.c.started_at,
        segments.c.object_key,
        segments.c.sha256,
        segments.c.size_bytes,
    )
    query = select(*columns).join(segments, segments.c.call_id == calls.c.id).join(domains, domains.c.id == calls.c.domain_id)
    row = (await connection.execute(query.where(segments.c.pbx_id == pbx.id, segments.c.name == name))).mappings().first()
    if row is None:
        return None
    audio = {column: row[column] for column in ("object_key", "sha256", "size_bytes")}
    others = {column: value for column, value in row.items() if column not in audio}
    return _StoredSegment(
        **others | {"is_frozen": bool(row["is_frozen"]), "is_expired": bool(row["is_expired"])},
        audio=StoredAudio(**audio) if row["sha256"] is not None else None,
    )
