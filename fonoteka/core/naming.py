"""Make the names of files, objects and calls. No text from callers gets into a name."""

import hashlib
import re
from datetime import date, datetime
from functools import lru_cache
from typing import Final

from fonoteka.core.manifest import AudioFormat

LONGEST_NAME: Final = 80
_CROCKFORD: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # base 32
_PAIRS: Final = tuple(high + low for high in _CROCKFORD for low in _CROCKFORD)
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
PLACED: Final = "~"
"""How the keys of objects begin that are not in `store.objects`."""

_PLACED: Final = re.compile(rf"{PLACED}([0-9]{{1,18}})/(.+)", re.DOTALL)


@lru_cache(maxsize=4096)  # asked for a dozen times for each call of a batch
def call_id(pbx: str, linkedid: str, domain: str = "") -> str:
    """Return the public id of a call: 26 characters that depend on pbx and linkedid only.

    Of a call that concerns several domains, those after the first have rows with ids of their own:
    for these `domain` is given.
    """
    text = f"{pbx}\0{linkedid}\0{domain}" if domain else f"{pbx}\0{linkedid}"
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    number = int.from_bytes(digest, "big")
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def safe(text: str) -> str:
    """Return text that is safe in a file name: letters, digits, `_` and `-`, at most 80."""
    return _UNSAFE.sub("-", text)[:LONGEST_NAME] or "-"


def segment_name(linkedid: str, uniqueid: str, part: int) -> str:
    """Return the name of a segment and of its folder in the spool.

    `part` counts the recordings of one channel from 1. The name has at most LONGEST_NAME
    characters: longer ids are replaced by a digest, as two cut ids could be equal.
    """
    name = f"{safe(linkedid)}_{safe(uniqueid)}_{part}"
    if len(linkedid) + len(uniqueid) + 8 <= LONGEST_NAME:
        return name
    digest = hashlib.blake2b(f"{linkedid}\0{uniqueid}".encode(), digest_size=16).hexdigest()
    return f"{digest}_{part}"


def recording_key(pbx: str, segment: str, started_at: datetime, audio_format: AudioFormat, content: str = "") -> str:
    """Return the object key of a segment's audio: by PBX and day, so that folders stay small.

    `content` is a digest of what is stored: other content gets another key and replaces nothing.
    """
    name = f"{safe(segment)}.{safe(content)}" if content else safe(segment)
    return f"{safe(pbx)}/{started_at:%Y/%m/%d}/{name}.{audio_format}"


def content_digest(sha256: str, peaks: bytes) -> str:
    """Return the digest of a recording's audio, given by its SHA-256, and its peaks: 32 digits."""
    return hashlib.blake2b(sha256.encode() + b"\0" + peaks, digest_size=16).hexdigest()


def peaks_key(recording: str) -> str:
    """Return the object key of a recording's peaks. `recording` is the key of its audio."""
    return f"{recording}.peaks.json"


def placed_key(place: int | None, key: str) -> str:
    """Return the key of an object that is at a place, where it has the given key.

    No key of `recording_key` begins as those of a place. None: the place of `store.objects`.
    """
    return f"{PLACED}{place}/{key}" if place is not None else key


def place_of(key: str) -> tuple[int | None, str]:
    """Return the place of an object, and its key there. None: the place of `store.objects`."""
    placed = _PLACED.fullmatch(key)
    return (int(placed[1]), placed[2]) if placed is not None else (None, key)


def archived_name(started_at: datetime, src: str, dst: str) -> str:
    """Return the name of a recording in an archive, without extension: start time and digits."""
    return f"{started_at:%Y-%m-%d_%H-%M-%S}_{_digits(src)}_{_digits(dst)}"


def export_name(domain: str, first: date, last: date) -> str:
    """Return the name of an export of a domain's calls, without extension: one day or a span."""
    days = f"{first:%Y-%m-%d}" if first == last else f"{first:%Y-%m-%d}_{last:%Y-%m-%d}"
    return f"fonoteka-{safe(domain)}-{days}"


def _digits(text: str) -> str:
    return re.sub("[^0-9]+", "", text)[:20] or "unknown"
