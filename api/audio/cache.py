"""Cache joined and converted audio.

The cache is a bounded folder beside the objects: any file in it may be deleted at any time, and is
made again on request.
"""

import asyncio
import os
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Final
from uuid import uuid4

from api.limits.concurrency_limit import ConcurrencyLimit
from fonoteka.core.errors import ConfigurationError, ObjectMissing, TooManyConversions

_CONVERSIONS: Final = 2
_CONVERSIONS_OF_AN_OWNER: Final = 2

Make = Callable[[Path, Callable[[], bool]], None]
"""Write the given draft, in a thread; raise anything once the given function returns True.

The function returns True when no request waits for the file any longer.
"""


@dataclass(kw_only=True, slots=True)
class _Conversion:
    """A file that is being made; `waiting` has its owner once for each waiting request."""

    task: asyncio.Task[Path]
    abandoned: Event
    waiting: list[Hashable] = field(default_factory=list)


class AudioCache:
    """Files by key; beyond `limit_bytes` the least recently used are deleted."""

    def __init__(self, root: Path, *, limit_bytes: int) -> None:
        self._root = root
        self._limit = limit_bytes
        self._conversions: dict[str, _Conversion] = {}
        self._running = ConcurrencyLimit[None](_CONVERSIONS)

    def prepare(self) -> None:
        """Make the folder and delete unfinished files. Raises ConfigurationError."""
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for draft in self._root.glob(".*"):
                draft.unlink()
        except OSError as error:
            raise ConfigurationError(f"the cache folder {str(self._root)!r} cannot be written: {error.strerror}") from error

    async def find(self, key: str) -> Path | None:
        """Return the file of a key, None if it is not cached."""
        path = self._root / key
        return path if await asyncio.to_thread(_used, path) else None

    async def get(self, key: str, make: Make, *, owner: Hashable, sources: Sequence[Path] = ()) -> Path:
        """Return the file of a key; make it if it is not cached.

        Concurrent requests for one file make it once; if all of them are cancelled, so is the
        making. `key` must be safe as a file name. An exception of `make` is raised to every waiting
        request. Raises TooManyConversions if the owner waits for two other files, and ObjectMissing
        if one of the sources was deleted meanwhile: the file is not kept then.
        """
        if path := await self.find(key):
            return path
        conversion = self._conversions.get(key)
        others = sum(owner in other.waiting for other in self._conversions.values() if other is not conversion)
        if others >= _CONVERSIONS_OF_AN_OWNER:
            raise TooManyConversions
        if conversion is None:
            abandoned = Event()
            task = asyncio.create_task(self._make(self._root / key, make, abandoned, sources), name=f"audio {key}")
            conversion = self._conversions[key] = _Conversion(task=task, abandoned=abandoned)
        conversion.waiting.append(owner)
        try:
            return await asyncio.shield(conversion.task)
        finally:
            conversion.waiting.remove(owner)
            if not conversion.waiting:
                conversion.abandoned.set()
                conversion.task.cancel()
            if self._conversions.get(key) is conversion and (conversion.task.done() or not conversion.waiting):
                del self._conversions[key]

    async def _make(self, path: Path, make: Make, abandoned: Event, sources: Sequence[Path]) -> Path:
        async with self._running.enter(None):
            await asyncio.to_thread(_publish, path, make, abandoned)
            await asyncio.to_thread(_check_sources, path, sources)
            await asyncio.to_thread(_trim, self._root, self._limit, keep=path)
        return path


def _used(path: Path) -> bool:
    try:
        os.utime(path, ns=(time.time_ns(), time.time_ns()))  # the kernel's own clock has steps of 4 ms
    except FileNotFoundError:
        return False
    return True


def _publish(path: Path, make: Make, abandoned: Event) -> None:
    draft = path.with_name(f".{uuid4().hex}{path.suffix}")
    draft.touch(mode=0o600, exist_ok=False)  # else the codec makes it, readable by all users
    try:
        make(draft, abandoned.is_set)
        _used(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _check_sources(path: Path, sources: Sequence[Path]) -> None:
    """Delete the file if a source was deleted: retention deletes objects first, then copies."""
    if missing := [source for source in sources if not source.exists()]:
        path.unlink(missing_ok=True)
        raise ObjectMissing(f"{missing[0]} does not exist")


def _trim(root: Path, limit_bytes: int, *, keep: Path) -> None:
    files = [(entry.stat(), Path(entry.path)) for entry in os.scandir(root) if not entry.name.startswith(".")]
    total = sum(stat.st_size for stat, _ in files)
    for stat, path in sorted(files, key=lambda file: file[0].st_mtime_ns):
        if total <= limit_bytes:
            return
        if path != keep:
            path.unlink(missing_ok=True)
            total -= stat.st_size
