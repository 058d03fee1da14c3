"""Objects as files in a folder: encoded recordings and their peaks.

A file gets its name only when it is complete and durable: it is written under a temporary name in
the same file system, checked, synced and renamed, and then its folder is synced. Names come from
`fonoteka.core.naming`. Files are readable by the owner only, regardless of the umask.
"""

import asyncio
import errno
import hashlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from fonoteka.core.errors import ChecksumWrong, ConfigurationError, ObjectDamaged, ObjectMissing, ObjectsFull, StoreError

_INCOMING: Final = ".incoming"
_ORPHANED_AFTER_S: Final = 24 * 3600
_PROBE_BYTES: Final = 4096  # a block, so that a full disk refuses it


class ObjectFolder:
    """Objects below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / _INCOMING

    def prepare(self, *, sweep: bool) -> None:
        """Create the folder and check that it is writable; `sweep` deletes unfinished files.

        Raises ConfigurationError.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._incoming.mkdir(mode=0o700, exist_ok=True)
            if sweep:
                _sweep(self._incoming)
            probe = self._incoming / f"probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise ConfigurationError(
                f"store.objects = 'file://{self.root}' cannot be written: {error.strerror}; "
                f"create the folder and give it to the user that runs Fonoteka (uid {os.getuid()})"
            ) from error

    def probe(self) -> None:
        """Write and delete a file. Raises StoreError, without the path, if that fails."""
        try:
            with tempfile.TemporaryFile(dir=self._incoming, buffering=0) as file:
                file.write(bytes(_PROBE_BYTES))
                os.fsync(file.fileno())
        except FileNotFoundError as error:
            raise StoreError("the folder of recordings is gone: is its disk mounted?") from error
        except OSError as error:
            raise StoreError(f"the folder of recordings cannot be written: {error.strerror}") from error

    def path(self, key: str) -> Path:
        """Return the path of an object, whether it exists or not."""
        path = self.root / key
        if ".." in path.parts or not path.is_relative_to(self.root):
            raise StoreError(f"not an object's name: {key!r}")
        return path

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, sha256: str, size_bytes: int) -> None:
        """Write an object, replacing it atomically; durable on return.

        Raises ChecksumWrong, leaving no file, and ObjectsFull.
        """
        draft = self._incoming / uuid4().hex
        try:
            await self._receive(draft, chunks, sha256, size_bytes)
            await asyncio.to_thread(_publish, draft, self.path(key))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ObjectsFull(f"store.objects = 'file://{self.root}' is full: free space there") from error
            raise StoreError(f"store.objects.folder: {key} cannot be written: {error}") from error
        finally:
            await asyncio.to_thread(draft.unlink, missing_ok=True)

    async def put_bytes(self, key: str, content: bytes) -> None:
        """Write a small object; durable on return."""

        async def once() -> AsyncIterator[bytes]:
            yield content

        await self.put(key, once(), sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))

    async def _receive(self, draft: Path, chunks: AsyncIterator[bytes], sha256: str, size_bytes: int) -> None:
        digest, size = hashlib.sha256(), 0
        with await asyncio.to_thread(_new_file, draft) as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > size_bytes:
                    break
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
            if size != size_bytes or digest.hexdigest() != sha256:
                raise ChecksumWrong(f"the audio's SHA-256 or size is not what was announced ({sha256}, {size_bytes} bytes)")
            await asyncio.to_thread(_sync, file.fileno(), file.flush)

    async def open(self, key: str) -> BufferedReader:
        """Open the plain content of an object, to read and to seek; the caller closes it.

        Raises ObjectMissing and ObjectDamaged; reading the file may raise ObjectDamaged too.
        """
        return await asyncio.to_thread(_open_file, self.path(key), key)

    def opener(self, key: str) -> Callable[[], BufferedReader]:
        """Return a function that opens an object as `open` does, for threads of this event loop."""
        loop = asyncio.get_running_loop()
        return lambda: asyncio.run_coroutine_threadsafe(self.open(key), loop).result()

    async def read(self, key: str) -> bytes:
        """Read a small object. Raises ObjectMissing and ObjectDamaged."""
        return await asyncio.to_thread(_read_all, await self.open(key))

    async def delete(self, key: str) -> None:
        """Delete an object, after the index has forgotten it. A missing object is no error."""
        await asyncio.to_thread(self.path(key).unlink, missing_ok=True)


def folder_of(objects: str) -> Path:
    """Return the folder of `store.objects` (`file:///absolute` or `file://relative`).

    Raises ConfigurationError.
    """
    parts = urlsplit(objects)
    if parts.scheme != "file" or not (parts.netloc or parts.path):
        raise ConfigurationError(
            f"store.objects = {objects!r}: must be file:// and a folder, for example file:///var/lib/fonoteka/objects"
        )
    return Path(unquote(parts.netloc + parts.path)).absolute()


def _new_file(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _open_file(path: Path, key: str) -> BufferedReader:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise ObjectMissing(f"object {key} does not exist") from error
    except OSError as error:
        raise ObjectDamaged(f"object {key} cannot be read: {error.strerror}") from error


def _read_all(file: BufferedReader) -> bytes:
    with file:
        try:
            return file.read()
        except OSError as error:
            raise ObjectDamaged(f"an object cannot be read: {error.strerror}") from error


def _sweep(folder: Path) -> None:
    """Delete old files; another replica may be writing the recent ones."""
    for orphan in folder.iterdir():
        with suppress(FileNotFoundError):
            if time.time() - orphan.stat().st_mtime > _ORPHANED_AFTER_S:
                orphan.unlink()


def _sync(descriptor: int, flush: object) -> None:
    if callable(flush):
        flush()
    os.fsync(descriptor)


def _publish(draft: Path, path: Path) -> None:
    missing = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    draft.replace(path)
    # A new folder is durable only when its parent is synced.
    for folder in {path.parent, *(new.parent for new in missing)}:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
