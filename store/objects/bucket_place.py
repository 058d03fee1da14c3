"""The setting `store.objects = "s3://bucket?endpoint=http://host:9000&region=…&redirect=…"`."""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from fonoteka.core.config import StoreSection, require_secret
from fonoteka.core.errors import ConfigurationError

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PARAMETERS: Final = ("endpoint", "region", "redirect")
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]-]+")
EXAMPLE: Final = "s3://recordings?endpoint=http://127.0.0.1:9000&region=us-east-1"
_REGION: Final = "us-east-1"  # what most servers of their own call themselves


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketPlace:
    """A bucket, its server, and the keys with which it is asked.

    `redirect` is the address of the server for browsers; None: they get recordings from the API.
    """

    bucket: str
    host: str
    is_encrypted: bool
    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    redirect: str | None = None

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
    if (problem := problem_of(objects)) is not None:
        raise ConfigurationError(f"store.objects = {shown(objects)!r}: {problem}; for example {EXAMPLE}")
    parts = urlsplit(objects)
    named = dict(parse_qsl(parts.query))
    endpoint = urlsplit(named["endpoint"])
    return BucketPlace(
        bucket=parts.netloc,
        host=endpoint.netloc,
        is_encrypted=endpoint.scheme == "https",
        region=named.get("region") or _REGION,
        access_key=require_secret(section.s3_access_key, "store.s3_access_key", None),
        secret_key=require_secret(section.s3_secret_key, "store.s3_secret_key", None),
        redirect=redirect_of(objects),
    )


def problem_of(objects: str) -> str | None:
    """Return what is wrong with the address of a bucket; None if it is valid. Pure."""
    try:
        parts = urlsplit(objects)
        given = parse_qsl(parts.query, keep_blank_values=True)
        named = dict(given)
        endpoint, redirect = urlsplit(named.get("endpoint", "")), named.get("redirect")
        is_redirect = redirect is None or (_is_server(urlsplit(redirect)) and bool(_HOST.fullmatch(urlsplit(redirect).netloc)))
        is_server = _is_server(endpoint) and endpoint.port != 0
    except ValueError as error:
        return f"is no address: {error}"
    if unknown := [name for name in named if name not in _PARAMETERS]:
        return f"unknown parameter {unknown[0]!r}; known: {', '.join(_PARAMETERS)}"
    if len(named) != len(given):
        return "a parameter is given twice"
    if parts.path.strip("/") or parts.fragment or not _BUCKET.fullmatch(parts.netloc):
        return "after s3:// comes the name of a bucket (3 to 63 of a-z, 0-9, '.', '-') and nothing else"
    if not is_server:
        return "endpoint must be http:// or https://, a host and perhaps a port"
    if endpoint.username is not None:
        return "the keys belong into store.s3_access_key and store.s3_secret_key"
    return None if is_redirect else "redirect must be http:// or https://, a host and perhaps a port"


def shown(objects: str) -> str:
    """Return an address as it may be printed: without what looks like keys. Pure."""
    return objects if "@" not in objects else "s3://…"


def redirect_of(objects: str) -> str | None:
    """Return the address to which browsers are sent for recordings, from a valid setting."""
    given = dict(parse_qsl(urlsplit(objects).query)).get("redirect") if is_bucket(objects) else None
    return given.rstrip("/") if given is not None else None


def _is_server(address: SplitResult) -> bool:
    return address.scheme in ("http", "https") and bool(address.hostname) and not address.path.strip("/") and not address.query
