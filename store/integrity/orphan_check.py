"""Files in the folder of objects that no row of the index names."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.naming import peaks_key
from store.database.schema import segments
from store.database.store import Store
from store.integrity.findings import Finding, Kind, Position, Step
from store.objects.folder import ObjectFolder
from store.objects.set_aside import UPLOADED_WITHIN_S

_PEAKS: Final = peaks_key("")


async def orphan_steps(store: Store, after: Position) -> AsyncIterator[Step]:
    """Compare the files of one folder after another with the index."""
    known = await _known(store)
    for folder in await asyncio.to_thread(_folders, store.objects.root):
        name = folder.relative_to(store.objects.root).as_posix()
        if isinstance(after, str) and name <= after:
            continue
        keys = await asyncio.to_thread(_old_files, folder)
        found = [_finding(f"{name}/{file}") for file in keys if hash(_audio_key(f"{name}/{file}")) not in known]
        yield Step(position=name, looked_at=len(keys), found=found)


async def is_orphan(connection: AsyncConnection, objects: ObjectFolder, finding: Finding) -> bool:
    """Whether a file is still there, older than any upload, and still no row names it."""
    key = str(finding.key[0])
    query = select(segments.c.id).where(segments.c.object_key == _audio_key(key)).limit(1)
    if (await connection.execute(query)).first() is not None:
        return False
    return await asyncio.to_thread(_is_old, objects.path(key))


async def _known(store: Store) -> set[int]:
    """Return the hashes of all keys: eight bytes each, however long the keys are."""
    async with store.reading() as connection:
        rows = await connection.stream(select(segments.c.object_key).where(segments.c.object_key.is_not(None)))
        return {hash(row.object_key) async for row in rows}


def _folders(root: Path) -> list[Path]:
    """Return the folders with objects, in order; names with a dot are not of objects."""
    found = []
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if not name.startswith(".")]
        if files:
            found.append(Path(folder))
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _old_files(folder: Path) -> list[str]:
    youngest = time.time() - UPLOADED_WITHIN_S
    found = []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # deleted meanwhile
                if not entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < youngest:
                    found.append(entry.name)
    return sorted(found)


def _is_old(path: Path) -> bool:
    try:
        return path.lstat().st_mtime < time.time() - UPLOADED_WITHIN_S
    except OSError:
        return False


def _audio_key(key: str) -> str:
    return key.removesuffix(_PEAKS)


def _finding(key: str) -> Finding:
    key = key.removeprefix("./")
    return Finding(kind=Kind.ORPHANED, domain="", subject=key, detail="no row of the index names this file", key=(key,))
