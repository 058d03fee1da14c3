"""Cache joined and converted audio.

The cache is a bounded folder beside the objects: any file in it may be deleted at any time, and is
made again on request. Its files are encrypted under a key that only this process has: plain copies
of encrypted recordings must not stay on the disk. Replicas that share the folder have files of
their own in it.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from secrets import token_hex
from threading import Event
from typing import Final
from uuid import uuid4

from api.limits.concurrency_limit import ConcurrencyLimit
from fonoteka.core.errors import ConfigurationError, ObjectDamaged, ObjectMissing, StoreError, TooManyConversions
from store.encryption.data_key import DataKey, MemoryKey
from store.encryption.encrypted_file import EncryptingWriter
from store.objects.open_file import open_plain

_BLOCK_BYTES: Final = 1024 * 1024
_CONVERSIONS: Final = 2
_CONVERSIONS_OF_AN_OWNER: Final = 2
_ORPHANED_AFTER_S: Final = 24 * 3600

Make = Callable[[Path, Callable[[], bool]], None]
"""Write the given draft, in a thread; raise anything once the given function returns True.

The function returns True when no request waits for the file any longer.
"""

Check = Callable[[], Awaitable[None]]


async def nothing_to_check() -> None:
    """Check nothing."""


@dataclass(kw_only=True, slots=True)
class _Conversion:
    """A file that is being made; `waiting` has its owner once for each waiting request."""

    task: asyncio.Task[None]
    abandoned: Event
    waiting: list[Hashable] = field(default_factory=list)


class AudioCache:
    """Files by key; beyond `limit_bytes` the least recently used are deleted."""

    def __init__(self, root: Path, *, limit_bytes: int, is_shared: bool = False) -> None:
        self._root, self._is_shared = root, is_shared
        self._suffix = f".{token_hex(4)}" if is_shared else ""
        self._limit = limit_bytes
        self._conversions: dict[str, _Conversion] = {}
        self._memory_key = MemoryKey()
        self._running = ConcurrencyLimit[None](_CONVERSIONS)

    def prepare(self) -> None:
        """Make the folder, and delete files that nobody can read. Raises ConfigurationError.

        Of a shared folder only old files are deleted: others may be of another replica.
        """
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in self._root.iterdir():
                if not self._is_shared or time.time() - path.stat().st_mtime > _ORPHANED_AFTER_S:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"the cache folder {str(self._root)!r} cannot be written: {error.strerror}") from error

    def _path(self, key: str) -> Path:
        return self._root / f"{key}{self._suffix}"

    async def find(self, key: str) -> BufferedReader | None:
        """Open the file of a key; None if it is not cached. The caller closes it."""
        path = self._path(key)
        try:
            file = await open_plain(path, path.name, self._memory_key)
        except ObjectMissing:
            return None
        except ObjectDamaged:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            return None
        await asyncio.to_thread(_use, path)
        return file

    async def get(self, key: str, make: Make, *, owner: Hashable, check: Check = nothing_to_check) -> BufferedReader:
        """Open the file of a key; make it if it is not cached. The caller closes it.

        Concurrent requests for one file make it once; if all of them are cancelled, so is the
        making. `key` must be safe as a file name. An exception of `make` is raised to every waiting
        request. Raises TooManyConversions if the owner waits for two other files. The file is not
        kept if `check`, called when it is made, raises: retention deletes objects, then copies.
        """
        while (file := await self.find(key)) is None:  # deleted again before it was opened
            await self._made(key, make, owner, check)
        return file

    async def _made(self, key: str, make: Make, owner: Hashable, check: Check) -> None:
        """Wait until a file is made. Raises TooManyConversions, and what `check` raises."""
        conversion = self._conversions.get(key)
        others = sum(owner in other.waiting for other in self._conversions.values() if other is not conversion)
        if others >= _CONVERSIONS_OF_AN_OWNER:
            raise TooManyConversions
        if conversion is None:
            abandoned = Event()
            task = asyncio.create_task(self._make(self._path(key), make, abandoned, check), name=f"audio {key}")
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

    async def _make(self, path: Path, make: Make, abandoned: Event, check: Check) -> None:
        async with self._running.enter(None):
            await asyncio.to_thread(_publish, path, make, abandoned, self._memory_key.key)
            try:
                await check()
            except StoreError:
                await asyncio.to_thread(path.unlink, missing_ok=True)
                raise
            await asyncio.to_thread(_trim, self._root, self._limit, keep=path)


def _use(path: Path) -> None:
    with suppress(FileNotFoundError):
        os.utime(path, ns=(time.time_ns(), time.time_ns()))  # the kernel's own clock has steps of 4 ms


def _publish(path: Path, make: Make, abandoned: Event, key: DataKey) -> None:
    draft = path.with_name(f".{uuid4().hex}")
    try:
        with tempfile.TemporaryFile(dir=path.parent) as plain, open(draft, "xb", opener=_private) as file:
            # The file has no name but this one, so a crash leaves nothing that is plain.
            make(Path(f"/proc/self/fd/{plain.fileno()}"), abandoned.is_set)
            writer = EncryptingWriter(file, key, path.name)
            plain.seek(0)
            while block := plain.read(_BLOCK_BYTES):
                writer.write(block)
            writer.finish()
        _use(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _trim(root: Path, limit_bytes: int, *, keep: Path) -> None:
    files = []
    for entry in os.scandir(root):
        with suppress(FileNotFoundError):  # a replica deletes too
            if not entry.name.startswith("."):
                files.append((entry.stat(), Path(entry.path)))
    total = sum(stat.st_size for stat, _ in files)
    for stat, path in sorted(files, key=lambda file: file[0].st_mtime_ns):
        if total <= limit_bytes:
            return
        if path != keep:
            path.unlink(missing_ok=True)
            total -= stat.st_size
