"""Check the bucket of recordings, where they are in S3, and the buckets of domains."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.config import Configuration, StoreSection
from fonoteka.core.errors import ConfigurationError, StoreError
from store.database.object_places import recorded_places
from store.objects.bucket_place import bucket_place, is_bucket
from store.objects.drafts import INCOMING

if TYPE_CHECKING:
    from store.objects.s3_client import S3Client

_MEND: Final = "recordings wait on the PBX meanwhile: mend it on the server, or in store.objects, s3_access_key and s3_secret_key"


async def check(configuration: Configuration) -> AsyncIterator[Finding]:
    """Write and delete an object in each bucket; a folder is not checked here."""
    section = configuration.store
    if is_bucket(section.objects):
        async for finding in _bucket("", section.objects, section):
            yield finding
    try:
        used = await recorded_places(section)
    except (ConfigurationError, StoreError):
        return  # the check of the API says so, and other machines have no index
    for each in used:
        async for finding in _bucket(f" of domain {each.domain}", each.address, section):
            yield finding


async def _bucket(owner: str, objects: str, section: StoreSection) -> AsyncIterator[Finding]:
    from store.objects.s3_client import S3Client  # the S3 client takes half a second to import

    check = f"bucket{owner}"
    try:
        client = S3Client(bucket_place(objects, section))
        await asyncio.to_thread(client.probe)
        kept = await asyncio.to_thread(lambda: client.versions.are_kept)
    except (ConfigurationError, StoreError) as error:
        yield Finding(part="store", check=check, ok=False, detail=str(error), mend=_MEND)
        return
    yield await _lifecycle(client, owner)
    yield await _object_lock(client, owner)
    versions = ", which keeps versions: Fonoteka deletes those too" if kept else ""
    yield Finding(part="store", check=check, ok=True, detail=f"{client.place} takes recordings{versions}", mend=_MEND)


async def _object_lock(client: "S3Client", owner: str) -> Finding:
    """Return a finding on whether the server keeps what is under legal hold."""
    check = f"object lock of the bucket{owner}"
    mend = "give the key of store.s3_access_key the rights that the guide names for object lock"
    try:
        if not await asyncio.to_thread(client.versions.has_object_lock):
            detail = "none: legal holds are kept by Fonoteka alone"
            return Finding(part="store", check=check, ok=True, detail=detail, mend="")
        await asyncio.to_thread(client.probe_lock)
    except StoreError as error:
        return Finding(part="store", check=check, ok=False, detail=str(error), mend=mend)
    return Finding(part="store", check=check, ok=True, detail="the server keeps what is under legal hold", mend=mend)


async def _lifecycle(client: "S3Client", owner: str) -> Finding:
    """Return a finding on what the server deletes by itself: drafts at most."""
    check, mend = f"lifecycle of the bucket{owner}", "delete that rule on the server: it would also delete what is under legal hold"
    try:
        prefixes = await asyncio.to_thread(client.expiring_prefixes)
    except (StoreError, ValueError) as error:
        detail = f"its rules cannot be read (s3:GetLifecycleConfiguration): {error}"
        return Finding(part="store", check=check, ok=None, detail=detail, mend="no rule may delete recordings")
    if others := [prefix for prefix in prefixes if not prefix.startswith(f"{INCOMING}/")]:
        detail = f"a rule deletes recordings below {others[0]!r} by their age"
        return Finding(part="store", check=check, ok=False, detail=detail, mend=mend)
    drafts = f"drafts below {INCOMING}/ expire" if prefixes else f"no rule lets drafts below {INCOMING}/ expire: the guide has one"
    return Finding(part="store", check=check, ok=True, detail=f"no rule deletes recordings; {drafts}")
