"""What goes wrong with an S3 server, in words for operators; keys and secrets are never in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from minio.error import MinioException, S3Error
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from fonoteka.core.errors import ObjectMissing, ObjectsFull, StoreError
from store.objects.bucket_place import BucketPlace

CORRUPTED: Final = frozenset({"XAmzContentSHA256Mismatch", "BadDigest", "XMinioContentSHA256Mismatch", "InvalidDigest"})
_FULL: Final = frozenset({"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage"})
_WORDS: Final = {
    "RequestTimeTooSkewed": "the clocks of this machine and of the server differ by more than 15 minutes: set them",
    "InvalidAccessKeyId": "the server does not know store.s3_access_key",
    "SignatureDoesNotMatch": "store.s3_secret_key does not belong to store.s3_access_key",
    "AccessDenied": "the server refuses: store.s3_access_key or s3_secret_key is wrong, or the key may not read, write, list "
    "and delete in the bucket",
    "NoSuchBucket": "the bucket does not exist: create it there",
    "PreconditionFailed": "it was replaced while it was read: ask again",
    "SlowDown": "the server is overloaded",
    "ServiceUnavailable": "the server is overloaded",
    "AuthorizationHeaderMalformed": "the region is another one: set region=… in store.objects",
}


@contextmanager
def s3_errors(place: BucketPlace, key: str) -> Iterator[None]:
    """Raise StoreError, ObjectMissing or ObjectsFull, naming object and server, for any failure."""
    try:
        yield
    except S3Error as error:
        if error.code == "NoSuchKey":
            raise ObjectMissing(f"object {key} does not exist in {place}") from error
        if error.code in _FULL or getattr(error.response, "status", 0) == 507:
            raise ObjectsFull(f"{place} is full: free space there, or raise its quota ({error.code})") from error
        raise StoreError(f"{key}: {place}: {_said(error)}") from error
    except MinioException as error:  # an answer that is not of S3: a proxy's, say
        raise StoreError(f"{key}: {place}: the answer is not one of S3: {str(error)[:200]}") from error
    except (HTTPError, OSError) as error:
        raise StoreError(f"{key}: {place}: {_unreachable(error)}") from error


def is_corrupted(error: StoreError) -> bool:
    """Whether a transfer failed on its way, and may be repeated at once."""
    cause = error.__cause__
    return (isinstance(cause, S3Error) and cause.code in CORRUPTED) or isinstance(cause, ProtocolError)


def is_away(error: StoreError) -> bool:
    """Whether the server gave no answer: it may come back by itself."""
    cause = error.__cause__
    return isinstance(cause, HTTPError | OSError) and not isinstance(_reason(cause), SSLError)


def _said(error: S3Error) -> str:
    code = error.code or "no code"
    if code in CORRUPTED:
        return f"what arrived is not what was sent ({code}): look at the network between"
    return _WORDS.get(code, f"the server refuses: {code} {error.message or ''}".rstrip())


def _reason(error: HTTPError | OSError) -> BaseException:
    return error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error


def _unreachable(error: HTTPError | OSError) -> str:
    cause = _reason(error)
    if isinstance(cause, ReadTimeoutError | TimeoutError):
        return "the server is too slow: no answer in time"
    if isinstance(cause, SSLError):
        return f"the server's certificate is not accepted: {cause}"
    if isinstance(cause, NewConnectionError):
        return f"the server is out of reach: {str(cause).rpartition('] ')[2].rstrip(')')}"
    if isinstance(cause, ConnectTimeoutError):  # NewConnectionError is one too
        return "the server does not take connections"
    return f"the connection broke: {type(cause).__name__}"
