"""Objects while they are being written: files below the folder `.incoming` of the working folder.

A draft is complete, checked and durable before it becomes an object. Files are readable by the
owner only, regardless of the umask.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple
from uuid import uuid4

from fonoteka.core.errors import ChecksumWrong, ConfigurationError, ObjectDamaged, ObjectsFull, StoreError
from store.encryption.data_key import DataKey
from store.encryption.encrypted_file import EncryptingWriter

INCOMING: Final = ".incoming"
_REPLACED: Final = "replaced-"  # drafts whose name an object that was replaced gets
_LOCK: Final = "replacing"
ORPHANED_AFTER_S: Final = 24 * 3600
_BLOCK_BYTES: Final = 1024 * 1024
_PROBE_BYTES: Final = 4096  # a block, so that a full disk refuses it


class Draft(NamedTuple):
    """A complete object that has no name yet: the name it will have, and its file."""

    key: str
    path: Path


class Drafts:
    """The drafts of a store; `setting` is the setting that names the working folder."""

    def __init__(self, root: Path, setting: str) -> None:
        self._root, self._folder, self._setting = root, root / INCOMING, setting

    def prepare(self, *, sweep: bool) -> None:
        """Create the folder and check that it is writable; `sweep` deletes unfinished files.

        Raises ConfigurationError.
        """
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if sweep:
                _sweep(self._folder)
                if self._replaced():  # plain ones may be among them
                    with suppress(BlockingIOError), self.replacing():
                        pass
            with tempfile.TemporaryFile(dir=self._folder):
                pass
        except OSError as error:
            raise ConfigurationError(
                f"{self._setting} cannot be written: {error.strerror}; "
                f"create the folder and give it to the user that runs Fonoteka (uid {os.getuid()})"
            ) from error

    def probe(self) -> None:
        """Write and delete a file. Raises OSError."""
        with tempfile.TemporaryFile(dir=self._folder, buffering=0) as file:
            file.write(bytes(_PROBE_BYTES))
            os.fsync(file.fileno())

    @asynccontextmanager
    async def receive(
        self, key: str, chunks: AsyncIterator[bytes], *, sha256: str, size_bytes: int, data_key: DataKey | None
    ) -> AsyncIterator[Draft]:
        """Write a draft, which is deleted at the end; encrypted if there is a key.

        Checksum and size are those of the plain content. Raises ChecksumWrong, ObjectsFull and
        StoreError.
        """
        draft = Draft(key, self._folder / uuid4().hex)
        try:
            with self.write_errors(key), await asyncio.to_thread(_new_file, draft.path) as file:
                writer = EncryptingWriter(file, data_key, key) if data_key is not None else file
                await _receive(writer, chunks, sha256, size_bytes)
                if isinstance(writer, EncryptingWriter):
                    await asyncio.to_thread(writer.finish)
                await asyncio.to_thread(_sync, file)
            yield draft
        finally:
            await asyncio.to_thread(draft.path.unlink, missing_ok=True)

    @asynccontextmanager
    async def encrypt(self, key: str, source: BufferedReader, data_key: DataKey, sha256: str | None) -> AsyncIterator[Path]:
        """Write plain content, encrypted, into a draft, which is deleted at the end.

        Raises OSError, and ObjectDamaged if the content has another SHA-256 than the given one.
        """
        draft = self._folder / f"{_REPLACED}{uuid4().hex}"
        try:
            with source:
                await asyncio.to_thread(_encrypt, source, draft, data_key, key, sha256)
            yield draft
        finally:
            await asyncio.to_thread(draft.unlink, missing_ok=True)

    @asynccontextmanager
    async def copy(self, key: str, source: BufferedReader) -> AsyncIterator[Draft]:
        """Write bytes as they are into a draft, which is deleted at the end.

        Raises ObjectsFull and StoreError.
        """
        draft = Draft(key, self._folder / uuid4().hex)
        try:
            with self.write_errors(key), source:
                await asyncio.to_thread(_copy, source, draft)
            yield draft
        finally:
            await asyncio.to_thread(draft.path.unlink, missing_ok=True)

    @contextmanager
    def write_errors(self, key: str) -> Iterator[None]:
        """Raise StoreError, or ObjectsFull, for errors of the disk."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ObjectsFull(f"{self._setting} is full: free space there") from error
            raise StoreError(f"{key} cannot be written: {error}") from error

    @property
    def lock_file(self) -> Path:
        """The file that a process locks while it replaces objects."""
        return self._folder / _LOCK

    @contextmanager
    def replacing(self) -> Iterator[None]:
        """Keep other processes of this machine from replacing objects, and delete what they left.

        Raises BlockingIOError if another process replaces objects.
        """
        with self.lock_file.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for replaced in self._replaced():
                replaced.unlink(missing_ok=True)
            yield

    def _replaced(self) -> list[Path]:
        return list(self._folder.glob(f"{_REPLACED}*"))


async def once(content: bytes) -> AsyncIterator[bytes]:
    """Yield some bytes."""
    yield content


def _new_file(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


async def _receive(target: BinaryIO | EncryptingWriter, chunks: AsyncIterator[bytes], sha256: str, size_bytes: int) -> None:
    digest, size = hashlib.sha256(), 0
    async for chunk in chunks:
        size += len(chunk)
        if size > size_bytes:
            break
        digest.update(chunk)
        await asyncio.to_thread(target.write, chunk)
    if size != size_bytes or digest.hexdigest() != sha256:
        raise ChecksumWrong(f"the audio's SHA-256 or size is not what was announced ({sha256}, {size_bytes} bytes)")


def _encrypt(source: BufferedReader, draft: Path, data_key: DataKey, name: str, sha256: str | None) -> None:
    digest = hashlib.sha256()
    with _new_file(draft) as file:
        writer = EncryptingWriter(file, data_key, name)
        for content in _blocks(source, name):
            digest.update(content)
            writer.write(content)
        if sha256 not in (None, digest.hexdigest()):
            raise ObjectDamaged(f"object {name} is not the file that was stored: its SHA-256 differs")
        writer.finish()
        _sync(file)


def _copy(source: BufferedReader, draft: Draft) -> None:
    with _new_file(draft.path) as file:
        for content in _blocks(source, draft.key):
            file.write(content)
        _sync(file)


def _blocks(source: BufferedReader, name: str) -> Iterator[bytes]:
    """Read an object in blocks. Raises ObjectDamaged if the disk cannot read it."""
    try:
        while content := source.read(_BLOCK_BYTES):
            yield content
    except OSError as error:
        raise ObjectDamaged(f"object {name} cannot be read: {error.strerror}") from error


def _sweep(folder: Path) -> None:
    """Delete old files; another replica may be writing the recent ones."""
    for orphan in folder.iterdir():
        with suppress(FileNotFoundError):
            if orphan.name != _LOCK and time.time() - orphan.stat().st_mtime > ORPHANED_AFTER_S:
                orphan.unlink()


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
