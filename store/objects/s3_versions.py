"""Deletion of objects with all their versions, and S3's legal hold, which keeps a version.

All requests block, as those of `store.objects.s3_client`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Final

import structlog
from minio import Minio
from minio.datatypes import Object
from minio.deleteobjects import DeleteError, DeleteObject
from minio.error import S3Error

from fonoteka.core.errors import StoreError
from store.objects.bucket_place import BucketPlace
from store.objects.s3_errors import is_away, s3_errors

log = structlog.get_logger()

_REFUSED: Final = "AccessDenied"
_NO_LOCK: Final = ("ObjectLockConfigurationNotFoundError", "NotImplemented", "MethodNotAllowed")


class S3Versions:
    """The versions of the objects of one bucket."""

    def __init__(self, place: BucketPlace, client: Minio) -> None:
        self._place, self._client = place, client

    @cached_property
    def are_kept(self) -> bool:
        """Whether the bucket keeps what was deleted as versions. Raises StoreError."""
        with s3_errors(self._place, "versioning"):
            return self._client.get_bucket_versioning(self._place.bucket).status in ("Enabled", "Suspended")

    @cached_property
    def can_be_locked(self) -> bool:
        """Whether objects can be locked. Raises StoreError if the server gives no answer.

        A refusal is logged, and means no.
        """
        try:
            return self.has_object_lock()
        except StoreError as error:
            if is_away(error):
                raise
            log.warning("objects.lock_unknown", reason=str(error))
            return False

    def has_object_lock(self) -> bool:
        """Whether the bucket was made with object lock; such a bucket keeps versions.

        A server that knows no object lock has none. Raises StoreError.
        """
        if not self.are_kept:
            return False
        with s3_errors(self._place, "object lock"):
            try:
                self._client.get_object_lock_config(self._place.bucket)
            except S3Error as error:
                if error.code == _REFUSED:
                    right = "s3:GetBucketObjectLockConfiguration"
                    raise StoreError(f"{self._place}: whether it has object lock is not known: the key lacks {right}") from error
                if error.code in _NO_LOCK:
                    return False
                raise
        return True

    def remove(self, keys: Iterable[str]) -> None:
        """Delete objects with all their versions, and unlock those that are locked.

        Missing ones are no error. Raises StoreError.
        """
        named = list(keys)
        with s3_errors(self._place, named[0] if named else ""):
            wanted = [DeleteObject(key) for key in named]
            if self.are_kept:
                wanted = [DeleteObject(key, found.version_id) for key in named for found in self._of(key)]
            self._delete(wanted)

    def forget_replaced(self, key: str) -> None:
        """Delete the versions of an object that were replaced.

        If one of them was locked, the version that stays is locked before. Raises StoreError.
        """
        if self.are_kept:
            with s3_errors(self._place, key):
                replaced = [DeleteObject(key, found.version_id) for found in self._of(key) if found.is_latest != "true"]
                self._delete(replaced, before_unlocking=partial(self.lock, key))

    def lock(self, key: str) -> None:
        """Put the newest version of an object under legal hold. Raises StoreError."""
        with s3_errors(self._place, key), self._right_named(key):
            self._client.enable_object_legal_hold(self._place.bucket, key)

    def unlock(self, key: str) -> None:
        """Release all versions of an object; a missing one is no error. Raises StoreError."""
        with s3_errors(self._place, key), self._right_named(key):
            for found in self._of(key):
                if not found.is_delete_marker:
                    self._client.disable_object_legal_hold(self._place.bucket, key, found.version_id)

    def _delete(self, wanted: Sequence[DeleteObject], *, before_unlocking: Callable[[], None] = lambda: None) -> None:
        refused = self._refused(wanted)
        if refused and self.can_be_locked:
            before_unlocking()
            for each in refused:
                with self._right_named(str(each.name)):
                    self._client.disable_object_legal_hold(self._place.bucket, str(each.name), each.version_id)
            refused = self._refused([DeleteObject(str(each.name), each.version_id) for each in refused])
        for each in refused:
            raise StoreError(f"{each.name}: {self._place}: cannot be deleted: {each.code} {each.message or ''}".rstrip())

    def _refused(self, wanted: Iterable[DeleteObject]) -> list[DeleteError]:
        return list(self._client.remove_objects(self._place.bucket, wanted))

    def _of(self, key: str) -> list[Object]:
        found = self._client.list_objects(self._place.bucket, prefix=key, recursive=True, include_version=True)
        return [version for version in found if version.object_name == key]

    @contextmanager
    def _right_named(self, key: str) -> Iterator[None]:
        try:
            yield
        except S3Error as error:
            if error.code != _REFUSED:
                raise
            raise StoreError(f"{key}: {self._place}: the key may not set legal holds: it lacks s3:PutObjectLegalHold") from error
