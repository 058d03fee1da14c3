"""The JSON files that travel with a recording through the spool.

An item of the spool is a recording folder, named after its segment. The agent writes
`manifest.json` into the folder, Asterisk the two legs, the mixer `mixed.json` (or `failure.json`)
and the encoded file. Each file has one writer.
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
from fonoteka.core.plain_file import read_plain

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

MANIFEST_VERSION: Final = 1
MANIFEST_FILE: Final = "manifest.json"
MIXED_FILE: Final = "mixed.json"
FAILURE_FILE: Final = "failure.json"
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]+\.[a-z0-9]+")


def _require_plain(*names: str) -> None:
    """Raise ValueError if a name could lead out of the folder: other users may write the files."""
    for name in names:
        if not _PLAIN_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no plain file name")


class AudioFormat(StrEnum):
    """The formats that the mixer makes; each is also the extension of the file."""

    OPUS = "opus"
    MP3 = "mp3"
    FLAC = "flac"
    WAV = "wav"


class Layout(StrEnum):
    """`STEREO`: outside party left, employee right. `MONO`: the sum of both."""

    STEREO = "stereo"
    MONO = "mono"


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The description of the legs in a recording folder.

    `outside_leg` holds the audio that the employee heard, `employee_leg` the audio that the
    employee said (file names in the folder). `talk_ms` is how long the two were bridged; the length
    of the audio is compared with it. `call` is the state of the call when the legs were closed, so
    that the store can insert a call that it never received. `talked_hz` is the sampling rate of the
    best codec in the talk, if known: legs at a higher rate hold no more sound.
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
        """Raise ValueError if the name of a leg is no plain file name."""
        _require_plain(self.outside_leg, self.employee_leg)


@dataclass(frozen=True, kw_only=True, slots=True)
class Speech:
    """Who spoke for how long in a recording, in milliseconds.

    `outside_ms` and `employee_ms` both contain `overlap_ms`, in which both spoke; `silence_ms` is
    the time in which nobody spoke, `longest_silence_ms` its longest stretch. `first_word_ms` is
    when somebody spoke first, None if nobody did.
    """

    outside_ms: int
    employee_ms: int
    overlap_ms: int
    silence_ms: int
    longest_silence_ms: int
    first_word_ms: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixed:
    """The recording that the mixer made.

    `audio_file` and `peaks_file` are names in the recording folder; `sha256` (hex) and `size_bytes`
    describe the audio file. The peaks file is JSON `{"per_second": n, "left": [0..255], "right":
    [0..255], "speech": "0132…"}`; for mono `right` is empty. A digit of `speech` says who spoke
    during that peak: 0 nobody, 1 the outside party, 2 the employee, 3 both. `salvaged`: a leg was
    damaged or missing; the length of a leg with a damaged header was taken from the size of its
    file. `speech` is None, and absent in the peaks file, if the legs do not tell who spoke.
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
    speech: Speech | None = None

    def __post_init__(self) -> None:
        """Raise ValueError if the name of a file is no plain file name."""
        _require_plain(self.audio_file, self.peaks_file)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a recording was set aside; the legs stay in the folder for an operator."""

    reason: Reason
    detail: str


_ADAPTERS: Final[dict[type, "TypeAdapter[Any]"]] = {}


def _adapter(shape: type[T]) -> "TypeAdapter[T]":
    """Return an adapter, made at first use: workers of the mixer do not need pydantic's 17 MB."""
    from pydantic import TypeAdapter

    if shape not in _ADAPTERS:
        _ADAPTERS[shape] = TypeAdapter(shape)
    return _ADAPTERS[shape]


def _read(item: Path, name: str, shape: type[T]) -> T:
    from pydantic import ValidationError

    try:
        return _adapter(shape).validate_json(read_plain(item / name))
    except (OSError, ValidationError) as error:
        raise SpoolError(f"{item / name}: {error}") from error


def read_manifest(item: Path) -> Manifest:
    """Read a manifest. Raises SpoolError if it is absent, broken or of an unknown version."""
    manifest = _read(item, MANIFEST_FILE, Manifest)
    if manifest.version != MANIFEST_VERSION:
        raise SpoolError(f"{item / MANIFEST_FILE}: version {manifest.version} is not {MANIFEST_VERSION}")
    return manifest


def write_manifest(item: Path, manifest: Manifest, *, sync: bool = True) -> None:
    """Write or replace a manifest in one step.

    Without a manifest the legs belong to no call, so the file is synced. Use `sync=False` during a
    recording, whose legs are not on the disk either.
    """
    write_atomically(item / MANIFEST_FILE, _adapter(Manifest).dump_json(manifest, indent=1), sync=sync)


def read_mixed(item: Path) -> Mixed:
    """Read `mixed.json`. Raises SpoolError if it is absent or broken."""
    return _read(item, MIXED_FILE, Mixed)


def write_mixed(item: Path, mixed: Mixed) -> None:
    """Write `mixed.json`; it is on the disk when this returns."""
    write_atomically(item / MIXED_FILE, _adapter(Mixed).dump_json(mixed, indent=1), sync=True)


def read_failure(item: Path) -> Failure:
    """Read `failure.json`. Raises SpoolError if it is absent or broken."""
    return _read(item, FAILURE_FILE, Failure)


def write_failure(item: Path, failure: Failure) -> None:
    """Write `failure.json`; it is on the disk when this returns."""
    write_atomically(item / FAILURE_FILE, _adapter(Failure).dump_json(failure, indent=1), sync=True)
