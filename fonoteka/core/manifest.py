"""The papers that travel with a recording through the spool.

An item of the spool is a folder named after its segment. The agent writes `manifest.json` into it, Asterisk the two
legs, the mixer `mixed.json` (or `failure.json`) and the encoded file. Each paper has one writer.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fonoteka.core.atomic_file import write_atomically
from fonoteka.core.call_report import CallReport, MutedSpan, Reason
from fonoteka.core.errors import SpoolError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

MANIFEST_VERSION: Final = 1
MANIFEST_FILE: Final = "manifest.json"
MIXED_FILE: Final = "mixed.json"
FAILURE_FILE: Final = "failure.json"
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]+\.[a-z0-9]+")


def _require_plain(*names: str) -> None:
    """The papers lie where others write: a name in them must lead nowhere but into the item's own folder."""
    for name in names:
        if not _PLAIN_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no plain file name")


class AudioFormat(StrEnum):
    """What the mixer can make; the file's extension is the same word."""

    OPUS = "opus"
    MP3 = "mp3"
    FLAC = "flac"
    WAV = "wav"


class Layout(StrEnum):
    """`STEREO`: outside party left, employee right. `MONO`: both summed."""

    STEREO = "stereo"
    MONO = "mono"


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What the legs in this folder are.

    `outside_leg` is what the employee heard, `employee_leg` what they said (file names in the item's folder). `talk_ms`
    is how long the two were bridged, against which the audio's length is judged. `call` is the call as known when the
    legs were closed, so that the store can make its row even if it never saw the call. `talked_hz` is the rate of the best
    codec that was talked, if known: legs of a higher rate hold no more than that.
    """

    version: int
    name: str
    user: str
    started_at: datetime
    talk_ms: int
    outside_leg: str
    employee_leg: str
    muted: tuple[MutedSpan, ...]
    call: CallReport
    talked_hz: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where a leg's name is no plain one."""
        _require_plain(self.outside_leg, self.employee_leg)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixed:
    """What the mixer made of the legs.

    `audio_file` and `peaks_file` are names in the item's folder; `sha256` (hex) and `size_bytes` are the audio file's.
    The peaks file is JSON `{"per_second": n, "left": [0..255], "right": [0..255]}` (one list, `left`, for mono: `right`
    is then empty). `salvaged` tells that a leg's header was damaged and its length was taken from the file's size.
    """

    audio_file: str
    peaks_file: str
    format: AudioFormat
    layout: Layout
    rate_hz: int
    duration_ms: int
    size_bytes: int
    sha256: str
    salvaged: bool

    def __post_init__(self) -> None:
        """Raises ValueError where a file's name is no plain one."""
        _require_plain(self.audio_file, self.peaks_file)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why the legs were set aside; they stay in the folder for a human to look at."""

    reason: Reason
    detail: str


_ADAPTERS: Final[dict[type, "TypeAdapter[Any]"]] = {}


def _adapter(shape: type[T]) -> "TypeAdapter[T]":
    """Made when the first paper is read: the mixer's workers only need the words, and pydantic weighs 17 MB in each."""
    from pydantic import TypeAdapter

    if shape not in _ADAPTERS:
        _ADAPTERS[shape] = TypeAdapter(shape)
    return _ADAPTERS[shape]


def _read(item: Path, name: str, shape: type[T]) -> T:
    from pydantic import ValidationError

    try:
        return _adapter(shape).validate_json((item / name).read_bytes())
    except (OSError, ValidationError) as error:
        raise SpoolError(f"{item / name}: {error}") from error


def read_manifest(item: Path) -> Manifest:
    """The manifest in an item's folder. Raises SpoolError if absent, broken or of a version we do not know."""
    manifest = _read(item, MANIFEST_FILE, Manifest)
    if manifest.version != MANIFEST_VERSION:
        raise SpoolError(f"{item / MANIFEST_FILE}: version {manifest.version} is not {MANIFEST_VERSION}")
    return manifest


def write_manifest(item: Path, manifest: Manifest, *, sync: bool = True) -> None:
    """Write (or replace, in one step) the manifest of an item: without it the legs are of nobody, so it outlives a power cut.

    Without `sync` it does so soon: for a recording that goes on, whose legs are not on the disk either.
    """
    write_atomically(item / MANIFEST_FILE, _adapter(Manifest).dump_json(manifest, indent=1), sync=sync)


def read_mixed(item: Path) -> Mixed:
    """What the mixer made of an item. Raises SpoolError if absent or broken."""
    return _read(item, MIXED_FILE, Mixed)


def write_mixed(item: Path, mixed: Mixed) -> None:
    """Say in the item's folder what was made of it; on the disk when this returns."""
    write_atomically(item / MIXED_FILE, _adapter(Mixed).dump_json(mixed, indent=1), sync=True)


def read_failure(item: Path) -> Failure:
    """Why an item was set aside. Raises SpoolError if absent or broken."""
    return _read(item, FAILURE_FILE, Failure)


def write_failure(item: Path, failure: Failure) -> None:
    """Say in the item's folder why it is set aside; on the disk when this returns."""
    write_atomically(item / FAILURE_FILE, _adapter(Failure).dump_json(failure, indent=1), sync=True)
