"""Check the bucket of recordings, where they are in S3."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.config import Configuration
from fonoteka.core.errors import ConfigurationError, StoreError
from store.objects.bucket_place import bucket_place, is_bucket

_MEND: Final = "recordings wait on the PBX meanwhile: mend it on the server, or in store.objects, s3_access_key and s3_secret_key"


async def check(configuration: Configuration) -> AsyncIterator[Finding]:
    """Write and delete an object; nothing where recordings are in a folder."""
    section = configuration.store
    if not is_bucket(section.objects):
        return
    from store.objects.s3_client import S3Client  # the S3 client takes half a second to import

    try:
        client = S3Client(bucket_place(section.objects, section))
        await asyncio.to_thread(client.probe)
        kept = await asyncio.to_thread(lambda: client.has_versions)
    except (ConfigurationError, StoreError) as error:
        yield Finding(part="store", check="bucket", ok=False, detail=str(error), mend=_MEND)
        return
    versions = ", which keeps versions: Fonoteka deletes those too" if kept else ""
    yield Finding(part="store", check="bucket", ok=True, detail=f"{client.place} takes recordings{versions}", mend=_MEND)
