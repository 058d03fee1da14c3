"""The one place that makes names of files, objects and calls. No caller-supplied text ever gets into one."""

import hashlib
import re
from datetime import date, datetime
from typing import Final

from fonoteka.core.manifest import AudioFormat

LONGEST_NAME: Final = 80
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")


def call_id(pbx: str, linkedid: str) -> str:
    """The public id of a call: 26 characters from pbx and linkedid alone, so the same call always gets the same id."""
    digest = hashlib.blake2b(f"{pbx}\0{linkedid}".encode(), digest_size=16).digest()
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
    number = int.from_bytes(digest, "big")
    return "".join(alphabet[(number >> shift) & 31] for shift in range(125, -1, -5))


def safe(text: str) -> str:
    """Text made fit for a file's name: letters, digits, `_` and `-` only, at most 80 characters."""
    return _UNSAFE.sub("-", text)[:LONGEST_NAME] or "-"


def segment_name(linkedid: str, uniqueid: str, part: int) -> str:
    """The name of a segment, and of its folder in the spool. `part` counts the recordings of one channel from 1.

    At most LONGEST_NAME characters: a PBX with a long system name gets a digest instead of ids that could be cut alike.
    """
    name = f"{safe(linkedid)}_{safe(uniqueid)}_{part}"
    if len(linkedid) + len(uniqueid) + 8 <= LONGEST_NAME:
        return name
    digest = hashlib.blake2b(f"{linkedid}\0{uniqueid}".encode(), digest_size=16).hexdigest()
    return f"{digest}_{part}"


def recording_key(pbx: str, segment: str, started_at: datetime, audio_format: AudioFormat) -> str:
    """Where a segment's audio lives among the objects: by PBX and day, so that no folder grows without bound."""
    return f"{safe(pbx)}/{started_at:%Y/%m/%d}/{safe(segment)}.{audio_format}"


def peaks_key(recording: str) -> str:
    """Where the peaks of a recording lie: beside its audio. Takes what `recording_key` made."""
    return f"{recording}.peaks.json"


def archived_name(started_at: datetime, src: str, dst: str) -> str:
    """A recording in an archive, without its extension: when by the clock of `started_at`, and of the numbers only the digits."""
    return f"{started_at:%Y-%m-%d_%H-%M-%S}_{_digits(src)}_{_digits(dst)}"


def export_name(domain: str, first: date, last: date) -> str:
    """A file of a domain's calls, without its extension: of these days, or of the one day they are."""
    days = f"{first:%Y-%m-%d}" if first == last else f"{first:%Y-%m-%d}_{last:%Y-%m-%d}"
    return f"fonoteka-{safe(domain)}-{days}"


def _digits(text: str) -> str:
    return re.sub("[^0-9]+", "", text)[:20] or "unknown"
