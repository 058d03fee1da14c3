"""The bucket of one domain: if it is out of reach, nobody else notices."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final, ParamSpec, TypeVar

import structlog

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import BucketAway, ObjectMissing, StoreError
from store.encryption.data_key import DataKeys
from store.objects.bucket import ObjectBucket
from store.objects.bucket_place import bucket_place, is_bucket
from store.objects.s3_errors import is_away

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger()

# A server that hangs would hold each upload up for a minute, and those that wait behind it.
_REFUSED_FOR_S: Final = 10.0


class OwnBucket(ObjectBucket):
    """A bucket whose failures are BucketAway.

    Everything is uploaded before it is published: no transaction of the index waits for a server
    that is slow. After no answer came, requests are refused at once for a while.
    """

    _small_bytes: ClassVar[int] = -1

    def __init__(self, objects: str, section: StoreSection, workspace: Path, keys: DataKeys) -> None:
        place = bucket_place(objects, section)
        if is_bucket(section.objects) and (main := bucket_place(section.objects, section)).endpoint == place.endpoint:
            place = replace(place, redirect=main.redirect)  # browsers are sent to one server only
        super().__init__(place, workspace, keys)
        self._refused_until = 0.0

    def sweep_soon(self) -> None:
        """Delete what old unfinished writes left in the bucket, while others go on."""
        self._threads.submit(self._try_sweep)

    def _try_sweep(self) -> None:
        try:
            self._sweep()
        except StoreError as error:
            log.warning("objects.out_of_reach", reason=str(error))

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if time.monotonic() < self._refused_until:
            raise BucketAway(f"{self._client.place}: it gave no answer a moment ago")
        try:
            return await super()._run(work, *args, **kwargs)
        except ObjectMissing:
            raise
        except StoreError as error:
            if is_away(error):
                self._refused_until = time.monotonic() + _REFUSED_FOR_S
            raise BucketAway(str(error)) from error
