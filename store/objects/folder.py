"""Objects as files in a folder.

A draft is in the same file system: it gets its name by a rename, and then its folder is synced.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from io import BufferedReader
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from fonoteka.core.atomic_file import sync_folder
from fonoteka.core.errors import ConfigurationError, ObjectDamaged, ObjectMissing, StoreError
from store.encryption.data_key import DataKey, DataKeys
from store.objects.drafts import Draft
from store.objects.exchange import exchange
from store.objects.folder_files import (
    beginning_of,
    delete_files,
    files_below,
    folders_below,
    move_aside,
    old_files,
    rename_all,
    strays_below,
)
from store.objects.object_store import Beginning, ObjectStore
from store.objects.open_file import open_file, open_plain
from store.objects.set_aside import SET_ASIDE, names_by_folder

_GONE: Final = "the folder of recordings is gone: is its disk mounted?"


class ObjectFolder(ObjectStore):
    """Objects below `root`, which is the working folder too."""

    def __init__(self, root: Path, keys: DataKeys) -> None:
        super().__init__(root, keys, setting=f"store.objects = 'file://{root}'")
        self.root = root

    def prepare(self, *, sweep: bool) -> None:
        """Create the folder."""
        self._drafts.prepare(sweep=sweep)

    def close(self) -> None:
        """Do nothing."""

    def probe(self) -> None:
        """Write and delete a file."""
        try:
            self._drafts.probe()
        except FileNotFoundError as error:
            raise StoreError(_GONE) from error
        except OSError as error:
            raise StoreError(f"the folder of recordings cannot be written: {error.strerror}") from error

    def path(self, key: str) -> Path:
        """Return the path of an object, whether it exists or not."""
        path = self.root / key
        if ".." in path.parts or not path.is_relative_to(self.root):
            raise StoreError(f"not an object's name: {key!r}")
        return path

    def draft(
        self, key: str, chunks: AsyncIterator[bytes], *, sha256: str, size_bytes: int, data_key: DataKey | None
    ) -> AbstractAsyncContextManager[Draft]:
        """Write a file without a name."""
        return self._drafts.receive(key, chunks, sha256=sha256, size_bytes=size_bytes, data_key=data_key)

    def copy_in(self, key: str, stored: BufferedReader) -> AbstractAsyncContextManager[Draft]:
        """Write a file without a name."""
        return self._drafts.copy(key, stored)

    async def publish(self, *drafts: Draft) -> None:
        """Rename drafts."""
        with self._drafts.write_errors(drafts[0].key):
            await asyncio.to_thread(rename_all, [(draft.path, self.path(draft.key)) for draft in drafts])

    async def encrypt(self, key: str, data_key: DataKey, *, sha256: str | None) -> None:
        """Exchange the file for an encrypted one; a deleted file does not come back."""
        if await self.is_under(key, data_key):
            return
        try:
            async with self._drafts.encrypt(key, await self.open(key), data_key, sha256) as draft:
                await asyncio.to_thread(exchange, draft, self.path(key))
                await asyncio.to_thread(sync_folder, self.path(key).parent)
        except OSError as error:
            if not self.path(key).exists():
                raise ObjectMissing(f"object {key} was deleted meanwhile") from error
            raise StoreError(f"object {key} cannot be written: {error}") from error

    async def open(self, key: str) -> BufferedReader:
        """Open a file; without the folder no object is missing: raises StoreError."""
        try:
            return await open_plain(self.path(key), key, self._keys)
        except (ObjectMissing, ObjectDamaged):
            await self._require_root()
            raise

    async def open_stored(self, key: str) -> BufferedReader:
        """Open a file."""
        return (await asyncio.to_thread(open_file, self.path(key), key))[0]

    async def beginning(self, key: str) -> Beginning | None:
        """Read the header of a file."""
        if (begun := await asyncio.to_thread(beginning_of, self.path(key))) is None:
            await self._require_root()
        return begun

    async def delete_all(self, keys: Iterable[str]) -> None:
        """Delete files. A missing folder is an error: the disk may not be mounted."""
        try:
            await asyncio.to_thread(delete_files, [self.path(key) for key in keys])
        except OSError as error:
            raise StoreError(f"an object cannot be deleted: {error}") from error

    async def can_lock(self) -> bool:
        """Return False."""
        return False

    async def lock(self, key: str) -> None:
        """Do nothing."""

    async def unlock(self, key: str) -> None:
        """Do nothing."""

    async def set_aside(self, key: str) -> str:
        """Rename a file."""
        try:
            await asyncio.to_thread(move_aside, self.path(key), self.root / SET_ASIDE / key)
        except OSError as error:
            raise StoreError(f"{key} cannot be moved to {SET_ASIDE}: {error.strerror}") from error
        return f"moved to {SET_ASIDE}/"

    async def all_set_aside(self) -> list[str]:
        """List the files below SET_ASIDE."""
        top = self.root / SET_ASIDE
        return await asyncio.to_thread(lambda: sorted(path.relative_to(top).as_posix() for path in files_below(top)))

    async def strays(self, stems: Iterable[str], *, also_in_place: bool) -> list[str]:
        """List the folders of the segments."""
        tops = [f"{SET_ASIDE}/", ""] if also_in_place else [f"{SET_ASIDE}/"]
        return await asyncio.to_thread(strays_below, self.root, names_by_folder(stems), tops)

    async def listing(self, after: str) -> AsyncIterator[tuple[str, list[str]]]:
        """Yield the files of one folder after another."""
        for folder in await asyncio.to_thread(folders_below, self.root):
            name = folder.relative_to(self.root).as_posix()
            if not after or name > after:
                yield name, [f"{name}/{file}".removeprefix("./") for file in await asyncio.to_thread(old_files, folder)]

    async def _require_root(self) -> None:
        if not await asyncio.to_thread(self.root.is_dir):
            raise StoreError(_GONE)


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
