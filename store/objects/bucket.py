"""Objects in a bucket of S3.

A draft is a file of the working folder, and then an object below `.incoming/`, which gets its key
by a copy inside the server: no transaction of the index waits for an upload. Small ones are sent
with their key at once.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import ClassVar, Final, ParamSpec, TypeVar

import structlog

from fonoteka.core.errors import ConfigurationError, ObjectMissing, StoreError
from store.encryption.data_key import DataKey, DataKeys
from store.encryption.encrypted_file import HEADER_BYTES, decrypted, parse_header
from store.objects.bucket_content import BucketContent
from store.objects.bucket_place import BucketPlace
from store.objects.drafts import INCOMING, ORPHANED_AFTER_S, Draft
from store.objects.object_store import Beginning, ObjectStore
from store.objects.s3_client import CONNECTIONS, S3Client
from store.objects.s3_errors import is_away
from store.objects.set_aside import SET_ASIDE, UPLOADED_WITHIN_S, is_of, names_by_folder

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger()

_ADDRESS_LASTS: Final = timedelta(hours=1)  # a player asks again and again while it plays
_LISTED_AT_A_TIME: Final = 1000


class ObjectBucket(ObjectStore):
    """Objects in a bucket; drafts, and files beside them, in a working folder of this machine."""

    # An object of at most so many bytes is sent when it is published, under its key at once.
    _small_bytes: ClassVar[int] = 256 * 1024

    def __init__(self, place: BucketPlace, workspace: Path, keys: DataKeys) -> None:
        super().__init__(workspace, keys, setting=f"store.workspace = '{workspace}'")
        self._client = S3Client(place)
        # Threads of its own: a server that hangs must not hold up others.
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="s3")

    def prepare(self, *, sweep: bool) -> None:
        """Write and delete an object; sweep also the drafts in the bucket.

        A server that gives no answer is logged: it may come back, and recordings wait meanwhile.
        """
        self._drafts.prepare(sweep=sweep)
        try:
            self._client.probe()
            if sweep:
                self._sweep()
            _ = self._client.versions.can_be_locked  # asked once, here
        except StoreError as error:
            if not is_away(error):
                raise ConfigurationError(f"store.objects cannot be used: {error}") from error
            log.warning("objects.out_of_reach", reason=str(error))

    def _sweep(self) -> None:
        """Delete what old unfinished writes left in the bucket. Raises StoreError."""
        oldest = time.time() - ORPHANED_AFTER_S
        self._client.versions.remove([key for key, at in self._client.listed(f"{INCOMING}/") if at < oldest])

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)

    def probe(self) -> None:
        """Write and delete an object, and a file of the working folder."""
        try:
            self._drafts.probe()
        except OSError as error:
            raise StoreError(f"the working folder cannot be written: {error.strerror}") from error
        try:
            self._client.probe()
        except StoreError as error:
            raise StoreError("the bucket of recordings cannot be written: the log of the API says why") from error

    @asynccontextmanager
    async def draft(
        self, key: str, chunks: AsyncIterator[bytes], *, sha256: str, size_bytes: int, data_key: DataKey | None
    ) -> AsyncIterator[Draft]:
        """Write a file; if it is not small, upload it below `.incoming/`."""
        receiving = self._drafts.receive(key, chunks, sha256=sha256, size_bytes=size_bytes, data_key=data_key)
        async with receiving as draft, self._uploaded(draft):
            yield draft

    @asynccontextmanager
    async def copy_in(self, key: str, stored: BufferedReader) -> AsyncIterator[Draft]:
        """Write a file; if it is not small, upload it below `.incoming/`."""
        async with self._drafts.copy(key, stored) as draft, self._uploaded(draft):
            yield draft

    @asynccontextmanager
    async def _uploaded(self, draft: Draft) -> AsyncIterator[None]:
        if self._is_small(draft):
            yield
            return
        name = _name_of(draft)
        try:
            await self._run(self._client.put, name, draft.path)
            yield
        finally:
            with suppress(StoreError):  # swept later
                await self._run(self._client.versions.remove, [name])

    async def publish(self, *drafts: Draft) -> None:
        """Upload small drafts, and copy the others inside the server."""
        for draft in drafts:
            if self._is_small(draft):
                await self._run(self._client.put, draft.key, draft.path, hasty=True)
            else:
                await self._run(self._client.copy, _name_of(draft), draft.key, hasty=True)

    async def encrypt(self, key: str, data_key: DataKey, *, sha256: str | None) -> None:
        """Upload the encrypted content under the same key, and forget what it replaces."""
        if not await self.is_under(key, data_key):
            with self._drafts.write_errors(key):
                async with self._drafts.encrypt(key, await self.open(key), data_key, sha256) as draft:
                    await self._run(self._client.put, key, draft)
        await self._run(self._client.versions.forget_replaced, key)

    async def open(self, key: str) -> BufferedReader:
        """Fetch the beginning; what is read later is fetched then."""
        content = await self._run(BucketContent, self._client, key)
        header = parse_header(content.read_at(0, HEADER_BYTES))
        if header is None:
            return BufferedReader(content)
        return decrypted(content, header, await self._keys.find(header.domain_id, header.version), key)

    async def open_stored(self, key: str) -> BufferedReader:
        """Fetch the beginning; what is read later is fetched then."""
        return BufferedReader(await self._run(BucketContent, self._client, key))

    async def beginning(self, key: str) -> Beginning | None:
        """Fetch the header."""
        try:
            piece = await self._run(self._client.get, key, 0, HEADER_BYTES)
        except ObjectMissing:
            return None
        return Beginning(size=piece.size, modified_at=piece.modified_at, header=parse_header(piece.content))

    async def address(self, key: str, *, media_type: str, disposition: str | None) -> str | None:
        """Return a signed address."""
        return self._client.address(key, lasts=_ADDRESS_LASTS, media_type=media_type, disposition=disposition)

    async def delete_all(self, keys: Iterable[str]) -> None:
        """Delete objects with all their versions."""
        if wanted := list(keys):
            await self._run(self._client.versions.remove, wanted)

    async def can_lock(self) -> bool:
        """Whether the bucket has object lock."""
        return await self._run(lambda: self._client.versions.can_be_locked)

    async def lock(self, key: str) -> None:
        """Set S3's legal hold."""
        if await self.can_lock():
            await self._run(self._client.versions.lock, key)

    async def unlock(self, key: str) -> None:
        """Take S3's legal hold off, also of versions that were replaced."""
        if await self.can_lock():
            await self._run(self._client.versions.unlock, key)

    async def set_aside(self, key: str) -> str:
        """Copy an object, then delete it."""
        target = f"{SET_ASIDE}/{key}"
        while await self.exists(target):
            target += "~"
        await self._run(self._client.copy, key, target)
        await self.delete_all([key])
        return f"moved to {SET_ASIDE}/"

    async def all_set_aside(self) -> list[str]:
        """List what is below SET_ASIDE."""
        top = f"{SET_ASIDE}/"
        return [key.removeprefix(top) for key, _ in await self._listed(top)]

    async def strays(self, stems: Iterable[str], *, also_in_place: bool) -> list[str]:
        """List below SET_ASIDE by folder, and in place by segment, as a day has many objects."""
        named = list(stems)
        found = []
        for folder, names in names_by_folder(named).items():
            top = f"{SET_ASIDE}/{folder}/"
            found += [key for key, _ in await self._listed(top) if is_of(key, names)]
        youngest = time.time() - UPLOADED_WITHIN_S
        for stem in named if also_in_place else []:
            found += [key for key, at in await self._listed(f"{stem}.") if at < youngest]
        return found

    async def listing(self, after: str) -> AsyncIterator[tuple[str, list[str]]]:
        """Yield the keys in their order, as many as the server tells at once."""
        listed = self._client.listed(after=after)
        while page := await self._run(lambda: list(islice(listed, _LISTED_AT_A_TIME))):
            youngest = time.time() - UPLOADED_WITHIN_S
            keys = [key for key, at in page if at < youngest and not key.startswith(".")]
            yield page[-1][0], keys

    async def _listed(self, prefix: str) -> list[tuple[str, float]]:
        return await self._run(lambda: list(self._client.listed(prefix)))

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args, **kwargs))

    def _is_small(self, draft: Draft) -> bool:
        return draft.path.stat().st_size <= self._small_bytes


def _name_of(draft: Draft) -> str:
    return f"{INCOMING}/{draft.path.name}"
