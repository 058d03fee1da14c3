"""The objects of a store, as tests look at them and damage them."""

import asyncio

from store.database.store import Store
from store.objects.bucket import ObjectBucket
from store.objects.folder import ObjectFolder


def objects_folder(store: Store) -> ObjectFolder:
    """Return the folder of a store that has one."""
    assert isinstance(store.objects.main, ObjectFolder)
    return store.objects.main


def objects_bucket(store: Store) -> ObjectBucket:
    """Return the bucket of a store that has one."""
    assert isinstance(store.objects.main, ObjectBucket)
    return store.objects.main


def object_keys(store: Store) -> list[str]:
    """Return the keys of everything that is stored, drafts included, in order.

    What is in buckets of domains is left out.
    """
    if isinstance(store.objects.main, ObjectBucket):
        return [key for key, _ in store.objects.main._client.listed()]
    root = objects_folder(store).root
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


async def stored_bytes(store: Store, key: str) -> bytes:
    """Return an object as it is stored."""
    with await store.objects.open_stored(key) as file:
        return await asyncio.to_thread(file.read)
