"""The object by which a bucket says whose it is.

Two settings may name one bucket in different words. Each would take the recordings of the other for
files that no row names.
"""

from itertools import islice
from typing import Final

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ObjectMissing
from store.objects.bucket_place import bucket_place
from store.objects.s3_client import S3Client

_KEY: Final = ".fonoteka-domain"
_LONGEST: Final = 32
_LOOKED_AT: Final = 1000  # objects of other names: drafts, and what was set aside


def read_mark(objects: str, section: StoreSection) -> str | None:
    """Return the mark of a bucket, None if it has none. Blocks. Raises StoreError."""
    try:
        content = S3Client(bucket_place(objects, section)).get(_KEY, 0, _LONGEST).content
    except ObjectMissing:
        return None
    return content.decode("ascii", "replace")


def set_mark(objects: str, section: StoreSection, mark: str) -> None:
    """Mark a bucket, after its server took and deleted an object. Blocks. Raises StoreError."""
    client = S3Client(bucket_place(objects, section))
    client.probe()
    client.put_bytes(_KEY, mark.encode("ascii"))


def is_empty(objects: str, section: StoreSection) -> bool:
    """Whether no recordings are in a bucket. Blocks. Raises StoreError."""
    listed = islice(S3Client(bucket_place(objects, section)).listed(), _LOOKED_AT)
    return all(key.startswith(".incoming/") or key == _KEY for key, _ in listed)
