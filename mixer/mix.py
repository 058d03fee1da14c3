"""Mix two legs into one recording, in one blocking call. Memory does not depend on the length."""

import hashlib
import os
import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from fonoteka.core.atomic_file import drafted
from fonoteka.core.call_report import MutedSpan, Reason
from fonoteka.core.errors import AudioError
from fonoteka.core.manifest import AudioFormat, Layout, Mixed, Speech
from mixer.channel_layout import CHANNELS, blend_for
from mixer.legs import Leg, open_leg
from mixer.peaks import PeakMeter
from mixer.speech import SpeechMeter
from mixer.timeline import Timeline, align

PEAKS_FILE: Final = "peaks.json"
_FEWEST_SAMPLES: Final = 2  # decoders cannot read files of 0 or 1 sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixture:
    """The recording that was made; `troubles` says what was wrong with the legs, for the log."""

    mixed: Mixed
    troubles: tuple[str, ...]


def mix_legs(
    folder: Path,
    outside_leg: str,
    employee_leg: str,
    audio_format: AudioFormat,
    layout: Layout,
    talked_hz: int | None = None,
    muted: Sequence[MutedSpan] = (),
) -> Mixture:
    """Mix two legs, given by their file names in `folder`, and write audio and peaks there, synced.

    The spans in `muted` are silent in both channels. The same legs give the same bytes. A leg that
    is missing or is no audio becomes silence if the other leg is intact; then nobody knows who
    spoke. Raises AudioError if there is nothing to hear, OSError if a file cannot be written.
    """
    outside, employee = open_leg(folder / outside_leg), open_leg(folder / employee_leg)
    timeline = align(outside, employee, talked_hz, muted)
    _require_audio(timeline)
    audio_file = f"audio.{audio_format}"
    with _draft(folder / audio_file) as file:
        peaks, speech, track = _encode(timeline, file, audio_format, layout)
    if outside.hopeless or employee.hopeless:  # a side that nobody recorded may have spoken
        speech, track = None, ""
    with _draft(folder / PEAKS_FILE) as file:
        file.write(peaks.json(track).encode())
    with (folder / audio_file).open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        size_bytes = os.fstat(written.fileno()).st_size
    troubles = tuple(leg.trouble for leg in (outside, employee) if leg.trouble)
    mixed = Mixed(
        audio_file=audio_file,
        peaks_file=PEAKS_FILE,
        format=audio_format,
        layout=layout,
        rate_hz=timeline.rate_hz,
        duration_ms=round(timeline.samples * 1000 / timeline.rate_hz),
        size_bytes=size_bytes,
        sha256=sha256,
        salvaged=bool(troubles),
        speech=speech,
    )
    return Mixture(mixed=mixed, troubles=troubles)


def _encode(timeline: Timeline, file: BinaryIO, audio_format: AudioFormat, layout: Layout) -> tuple[PeakMeter, Speech | None, str]:
    from mixer.encoder import Encoder  # loads FFmpeg, which only the worker needs

    channels = CHANNELS[layout]
    blend = blend_for(layout, timeline)
    samples, rate_hz = timeline.samples, timeline.rate_hz
    peaks = PeakMeter(samples=samples, rate_hz=rate_hz, channels=channels)
    speakers = SpeechMeter(samples=samples, rate_hz=rate_hz, per_second=peaks.per_second)
    encoder = Encoder(file, audio_format, rate_hz=rate_hz, channels=channels)
    for both in timeline.blocks():
        block = blend(both)
        encoder.write(block)
        peaks.take(block)
        speakers.take(both)  # NumPy's code is still in the caches, from which the encoder displaces it
    speech, track = speakers.finish()
    encoder.finish()
    return peaks, speech, track


def _require_audio(timeline: Timeline) -> None:
    if timeline.samples >= _FEWEST_SAMPLES:
        return
    legs: tuple[Leg, ...] = (timeline.outside, timeline.employee)
    damaged = any(leg.hopeless is Reason.AUDIO_DAMAGED for leg in legs)
    detail = "; ".join(leg.trouble or f"{leg.path.name}: {leg.samples} samples" for leg in legs)
    raise AudioError(Reason.AUDIO_DAMAGED if damaged else Reason.NO_AUDIO, detail)


def _draft(path: Path) -> AbstractContextManager[BinaryIO]:
    """Open the draft of a file under a name that no other draft has.

    A worker that is about to be killed must not publish what its successor writes. Files of an
    interrupted try are deleted first, as they take up room.
    """
    for earlier in (path, *path.parent.glob(f".{path.name}.*.new")):
        earlier.unlink(missing_ok=True)
    return drafted(path, path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(8)}.new"), sync=True)
