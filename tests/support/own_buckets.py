"""A domain with a bucket of its own, as tests set it."""

import asyncio

from store.database.store import Store
from store.objects.bucket import ObjectBucket
from store.provisioning.apply import Change, apply
from store.provisioning.directory_file import parse_directory
from tests.data import seed

_ACME = 'name = "acme"\n'


def directory(objects: str | None) -> str:
    """Return the seed's directory with a setting `objects` of acme."""
    return seed.DIRECTORY if objects is None else seed.DIRECTORY.replace(_ACME, f'{_ACME}objects = "{objects}"\n', 1)


async def put_into(store: Store, objects: str | None) -> list[Change]:
    """Let acme's new recordings go to a bucket; None: to `store.objects`."""
    return await apply(store, parse_directory(directory(objects), source="domains.toml"))


async def keys_at(store: Store, place: int) -> list[str]:
    """Return the keys of all objects in a domain's bucket, drafts included, as they are there."""
    bucket = await store.objects.at(place)
    assert isinstance(bucket, ObjectBucket)
    client = bucket._client  # a link of the tests is in this thread
    return await asyncio.to_thread(lambda: [key for key, _ in client.listed()])
