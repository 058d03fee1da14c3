"""Objects at several places: those of `store.objects`, and buckets of domains.

A key says by its beginning at which place its object is (`fonoteka.core.naming.placed_key`). The
place itself knows the rest of the key only, so that an object may be moved as it is stored.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from io import BufferedReader
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from fonoteka.core.errors import StoreError
from fonoteka.core.naming import place_of, placed_key
from store.encryption.data_key import DataKey, DataKeys
from store.objects.drafts import Draft
from store.objects.object_store import Beginning, ObjectStore
from store.objects.set_aside import SET_ASIDE

if TYPE_CHECKING:
    from store.objects.own_bucket import OwnBucket

log = structlog.get_logger()

_ASIDE: Final = f"{SET_ASIDE}/"


class Places(Protocol):
    """The places that the index knows."""

    async def address_of(self, place: int) -> str:
        """Return the address of a place. Raises StoreError."""
        ...

    async def known(self) -> list[int]:
        """Return all places, in order. Raises StoreError."""
        ...


class RoutedObjects(ObjectStore):
    """All objects of an installation; `main` has those whose keys name no place."""

    def __init__(self, main: ObjectStore, places: Places, opened: Callable[[str], "OwnBucket"], keys: DataKeys) -> None:
        super().__init__(main.workspace, keys, setting="store.objects")
        self.main = main
        self._places, self._open = places, opened
        self._opened = dict[int, "OwnBucket"]()
        self._opening = asyncio.Lock()
        self._sweeps = False

    def prepare(self, *, sweep: bool) -> None:
        """Prepare the main place; a bucket is swept when it is first used."""
        self._sweeps = sweep
        self.main.prepare(sweep=sweep)

    def close(self) -> None:
        """Close all places."""
        for objects in (self.main, *self._opened.values()):
            objects.close()

    def probe(self) -> None:
        """Probe the main place."""
        self.main.probe()

    async def at(self, place: int | None) -> ObjectStore:
        """Return the objects of a place. Raises StoreError."""
        if place is None:
            return self.main
        async with self._opening:
            if place not in self._opened:
                address = await self._places.address_of(place)
                # The S3 client takes half a second to import.
                self._opened[place] = await asyncio.to_thread(self._open, address)
                if self._sweeps:
                    self._opened[place].sweep_soon()
            return self._opened[place]

    @asynccontextmanager
    async def draft(
        self, key: str, chunks: AsyncIterator[bytes], *, sha256: str, size_bytes: int, data_key: DataKey | None
    ) -> AsyncIterator[Draft]:
        """Write a draft at the place of the key."""
        objects, own_key = await self._of(key)
        drafting = objects.draft(own_key, chunks, sha256=sha256, size_bytes=size_bytes, data_key=data_key)
        async with drafting as draft:
            yield draft._replace(key=key)

    @asynccontextmanager
    async def copy_in(self, key: str, stored: BufferedReader) -> AsyncIterator[Draft]:
        """Write a draft at the place of the key."""
        objects, own_key = await self._of(key)
        async with objects.copy_in(own_key, stored) as draft:
            yield draft._replace(key=key)

    async def publish(self, *drafts: Draft) -> None:
        """Publish each at its place."""
        by_place = dict[int | None, list[Draft]]()
        for draft in drafts:
            place, own_key = _split(draft.key)
            by_place.setdefault(place, []).append(draft._replace(key=own_key))
        for place, of_place in by_place.items():
            await (await self.at(place)).publish(*of_place)

    async def encrypt(self, key: str, data_key: DataKey, *, sha256: str | None) -> None:
        """Encrypt at the place of the key."""
        objects, own_key = await self._of(key)
        await objects.encrypt(own_key, data_key, sha256=sha256)

    async def open(self, key: str) -> BufferedReader:
        """Open at the place of the key."""
        objects, own_key = await self._of(key)
        return await objects.open(own_key)

    async def open_stored(self, key: str) -> BufferedReader:
        """Open at the place of the key."""
        objects, own_key = await self._of(key)
        return await objects.open_stored(own_key)

    async def beginning(self, key: str) -> Beginning | None:
        """Ask the place of the key."""
        objects, own_key = await self._of(key)
        return await objects.beginning(own_key)

    async def address(self, key: str, *, media_type: str, disposition: str | None) -> str | None:
        """Ask the place of the key."""
        objects, own_key = await self._of(key)
        return await objects.address(own_key, media_type=media_type, disposition=disposition)

    async def delete_all(self, keys: Iterable[str]) -> None:
        """Delete at each place; one that is out of reach keeps no other."""
        refused: StoreError | None = None
        for place, own_keys in _by_place(keys).items():
            try:
                await (await self.at(place)).delete_all(own_keys)
            except StoreError as error:
                refused = error
        if refused is not None:
            raise refused

    async def can_lock(self) -> bool:
        """Whether any place can; a place that cannot locks nothing."""
        away: StoreError | None = None
        for place in (None, *await self._places.known()):
            try:
                if await (await self.at(place)).can_lock():
                    return True
            except StoreError as error:
                away = error
        if away is not None:
            raise away
        return False

    async def lock(self, key: str) -> None:
        """Lock at the place of the key."""
        objects, own_key = await self._of(key)
        await objects.lock(own_key)

    async def unlock(self, key: str) -> None:
        """Unlock at the place of the key."""
        objects, own_key = await self._of(key)
        await objects.unlock(own_key)

    async def set_aside(self, key: str) -> str:
        """Set aside at the place of the key."""
        objects, own_key = await self._of(key)
        return await objects.set_aside(own_key)

    async def all_set_aside(self) -> list[str]:
        """Ask all places; what is in a bucket that is out of reach is left out."""
        found = await self.main.all_set_aside()
        for place in await self._places.known():
            try:
                found += [placed_key(place, key) for key in await (await self.at(place)).all_set_aside()]
            except StoreError as error:
                log.warning("objects.out_of_reach", reason=str(error))
        return found

    async def strays(self, stems: Iterable[str], *, also_in_place: bool) -> list[str]:
        """Ask the place of each stem, and the main one, where its segment may have been before."""
        by_place = _by_place(stems)
        main = [own_stem for own_stems in by_place.values() for own_stem in own_stems]
        found = list[str]()
        for place, own_stems in (by_place | {None: list(dict.fromkeys(main))}).items():
            here = await (await self.at(place)).strays(own_stems, also_in_place=also_in_place)
            found += [_joined(place, key) for key in here]
        return found

    async def listing(self, after: str) -> AsyncIterator[tuple[str, list[str]]]:
        """List the main place, then the others in order."""
        begun, own_after = place_of(after)
        if begun is None:
            async for step in self.main.listing(after):
                yield step
        for place in await self._places.known():
            if begun is None or place >= begun:
                async for position, keys in (await self.at(place)).listing(own_after if place == begun else ""):
                    yield placed_key(place, position), [placed_key(place, key) for key in keys]

    async def _of(self, key: str) -> tuple[ObjectStore, str]:
        place, own_key = _split(key)
        return await self.at(place), own_key


def _split(key: str) -> tuple[int | None, str]:
    """Return the place of an object and its key there, also if it was set aside."""
    below = _ASIDE if key.startswith(_ASIDE) else ""
    place, own_key = place_of(key.removeprefix(below))
    return place, below + own_key


def _joined(place: int | None, own_key: str) -> str:
    """Return the key of an object from its place and its key there: the reverse of `_split`."""
    if place is None:
        return own_key
    below = _ASIDE if own_key.startswith(_ASIDE) else ""
    return below + placed_key(place, own_key.removeprefix(below))


def _by_place(keys: Iterable[str]) -> dict[int | None, list[str]]:
    found = dict[int | None, list[str]]()
    for key in keys:
        place, own_key = _split(key)
        found.setdefault(place, []).append(own_key)
    return found
