"""What a store of objects does, whether it is a folder or a bucket of S3.

Objects are encoded recordings and their peaks, encrypted or plain. An object gets its key only when
it is complete and durable. Keys come from `fonoteka.core.naming`.
"""

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

from fonoteka.core.errors import ObjectDamaged
from store.encryption.data_key import DataKey, DataKeys
from store.encryption.encrypted_file import Header
from store.objects.drafts import Draft, Drafts, once


class Beginning(NamedTuple):
    """The stored size and the last change (Unix) of an object, and the header if it has one."""

    size: int
    modified_at: float
    header: Header | None


class ObjectStore(ABC):
    """Objects by key. Every method raises StoreError if the store is out of reach.

    `workspace` is the working folder on this machine; other files of the store are beside it.
    """

    def __init__(self, workspace: Path, keys: DataKeys, *, setting: str) -> None:
        self.workspace, self._keys = workspace, keys
        self._drafts = Drafts(workspace, setting)

    @abstractmethod
    def prepare(self, *, sweep: bool) -> None:
        """Check that objects can be written; `sweep` deletes what old unfinished writes left.

        Raises ConfigurationError.
        """

    @abstractmethod
    def close(self) -> None:
        """Close connections."""

    @abstractmethod
    def probe(self) -> None:
        """Write and delete something. The error does not say where the store is."""

    @abstractmethod
    def draft(
        self, key: str, chunks: AsyncIterator[bytes], *, sha256: str, size_bytes: int, data_key: DataKey | None
    ) -> AbstractAsyncContextManager[Draft]:
        """Write an object, durably, that `publish` gives its key; without it nothing is left.

        It is encrypted under `data_key`; checksum and size are those of the plain content. Raises
        ChecksumWrong, ObjectsFull and StoreError.
        """

    @abstractmethod
    def copy_in(self, key: str, stored: BufferedReader) -> AbstractAsyncContextManager[Draft]:
        """Write the stored bytes of another store into a draft, and close them."""

    @abstractmethod
    async def publish(self, *drafts: Draft) -> None:
        """Give drafts their keys, replacing each object atomically; durable on return.

        Raises ObjectsFull and StoreError.
        """

    @abstractmethod
    async def encrypt(self, key: str, data_key: DataKey, *, sha256: str | None) -> None:
        """Replace an object by the same content under a key, atomically; durable on return.

        An object that is under the key already stays. Raises ObjectMissing, and ObjectDamaged if
        the content has another SHA-256 than the given one: the object stays then too. An object
        that is deleted meanwhile may come back: ask the index afterwards, and delete it again.
        """

    @abstractmethod
    async def open(self, key: str) -> BufferedReader:
        """Open the plain content of an object, to read and to seek; the caller closes it.

        Raises ObjectMissing and ObjectDamaged; reading it may raise ObjectDamaged and StoreError.
        """

    @abstractmethod
    async def open_stored(self, key: str) -> BufferedReader:
        """Open an object as it is stored, perhaps encrypted. Raises ObjectMissing."""

    @abstractmethod
    async def beginning(self, key: str) -> Beginning | None:
        """Return what an object begins with; None if it does not exist."""

    @abstractmethod
    async def delete_all(self, keys: Iterable[str]) -> None:
        """Delete objects, durably on return. A missing object is no error, a missing store is.

        If one cannot be deleted, the others are.
        """

    @abstractmethod
    async def can_lock(self) -> bool:
        """Whether the server refuses to delete what is locked; it is asked once."""

    @abstractmethod
    async def lock(self, key: str) -> None:
        """Lock an object, if the store can. Raises ObjectMissing.

        `encrypt` keeps it locked; `delete_all` unlocks it.
        """

    @abstractmethod
    async def unlock(self, key: str) -> None:
        """Unlock an object. One that is missing or not locked is no error."""

    @abstractmethod
    async def set_aside(self, key: str) -> str:
        """Move an object below SET_ASIDE; one that is there already under the key stays.

        Returns what was done, in words.
        """

    @abstractmethod
    async def all_set_aside(self) -> list[str]:
        """Return the keys, below SET_ASIDE, of all that was set aside, in order."""

    @abstractmethod
    async def strays(self, stems: Iterable[str], *, also_in_place: bool) -> list[str]:
        """Return the keys of objects of segments that were set aside, by `set_aside.stem`.

        `also_in_place` adds those that have their place still, but for those of recent uploads.
        """

    @abstractmethod
    def listing(self, after: str) -> AsyncIterator[tuple[str, list[str]]]:
        """Yield the keys of all objects older than any upload, in groups, each with its position.

        It goes on after the position `after`. Keys that begin with a dot are left out.
        """

    async def address(self, key: str, *, media_type: str, disposition: str | None) -> str | None:
        """Return an address at which a browser gets a stored object for an hour, as it is stored.

        None where the API sends the objects itself. `disposition` is the answer's
        Content-Disposition. Whether the object exists is not checked.
        """
        return None

    async def exists(self, key: str) -> bool:
        """Whether an object exists."""
        return await self.beginning(key) is not None

    async def is_under(self, key: str, data_key: DataKey) -> bool:
        """Whether an object is encrypted under a version of a key."""
        begun = await self.beginning(key)
        return begun is not None and begun.header is not None and begun.header.is_under(data_key)

    @property
    def lock_file(self) -> Path:
        """The file that a process locks while it replaces objects."""
        return self._drafts.lock_file

    def replacing(self) -> AbstractContextManager[None]:
        """Keep other processes of this machine from `encrypt`, and delete what a killed one left.

        Raises BlockingIOError if another process replaces objects.
        """
        return self._drafts.replacing()

    def draft_bytes(self, key: str, content: bytes, *, data_key: DataKey | None) -> AbstractAsyncContextManager[Draft]:
        """Write a small object as `draft` does."""
        sha256 = hashlib.sha256(content).hexdigest()
        return self.draft(key, once(content), sha256=sha256, size_bytes=len(content), data_key=data_key)

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, sha256: str, size_bytes: int, data_key: DataKey | None) -> None:
        """Write an object and publish it. Raises what `draft` and `publish` raise."""
        async with self.draft(key, chunks, sha256=sha256, size_bytes=size_bytes, data_key=data_key) as draft:
            await self.publish(draft)

    async def put_bytes(self, key: str, content: bytes, *, data_key: DataKey | None) -> None:
        """Write a small object and publish it."""
        async with self.draft_bytes(key, content, data_key=data_key) as draft:
            await self.publish(draft)

    async def read(self, key: str) -> bytes:
        """Read a small object. Raises ObjectMissing and ObjectDamaged."""
        return await asyncio.to_thread(_read_all, await self.open(key))

    async def delete(self, key: str) -> None:
        """Delete an object, after the index has forgotten it. A missing object is no error."""
        await self.delete_all([key])


def _read_all(file: BufferedReader) -> bytes:
    with file:
        try:
            return file.read()
        except OSError as error:
            raise ObjectDamaged(f"an object cannot be read: {error.strerror}") from error
