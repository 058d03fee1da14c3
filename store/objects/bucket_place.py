"""The setting `store.objects = "s3://bucket?endpoint=http://host:9000&region=…"`."""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from fonoteka.core.config import StoreSection, require_secret
from fonoteka.core.errors import ConfigurationError

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PARAMETERS: Final = ("endpoint", "region")
_REGION: Final = "us-east-1"  # what most servers of their own call themselves


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketPlace:
    """A bucket, its server, and the keys with which it is asked."""

    bucket: str
    host: str
    is_encrypted: bool
    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    @property
    def endpoint(self) -> str:
        """The address of the server."""
        return f"{'https' if self.is_encrypted else 'http'}://{self.host}"

    def __str__(self) -> str:
        return f"bucket {self.bucket!r} at {self.endpoint}"


def is_bucket(objects: str) -> bool:
    """Whether `store.objects` names a bucket."""
    return urlsplit(objects).scheme == "s3"


def bucket_place(objects: str, section: StoreSection) -> BucketPlace:
    """Parse the setting. Raises ConfigurationError, which says what is wrong."""
    parts = urlsplit(objects)
    given = parse_qsl(parts.query, keep_blank_values=True)
    named = dict(given)
    endpoint = urlsplit(named.get("endpoint", ""))
    problem = None
    if unknown := [name for name in named if name not in _PARAMETERS]:
        problem = f"unknown parameter {unknown[0]!r}; known: {', '.join(_PARAMETERS)}"
    elif len(named) != len(given):
        problem = "a parameter is given twice"
    elif parts.path.strip("/") or parts.fragment or not _BUCKET.fullmatch(parts.netloc):
        problem = "after s3:// comes the name of a bucket (3 to 63 of a-z, 0-9, '.', '-') and nothing else"
    elif endpoint.scheme not in ("http", "https") or not endpoint.hostname or endpoint.path.strip("/") or endpoint.query:
        problem = "endpoint must be http:// or https://, a host and perhaps a port"
    elif endpoint.username is not None:
        problem = "the keys belong into store.s3_access_key and store.s3_secret_key"
    if problem is not None:
        shown = objects if "@" not in objects else "s3://…"
        raise ConfigurationError(
            f"store.objects = {shown!r}: {problem}; for example s3://recordings?endpoint=http://127.0.0.1:9000&region=us-east-1"
        )
    return BucketPlace(
        bucket=parts.netloc,
        host=endpoint.netloc,
        is_encrypted=endpoint.scheme == "https",
        region=named.get("region") or _REGION,
        access_key=require_secret(section.s3_access_key, "store.s3_access_key", None),
        secret_key=require_secret(section.s3_secret_key, "store.s3_secret_key", None),
    )
