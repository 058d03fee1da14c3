"""Objects that no row of the index names."""

import time
from collections.abc import AsyncIterator
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.naming import peaks_key
from store.database.schema import segments
from store.database.store import Store
from store.integrity.findings import Finding, Kind, Position, Step
from store.objects.object_store import ObjectStore
from store.objects.set_aside import UPLOADED_WITHIN_S

_PEAKS: Final = peaks_key("")


async def orphan_steps(store: Store, after: Position) -> AsyncIterator[Step]:
    """Compare all objects with the index."""
    known = await _known(store)
    async for position, keys in store.objects.listing(after if isinstance(after, str) else ""):
        found = [_finding(key) for key in keys if hash(_audio_key(key)) not in known]
        yield Step(position=position, looked_at=len(keys), found=found)


async def is_orphan(connection: AsyncConnection, objects: ObjectStore, finding: Finding) -> bool:
    """Whether a file is still there, older than any upload, and still no row names it."""
    key = str(finding.key[0])
    query = select(segments.c.id).where(segments.c.object_key == _audio_key(key)).limit(1)
    if (await connection.execute(query)).first() is not None:
        return False
    begun = await objects.beginning(key)
    return begun is not None and begun.modified_at < time.time() - UPLOADED_WITHIN_S


async def _known(store: Store) -> set[int]:
    """Return the hashes of all keys: eight bytes each, however long the keys are."""
    async with store.reading() as connection:
        rows = await connection.stream(select(segments.c.object_key).where(segments.c.object_key.is_not(None)))
        return {hash(row.object_key) async for row in rows}


def _audio_key(key: str) -> str:
    return key.removesuffix(_PEAKS)


def _finding(key: str) -> Finding:
    return Finding(kind=Kind.ORPHANED, domain="", subject=key, detail="no row of the index names this file", key=(key,))
