"""Two legs become one recording: the whole way, in one blocking call with the same memory for a minute and for a day."""

import hashlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from fonoteka.core.atomic_file import drafted
from fonoteka.core.call_report import MutedSpan, Reason
from fonoteka.core.errors import AudioError
from fonoteka.core.manifest import AudioFormat, Layout, Mixed
from mixer.channel_layout import CHANNELS, blend_for
from mixer.legs import Leg, open_leg
from mixer.peaks import PeakMeter
from mixer.timeline import Timeline, timeline

PEAKS_FILE: Final = "peaks.json"
_FEWEST_SAMPLES: Final = 2  # files of 0 or 1 sample cannot be read back (MEASUREMENTS.md)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixture:
    """What came out; `troubles` says in words what was wrong with the legs, for the log."""

    mixed: Mixed
    troubles: tuple[str, ...]


def mix_legs(
    item: Path,
    outside_leg: str,
    employee_leg: str,
    audio_format: AudioFormat,
    layout: Layout,
    talked_hz: int | None = None,
    muted: Sequence[MutedSpan] = (),
) -> Mixture:
    """Make the recording of two legs, given by their file names in the item's folder: the encoded file and the peaks are
    then in it, synced. What lies in `muted` is silent in both.

    Doing it again gives the same bytes. A leg that is missing or no audio is silence if the other is whole. Raises
    AudioError (nothing that could be heard), OSError (disk full and the like).
    """
    outside, employee = open_leg(item / outside_leg), open_leg(item / employee_leg)
    whole = timeline(outside, employee, talked_hz, muted)
    _require_audio(whole)
    audio_file = f"audio.{audio_format}"
    with _draft(item / audio_file) as file:
        meter = _encode(whole, file, audio_format, layout)
    with _draft(item / PEAKS_FILE) as file:
        file.write(meter.json().encode())
    with (item / audio_file).open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        size_bytes = os.fstat(written.fileno()).st_size
    troubles = tuple(leg.trouble for leg in (outside, employee) if leg.trouble)
    mixed = Mixed(
        audio_file=audio_file,
        peaks_file=PEAKS_FILE,
        format=audio_format,
        layout=layout,
        rate_hz=whole.rate_hz,
        duration_ms=round(whole.samples * 1000 / whole.rate_hz),
        size_bytes=size_bytes,
        sha256=sha256,
        salvaged=bool(troubles),
    )
    return Mixture(mixed=mixed, troubles=troubles)


def _encode(whole: Timeline, file: BinaryIO, audio_format: AudioFormat, layout: Layout) -> PeakMeter:
    from mixer.encoder import Encoder  # loads FFmpeg: for the worker, not for the mixer that started it

    channels = CHANNELS[layout]
    blend = blend_for(layout, whole)
    meter = PeakMeter(samples=whole.samples, rate_hz=whole.rate_hz, channels=channels)
    encoder = Encoder(file, audio_format, rate_hz=whole.rate_hz, channels=channels)
    for both in whole.blocks():
        block = blend(both)
        meter.take(block)
        encoder.write(block)
    encoder.finish()
    return meter


def _require_audio(whole: Timeline) -> None:
    if whole.samples >= _FEWEST_SAMPLES:
        return
    legs: tuple[Leg, ...] = (whole.outside, whole.employee)
    damaged = any(leg.hopeless is Reason.AUDIO_DAMAGED for leg in legs)
    detail = "; ".join(leg.trouble or f"{leg.path.name}: {leg.samples} samples" for leg in legs)
    raise AudioError(Reason.AUDIO_DAMAGED if damaged else Reason.NO_AUDIO, detail)


def _draft(path: Path) -> AbstractContextManager[BinaryIO]:
    """The process's own draft: a worker that is about to be killed must not publish what its successor writes."""
    for earlier in (path, *path.parent.glob(f".{path.name}.*.new")):  # left by a try that was cut short; they take up room
        earlier.unlink(missing_ok=True)
    return drafted(path, path.with_name(f".{path.name}.{os.getpid()}.new"), sync=True)
