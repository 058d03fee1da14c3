"""Whether the audio and the peaks of every segment are what was stored."""

from collections.abc import AsyncIterator
from typing import Any, Final

from sqlalchemy import Row, Select, func, or_, select

from fonoteka.core.errors import ObjectDamaged, ObjectMissing, StoreError
from store.database.schema import HAS_AUDIO, calls, domains, segments
from store.database.store import Store
from store.integrity.findings import Finding, Kind, Position, Step
from store.integrity.intact import intact_peaks, opened_intact
from store.queries.audio import stored_audio

_BATCH: Final = 50


async def object_count(store: Store) -> int:
    """Return the number of segments with audio."""
    query = select(func.count()).select_from(segments).where(HAS_AUDIO)
    async with store.reading() as connection:
        return (await connection.execute(query)).scalar_one()


async def object_steps(store: Store, after: Position) -> AsyncIterator[Step]:
    """Check all segments with audio, in the order of their keys. Expired ones have none."""
    last = after if isinstance(after, int) else 0
    while rows := await _rows(store, _with_audio().where(segments.c.id > last).order_by(segments.c.id).limit(_BATCH)):
        for row in rows:
            last = row.id
            # One file at a time in one thread: the check never takes more than one core.
            yield Step(position=last, looked_at=1, found=await _problems(store, row))


async def still_wrong(store: Store, finding: Finding) -> bool:
    """Whether a finding of this check still holds: a segment may have been removed meanwhile."""
    rows = await _rows(store, _with_audio().where(segments.c.id == finding.key[0]))
    problems = [problem for row in rows for problem in await _problems(store, row)]
    return any(problem.kind is finding.kind for problem in problems)


def _with_audio() -> Select[Any]:
    columns = (*segments.c, calls.c.public_id, domains.c.name.label("domain"))
    query = select(*columns).join(calls, calls.c.id == segments.c.call_id).join(domains, domains.c.id == calls.c.domain_id)
    # The removal of a domain destroys its keys: nobody can read its encrypted recordings.
    is_readable = or_(domains.c.removed_at.is_(None), segments.c.key_version.is_(None))
    return query.where(HAS_AUDIO, is_readable)


async def _rows(store: Store, query: Select[Any]) -> list[Row[Any]]:
    async with store.reading() as connection:
        return list((await connection.execute(query)).all())


async def _problems(store: Store, row: Row[Any]) -> list[Finding]:
    """Check the objects of a segment. Raises StoreError if the folder of objects is gone."""
    audio = stored_audio(row)
    try:
        (await opened_intact(store.objects, audio)).close()
    except ObjectMissing as error:
        return [_finding(row, Kind.MISSING, error)]  # peaks are of no use without the audio
    except ObjectDamaged as error:
        found = [_finding(row, Kind.ALTERED, error)]
    else:
        found = []
    try:
        await intact_peaks(store.objects, audio)
    except ObjectMissing as error:
        found.append(_finding(row, Kind.PEAKS_MISSING, error))
    except ObjectDamaged as error:
        found.append(_finding(row, Kind.PEAKS_ALTERED, error))
    return found


def _finding(row: Row[Any], kind: Kind, error: StoreError) -> Finding:
    return Finding(kind=kind, domain=row.domain, subject=row.public_id, detail=str(error), key=(row.id,))
