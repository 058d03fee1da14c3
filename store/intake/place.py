"""The call and the segment to which a recording belongs."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import CallReport
from fonoteka.core.errors import CallHeld, DomainNotServed, IntakeRefused, RetentionEnded
from fonoteka.core.manifest import Manifest
from store.database.schema import calls, domains, segments
from store.intake.bounds import FROZEN, read_bounds
from store.intake.row_ids import possible_ids, row_id
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
    public_id: str
    audio: StoredAudio | None


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
    domain_id, public_id = bounds.id_of(manifest.call), bounds.public_id_of(manifest.call)
    is_frozen = bounds.is_frozen(public_id)
    if not is_frozen and (whole := await _merged_into(connection, manifest.call, public_id, domain_id)) is not None:
        merged_into, public_id = whole
        manifest = replace(manifest, call=replace(manifest.call, linkedid=merged_into, revision=0))
    stored = await _stored_segment(connection, pbx, manifest.name)
    if stored is not None and stored.is_expired:
        raise RetentionEnded(f"the audio of segment {manifest.name!r} was deleted when its retention ended")
    if stored is not None and stored.public_id != public_id and (stored.is_frozen or stored.domain_id != domain_id):
        if not bounds.served.allows(stored.domain_id):
            raise DomainNotServed(f"segment {manifest.name!r} is of a domain that PBX {pbx.name!r} does not serve")
        call = replace(manifest.call, linkedid=stored.linkedid, domain=stored.domain, revision=0)
        manifest, domain_id, is_frozen = replace(manifest, call=call), stored.domain_id, stored.is_frozen
        public_id = stored.public_id
    _check_owner(public_id, manifest, stored)
    if is_frozen:
        manifest = _as_stored(manifest, stored)
    audio = stored.audio if stored is not None else None
    return Place(manifest=manifest, domain_id=domain_id, public_id=public_id, audio=audio)


def _as_stored(manifest: Manifest, stored: _StoredSegment | None) -> Manifest:
    """Return the manifest with the stored call and segment in place of its own. Raises CallHeld."""
    if stored is None:
        raise CallHeld(f"call {manifest.call.linkedid!r} is under legal hold and has no segment {manifest.name!r}")
    return replace(manifest, user=stored.user, started_at=stored.started_at, call=replace(manifest.call, revision=0))


def _check_owner(public_id: str, manifest: Manifest, stored: _StoredSegment | None) -> None:
    """Refuse a segment of another call.

    A segment without audio may move to the call that reports it: two calls may have been merged
    since the recording began.
    """
    if stored is None or stored.public_id == public_id:
        return
    is_reported = any(segment.name == manifest.name for segment in manifest.call.segments)
    if stored.audio is not None or not is_reported:
        raise IntakeRefused(f"segment {manifest.name!r} is of another call already")


async def _merged_into(connection: AsyncConnection, call: CallReport, public_id: str, domain_id: int) -> tuple[str, str] | None:
    """Return the call of the same domain into which a call was merged meanwhile.

    Its linkedid and its public id.
    """
    source = select(calls.c.merged_into).where(calls.c.public_id == public_id)
    linkedid: str | None = (await connection.execute(source)).scalar()
    if linkedid is None:
        return None
    ids = possible_ids(call.pbx, linkedid, call.domain)
    targets = await connection.execute(select(calls.c.public_id, calls.c.domain_id).where(calls.c.public_id.in_(ids)))
    owners = {row.public_id: row.domain_id for row in targets}

    def is_of(target_id: str) -> bool | None:
        return None if target_id not in owners else owners[target_id] == domain_id

    target_id = row_id(call.pbx, linkedid, call.domain, is_of=is_of, further=call.further)
    return (linkedid, target_id) if owners.get(target_id, domain_id) == domain_id else None


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
