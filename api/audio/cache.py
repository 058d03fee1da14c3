"""Audio that was joined or converted for somebody, kept for the next who asks.

A bounded folder beside the objects: anything in it can be deleted at any time and is made again.
"""

import asyncio
import os
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Final
from uuid import uuid4

from fonoteka.core.errors import ConfigurationError, TooManyConversions

_AT_ONCE: Final = 2
_MOST_EACH: Final = 2

Make = Callable[[Path, Callable[[], bool]], None]
"""Writes the draft it is given, in a thread; should give up, by raising anything, once the function says that nobody waits."""


@dataclass(kw_only=True, slots=True)
class _Making:
    """A file on its way; `waiting` are those who asked for it, each as often as they did."""

    task: asyncio.Task[Path]
    abandoned: Event
    waiting: list[Hashable] = field(default_factory=list)


class AudioCache:
    """Files by key; the least recently used go first when there are more than `limit_bytes`."""

    def __init__(self, root: Path, *, limit_bytes: int) -> None:
        self._root = root
        self._limit = limit_bytes
        self._making: dict[str, _Making] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    def prepare(self) -> None:
        """Make the folder and sweep unfinished files. Raises ConfigurationError."""
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for draft in self._root.glob(".*"):
                draft.unlink()
        except OSError as error:
            raise ConfigurationError(f"the cache folder {str(self._root)!r} cannot be written: {error.strerror}") from error

    async def find(self, key: str) -> Path | None:
        """The file of a key, if it is there."""
        path = self._root / key
        return path if await asyncio.to_thread(_used, path) else None

    async def get(self, key: str, make: Make, *, who: Hashable) -> Path:
        """The file of a key, made if it is not there; asked for twice at once, it is made once. Cancelled by all who asked,
        it is given up.

        `key` must be safe as a file's name. Whatever `make` raises is raised to everybody who waits. Raises TooManyConversions.
        """
        if path := await self.find(key):
            return path
        making = self._making.get(key)
        if sum(who in other.waiting for other in self._making.values() if other is not making) >= _MOST_EACH:
            raise TooManyConversions
        if making is None:
            abandoned = Event()
            task = asyncio.create_task(self._make(self._root / key, make, abandoned), name=f"audio {key}")
            making = self._making[key] = _Making(task=task, abandoned=abandoned)
        making.waiting.append(who)
        try:
            return await asyncio.shield(making.task)
        finally:
            making.waiting.remove(who)
            if not making.waiting:
                making.abandoned.set()
                making.task.cancel()
            if self._making.get(key) is making and (making.task.done() or not making.waiting):
                del self._making[key]

    async def _make(self, path: Path, make: Make, abandoned: Event) -> Path:
        async with self._room:
            await asyncio.to_thread(_publish, path, make, abandoned)
            await asyncio.to_thread(_trim, self._root, self._limit, keep=path)
        return path


def _used(path: Path) -> bool:
    try:
        os.utime(path, ns=(time.time_ns(), time.time_ns()))  # by itself the kernel counts in steps of 4 ms
    except FileNotFoundError:
        return False
    return True


def _publish(path: Path, make: Make, abandoned: Event) -> None:
    draft = path.with_name(f".{uuid4().hex}{path.suffix}")
    draft.touch(mode=0o600, exist_ok=False)  # before the codec makes it, for everybody to read
    try:
        make(draft, abandoned.is_set)
        _used(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _trim(root: Path, limit_bytes: int, *, keep: Path) -> None:
    there = [(entry.stat(), Path(entry.path)) for entry in os.scandir(root) if not entry.name.startswith(".")]
    total = sum(stat.st_size for stat, _ in there)
    for stat, path in sorted(there, key=lambda found: found[0].st_mtime_ns):
        if total <= limit_bytes:
            return
        if path != keep:
            path.unlink(missing_ok=True)
            total -= stat.st_size
