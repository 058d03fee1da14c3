"""Requests to a bucket of S3, by the minio client. All of them block: call them in a thread.

Each request ends within a minute, and is repeated if its bytes were damaged. What is uploaded
carries its checksum: the server compares it (SigV4's SHA-256, or Content-MD5 over TLS), and its
ETag is compared here.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeVar
from uuid import uuid4

from minio import Minio
from minio.commonconfig import CopySource
from minio.error import S3Error
from urllib3 import PoolManager, Retry, Timeout

from fonoteka.core.errors import ObjectMissing, StoreError
from store.objects.bucket_place import BucketPlace
from store.objects.drafts import INCOMING
from store.objects.etag import etag_of
from store.objects.s3_errors import is_corrupted, s3_errors
from store.objects.s3_versions import S3Versions

T = TypeVar("T")

# What is repeated, and works then, is no event of ours.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

CONNECTIONS: Final = 16
PART_BYTES: Final = 5 * 1024**2  # S3's least; larger objects are sent in several parts
# A part is sent within the first one, so a link of 2 Mbit/s is enough.
_PATIENT: Final = Timeout(connect=20, read=20)
_HASTY: Final = Timeout(connect=10, read=10)
_TIMES: Final = 3
_BUSY: Final = (500, 502, 503, 504)
_MD5: Final = re.compile(r"[0-9a-f]{32}(-\d+)?")


class Piece(NamedTuple):
    """Bytes of an object, and what the server says of all of it."""

    content: bytes
    size: int
    etag: str
    modified_at: float


class S3Client:
    """The objects of one bucket. `hasty` requests are not repeated and have half the time."""

    def __init__(self, place: BucketPlace) -> None:
        self.place = place
        self._patient = _client(place, _PATIENT, repeated=_TIMES - 1)
        self._hasty = _client(place, _HASTY, repeated=0)
        self._signing = _signing_client(place)
        self.versions = S3Versions(place, self._patient)

    def put(self, key: str, path: Path, *, hasty: bool = False) -> None:
        """Store a file, replacing the object atomically. Raises ObjectsFull and StoreError."""
        etag, size = etag_of(path, PART_BYTES)

        def upload() -> None:
            with path.open("rb") as file:
                self._put(key, file, size, etag, hasty=hasty)

        self._repeated(key, upload, times=1 if hasty else _TIMES)

    def put_bytes(self, key: str, content: bytes) -> None:
        """Store a few bytes. Raises ObjectsFull and StoreError."""
        with s3_errors(self.place, key):
            self._put(key, BytesIO(content), len(content), hashlib.md5(content, usedforsecurity=False).hexdigest(), hasty=True)

    def probe(self) -> None:
        """Write and delete an object. Raises ObjectsFull and StoreError."""
        key = f"{INCOMING}/probe-{uuid4().hex}"
        self.put_bytes(key, b"probe")
        self.versions.remove([key])

    def probe_lock(self) -> None:
        """Write, lock, unlock and delete an object. Raises StoreError."""
        key = f"{INCOMING}/probe-{uuid4().hex}"
        self.put_bytes(key, b"probe")
        try:
            self.versions.lock(key)
        finally:
            self.versions.remove([key])

    def get(self, key: str, offset: int, size: int, *, etag: str | None = None) -> Piece:
        """Read bytes of an object, of the version `etag`. Raises ObjectMissing and StoreError."""

        def download() -> Piece:
            condition = {"If-Match": f'"{etag}"'} if etag else None
            answer = self._patient.get_object(
                self.place.bucket,
                key,
                offset=offset,
                length=size,
                request_headers=condition,  # type: ignore[arg-type]  # invariant there
            )
            try:
                content = answer.read()
            finally:
                answer.close()
                answer.release_conn()
            total = answer.headers.get("Content-Range", "").rpartition("/")[2]
            changed = parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp()
            return Piece(content, int(total or len(content)), answer.headers.get("ETag", "").strip('"'), changed)

        try:
            return self._repeated(key, download)
        except StoreError as error:
            if isinstance(error.__cause__, S3Error) and error.__cause__.code == "InvalidRange":
                return Piece(b"", 0, "", 0.0)  # an empty object
            raise

    def address(self, key: str, *, lasts: timedelta, media_type: str, disposition: str | None) -> str | None:
        """Return a signed address of an object for browsers; None if the API sends it.

        No request is made: whether the object exists is not known.
        """
        if self._signing is None:
            return None
        headers: dict[str, Any] = {"response-content-type": media_type, "response-cache-control": "private, no-cache"}
        if disposition is not None:
            headers["response-content-disposition"] = disposition
        return str(self._signing.presigned_get_object(self.place.bucket, key, expires=lasts, response_headers=headers))

    def copy(self, source: str, key: str, *, hasty: bool = False) -> None:
        """Copy an object inside the server. Raises ObjectMissing, ObjectsFull and StoreError."""
        with s3_errors(self.place, key):
            client = self._hasty if hasty else self._patient
            client.copy_object(self.place.bucket, key, CopySource(self.place.bucket, source))

    def listed(self, prefix: str = "", *, after: str = "") -> Iterator[tuple[str, float]]:
        """Yield keys in order, with the times of their last changes. Raises StoreError."""
        with s3_errors(self.place, prefix or "list"):
            for found in self._patient.list_objects(self.place.bucket, prefix=prefix, recursive=True, start_after=after or None):
                yield str(found.object_name), found.last_modified.timestamp() if found.last_modified else 0.0

    def expiring_prefixes(self) -> list[str]:
        """Return below which prefixes the server itself deletes, by its lifecycle rules.

        Raises StoreError.
        """
        with s3_errors(self.place, "lifecycle"):
            rules = found.rules if (found := self._patient.get_bucket_lifecycle(self.place.bucket)) else []
        expiring = [rule.rule_filter for rule in rules if rule.status == "Enabled" and rule.expiration is not None]
        return [(each.and_operator.prefix if each.and_operator else each.prefix) or "" for each in expiring if each is not None]

    def _put(self, key: str, file: BinaryIO, size: int, etag: str, *, hasty: bool) -> None:
        client = self._hasty if hasty else self._patient
        done = client.put_object(self.place.bucket, key, file, size, part_size=PART_BYTES, num_parallel_uploads=1)
        is_other = done.http_headers.get("x-amz-server-side-encryption", "AES256") != "AES256"  # no MD5 then
        if _MD5.fullmatch(done.etag or "") and not is_other and done.etag != etag:
            raise StoreError(f"{key}: {self.place}: what is stored is not what was sent: its ETag differs")

    def _repeated(self, key: str, work: Callable[[], T], *, times: int = _TIMES) -> T:
        """Do something again if its bytes were damaged on their way, or cut off."""
        while True:
            times -= 1
            try:
                with s3_errors(self.place, key):
                    return work()
            except ObjectMissing:
                raise
            except StoreError as error:
                if not is_corrupted(error) or not times:
                    raise


def _signing_client(place: BucketPlace) -> Minio | None:
    """Return a client that signs addresses of the server as browsers reach it, and asks nothing."""
    if place.redirect is None:
        return None
    scheme, _, host = place.redirect.partition("://")
    return Minio(
        endpoint=host, access_key=place.access_key, secret_key=place.secret_key, secure=scheme == "https", region=place.region
    )


def _client(place: BucketPlace, timeout: Timeout, *, repeated: int) -> Minio:
    # The server's own words are wanted after the last time, and its wish to wait is not heard.
    retries = Retry(
        total=repeated, backoff_factor=0.2, status_forcelist=_BUSY, raise_on_status=False, respect_retry_after_header=False
    )
    pool = PoolManager(timeout=timeout, maxsize=CONNECTIONS, retries=retries)
    return Minio(
        endpoint=place.host,
        access_key=place.access_key,
        secret_key=place.secret_key,
        secure=place.is_encrypted,
        region=place.region,
        http_client=pool,
    )
