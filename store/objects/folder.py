"""Objects as files in a folder: encoded recordings and their peaks, encrypted or plain.

A file gets its name only when it is complete and durable: it is written under a temporary name in
the same file system, checked, synced and renamed, and then its folder is synced. Names come from
`fonoteka.core.naming`. Files are readable by the owner only, regardless of the umask.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from fonoteka.core.atomic_file import sync_folder
from fonoteka.core.errors import ChecksumWrong, ConfigurationError, ObjectDamaged, ObjectMissing, ObjectsFull, StoreError
from store.encryption.data_key import DataKey, DataKeys
from store.encryption.encrypted_file import HEADER_BYTES, EncryptingWriter, Header, decrypted, parse_header
from store.objects.exchange import exchange

_INCOMING: Final = ".incoming"
_REPLACED: Final = "replaced-"  # drafts whose name an object that was replaced gets
_LOCK: Final = "replacing"
_ORPHANED_AFTER_S: Final = 24 * 3600
_BLOCK_BYTES: Final = 1024 * 1024
_PROBE_BYTES: Final = 4096  # a block, so that a full disk refuses it


class Draft(NamedTuple):
    """A complete object that has no name yet: the name it will have, and its file."""

    key: str
    path: Path


class ObjectFolder:
    """Objects below `root`."""

    def __init__(self, root: Path, keys: DataKeys) -> None:
        self.root, self._keys = root, keys
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
                if self._replaced():  # plain ones may be among them
                    with suppress(BlockingIOError), self.replacing():
                        pass
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

    @asynccontextmanager
    async def draft(
        self, key: str, chunks: AsyncIterator[bytes], *, sha256: str, size_bytes: int, data_key: DataKey | None
    ) -> AsyncIterator[Draft]:
        """Write an object, durably, that `publish` gives its name; without it nothing is left.

        It is encrypted under `data_key`; checksum and size are those of the plain content. Raises
        ChecksumWrong, ObjectsFull and StoreError.
        """
        draft = Draft(key, self._incoming / uuid4().hex)
        try:
            with self._write_errors(key), await asyncio.to_thread(_new_file, draft.path) as file:
                writer = EncryptingWriter(file, data_key, key) if data_key is not None else file
                await _receive(writer, chunks, sha256, size_bytes)
                if isinstance(writer, EncryptingWriter):
                    await asyncio.to_thread(writer.finish)
                await asyncio.to_thread(_sync, file.fileno(), file.flush)
            yield draft
        finally:
            await asyncio.to_thread(draft.path.unlink, missing_ok=True)

    def draft_bytes(self, key: str, content: bytes, *, data_key: DataKey | None) -> AbstractAsyncContextManager[Draft]:
        """Write a small object as `draft` does."""

        async def once() -> AsyncIterator[bytes]:
            yield content

        sha256 = hashlib.sha256(content).hexdigest()
        return self.draft(key, once(), sha256=sha256, size_bytes=len(content), data_key=data_key)

    async def publish(self, *drafts: Draft) -> None:
        """Give drafts their names, replacing each object atomically; durable on return.

        Raises ObjectsFull and StoreError.
        """
        with self._write_errors(drafts[0].key):
            await asyncio.to_thread(_publish, [(draft.path, self.path(draft.key)) for draft in drafts])

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, sha256: str, size_bytes: int, data_key: DataKey | None) -> None:
        """Write an object and publish it. Raises what `draft` and `publish` raise."""
        async with self.draft(key, chunks, sha256=sha256, size_bytes=size_bytes, data_key=data_key) as draft:
            await self.publish(draft)

    async def put_bytes(self, key: str, content: bytes, *, data_key: DataKey | None) -> None:
        """Write a small object and publish it."""
        async with self.draft_bytes(key, content, data_key=data_key) as draft:
            await self.publish(draft)

    @contextmanager
    def _write_errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ObjectsFull(f"store.objects = 'file://{self.root}' is full: free space there") from error
            raise StoreError(f"store.objects.folder: {key} cannot be written: {error}") from error

    async def encrypt(self, key: str, data_key: DataKey, *, sha256: str | None) -> None:
        """Replace an object by the same content under a key, atomically; durable on return.

        An object that is under the key already stays. Raises ObjectMissing, and ObjectDamaged if
        the content has another SHA-256 than the given one: the object stays then too.
        """
        if await asyncio.to_thread(_is_under, self.path(key), data_key):
            return
        draft = self._incoming / f"{_REPLACED}{uuid4().hex}"
        try:
            with await self.open(key) as source:
                await asyncio.to_thread(_encrypt, source, draft, data_key, key, sha256)
            await asyncio.to_thread(exchange, draft, self.path(key))
            await asyncio.to_thread(sync_folder, self.path(key).parent)
        except OSError as error:
            if not self.path(key).exists():
                raise ObjectMissing(f"object {key} was deleted meanwhile") from error
            raise StoreError(f"object {key} cannot be written: {error}") from error
        finally:
            await asyncio.to_thread(draft.unlink, missing_ok=True)

    @property
    def lock_file(self) -> Path:
        """The file that a process locks while it replaces objects."""
        return self._incoming / _LOCK

    @contextmanager
    def replacing(self) -> Iterator[None]:
        """Keep other processes from `encrypt`, and delete what a killed one has replaced.

        Raises BlockingIOError if another process replaces objects.
        """
        with self.lock_file.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for replaced in self._replaced():
                replaced.unlink(missing_ok=True)
            yield

    def _replaced(self) -> list[Path]:
        return list(self._incoming.glob(f"{_REPLACED}*"))

    async def open(self, key: str) -> BufferedReader:
        """Open the plain content of an object, to read and to seek; the caller closes it.

        Raises ObjectMissing and ObjectDamaged; reading the file may raise ObjectDamaged too.
        """
        return await open_plain(self.path(key), key, self._keys)

    async def read(self, key: str) -> bytes:
        """Read a small object. Raises ObjectMissing and ObjectDamaged."""
        return await asyncio.to_thread(_read_all, await self.open(key))

    async def delete(self, key: str) -> None:
        """Delete an object, after the index has forgotten it. A missing object is no error."""
        await asyncio.to_thread(self.path(key).unlink, missing_ok=True)

    async def delete_all(self, keys: Iterable[str]) -> None:
        """Delete objects, durably on return. A missing object is no error. Raises StoreError.

        A missing folder is an error: the disk may not be mounted. The other objects are deleted.
        """
        try:
            await asyncio.to_thread(_delete, [self.path(key) for key in keys])
        except OSError as error:
            raise StoreError(f"an object cannot be deleted: {error}") from error


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


async def open_plain(path: Path, name: str, keys: DataKeys) -> BufferedReader:
    """Open the plain content of a file, which may be encrypted under a name.

    Raises ObjectMissing and ObjectDamaged.
    """
    file, header = await asyncio.to_thread(_open_file, path, name)
    if header is None:
        return file
    try:
        return decrypted(file, header, await keys.find(header.domain_id, header.version), name)
    except BaseException:
        file.close()
        raise


def _open_file(path: Path, name: str) -> tuple[BufferedReader, Header | None]:
    try:
        file = path.open("rb")
        header = parse_header(file.read(HEADER_BYTES))
        file.seek(0)
    except FileNotFoundError as error:
        raise ObjectMissing(f"object {name} does not exist") from error
    except OSError as error:
        raise ObjectDamaged(f"object {name} cannot be read: {error.strerror}") from error
    return file, header


def _is_under(path: Path, key: DataKey) -> bool:
    try:
        with path.open("rb") as file:
            header = parse_header(file.read(HEADER_BYTES))
    except OSError:
        return False  # `open` says what is wrong
    return header is not None and (header.domain_id, header.version) == (key.domain_id, key.version)


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
        _sync(file.fileno(), file.flush)


def _blocks(source: BufferedReader, name: str) -> Iterator[bytes]:
    """Read an object in blocks. Raises ObjectDamaged if the disk cannot read it."""
    try:
        while content := source.read(_BLOCK_BYTES):
            yield content
    except OSError as error:
        raise ObjectDamaged(f"object {name} cannot be read: {error.strerror}") from error


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
            if orphan.name != _LOCK and time.time() - orphan.stat().st_mtime > _ORPHANED_AFTER_S:
                orphan.unlink()


def _sync(descriptor: int, flush: object) -> None:
    if callable(flush):
        flush()
    os.fsync(descriptor)


def _publish(moves: Iterable[tuple[Path, Path]]) -> None:
    changed = set[Path]()
    for draft, path in moves:
        missing = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(path)
        # A new folder is durable only when its parent is synced.
        changed |= {path.parent, *(new.parent for new in missing)}
    _sync_folders(changed)


def _delete(paths: Iterable[Path]) -> None:
    folders, missing = set[Path](), set[Path]()
    try:
        for path in paths:
            try:
                path.unlink()
                folders.add(path.parent)
            except FileNotFoundError:
                if not path.parent.is_dir():  # nothing deletes folders
                    missing.add(path.parent)
    finally:
        _sync_folders(folders)  # also of what was deleted before an error
    if missing:
        raise StoreError(
            f"the folder {str(min(missing))!r} of an object is missing: is the disk mounted? "
            "If the folder is lost for ever, create it empty"
        )


def _sync_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
