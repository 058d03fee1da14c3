"""Cache joined and converted audio.

The cache is a bounded folder beside the objects: any file in it may be deleted at any time, and is
made again on request.
"""

import asyncio
import os
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from threading import Event
from typing import Final
from uuid import uuid4

from api.limits.concurrency_limit import ConcurrencyLimit
from fonoteka.core.errors import ConfigurationError, TooManyConversions

_CONVERSIONS: Final = 2
_CONVERSIONS_OF_AN_OWNER: Final = 2

Make = Callable[[Path, Callable[[], bool]], None]
"""Write the given draft, in a thread; raise anything once the given function returns True.

The function returns True when no request waits for the file any longer.
"""


@dataclass(kw_only=True, slots=True)
class _Conversion:
    """A file that is being made; `waiting` has its owner once for each waiting request."""

    task: asyncio.Task[None]
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

    async def find(self, key: str) -> BufferedReader | None:
        """Open the file of a key; None if it is not cached. The caller closes it."""
        return await asyncio.to_thread(_opened, self._root / key)

    async def get(self, key: str, make: Make, *, owner: Hashable) -> BufferedReader:
        """Open the file of a key; make it if it is not cached. The caller closes it.

        Concurrent requests for one file make it once; if all of them are cancelled, so is the
        making. `key` must be safe as a file name. An exception of `make` is raised to every waiting
        request. Raises TooManyConversions if the owner waits for two other files.
        """
        while (file := await self.find(key)) is None:  # deleted again before it was opened
            await self._made(key, make, owner)
        return file

    async def _made(self, key: str, make: Make, owner: Hashable) -> None:
        """Wait until the file of a key is made. Raises TooManyConversions."""
        conversion = self._conversions.get(key)
        others = sum(owner in other.waiting for other in self._conversions.values() if other is not conversion)
        if others >= _CONVERSIONS_OF_AN_OWNER:
            raise TooManyConversions
        if conversion is None:
            abandoned = Event()
            task = asyncio.create_task(self._make(self._root / key, make, abandoned), name=f"audio {key}")
            conversion = self._conversions[key] = _Conversion(task=task, abandoned=abandoned)
        conversion.waiting.append(owner)
        try:
            await asyncio.shield(conversion.task)
        finally:
            conversion.waiting.remove(owner)
            if not conversion.waiting:
                conversion.abandoned.set()
                conversion.task.cancel()
            if self._conversions.get(key) is conversion and (conversion.task.done() or not conversion.waiting):
                del self._conversions[key]

    async def _make(self, path: Path, make: Make, abandoned: Event) -> None:
        async with self._running.enter(None):
            await asyncio.to_thread(_publish, path, make, abandoned)
            await asyncio.to_thread(_trim, self._root, self._limit, keep=path)


def _opened(path: Path) -> BufferedReader | None:
    try:
        _use(path)
        return path.open("rb")
    except FileNotFoundError:
        return None


def _use(path: Path) -> None:
    os.utime(path, ns=(time.time_ns(), time.time_ns()))  # the kernel's own clock has steps of 4 ms


def _publish(path: Path, make: Make, abandoned: Event) -> None:
    draft = path.with_name(f".{uuid4().hex}{path.suffix}")
    draft.touch(mode=0o600, exist_ok=False)  # else the codec makes it, readable by all users
    try:
        make(draft, abandoned.is_set)
        _use(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _trim(root: Path, limit_bytes: int, *, keep: Path) -> None:
    files = [(entry.stat(), Path(entry.path)) for entry in os.scandir(root) if not entry.name.startswith(".")]
    total = sum(stat.st_size for stat, _ in files)
    for stat, path in sorted(files, key=lambda file: file[0].st_mtime_ns):
        if total <= limit_bytes:
            return
        if path != keep:
            path.unlink(missing_ok=True)
            total -= stat.st_size
