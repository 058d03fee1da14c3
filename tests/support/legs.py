"""Make legs and recording folders for the mixer's tests, and decode what the mixer makes."""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from fonoteka.core.manifest import MANIFEST_VERSION, AudioFormat, Layout, Manifest, Mixed, read_manifest, write_manifest
from fonoteka.core.spool import ItemState, Spool
from mixer.mix import mix_legs
from tests.data.seed import a_call, but

OUTSIDE_HZ, EMPLOYEE_HZ = 440, 880
OUTSIDE_LEG, EMPLOYEE_LEG = "outside.wav", "employee.wav"
_DAY_BYTES = 24 * 3600 * 16_000


def mix(item: Path, audio_format: AudioFormat, layout: Layout) -> Mixed:
    """Mix the legs of a recording folder by its manifest."""
    manifest = read_manifest(item)
    return mix_legs(item, manifest.outside_leg, manifest.employee_leg, audio_format, layout, manifest.talked_hz).mixed


def tone(hz: float, samples: int, rate_hz: int = 8000, level: int = 9000) -> NDArray[np.int16]:
    """Return a sine tone."""
    wave: NDArray[np.float64] = level * np.sin(2 * np.pi * hz * np.arange(samples) / rate_hz)
    return np.rint(wave).astype(np.int16)


def header(data_bytes: int, rate_hz: int = 8000, channels: int = 1, bits: int = 16, coding: int = 1) -> bytes:
    """Return a WAV header of 44 bytes, as Asterisk writes it."""
    fields = (16, coding, channels, rate_hz, rate_hz * 2, 2, bits)
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", min(data_bytes + 36, 0xFFFFFFFF), b"WAVE", b"fmt ", *fields, b"data", data_bytes
    )


def wav(samples: NDArray[np.int16], rate_hz: int = 8000) -> bytes:
    """Return a complete leg, as Asterisk leaves it."""
    return header(2 * len(samples), rate_hz) + samples.astype("<i2").tobytes()


def write_item(folder: Path, outside: bytes | None, employee: bytes | None, linkedid: str = "1795391022.0") -> Path:
    """Make a recording folder with a manifest and the legs that are not None."""
    folder.mkdir()
    for name, leg in ((OUTSIDE_LEG, outside), (EMPLOYEE_LEG, employee)):
        if leg is not None:
            (folder / name).write_bytes(leg)
    now = datetime.now(UTC)
    call = but(a_call(0, now, talk_ms=1000, ring_ms=0), linkedid=linkedid, revision=1, segments=(), path=())
    manifest = Manifest(
        version=MANIFEST_VERSION,
        name=folder.name,
        user="152",
        started_at=now,
        talk_ms=1000,
        outside_leg=OUTSIDE_LEG,
        employee_leg=EMPLOYEE_LEG,
        muted=(),
        call=call,
    )
    write_manifest(folder, manifest)
    return folder


def close_item(spool: Spool, name: str, outside: bytes | None, employee: bytes | None) -> None:
    """Write a recording folder in `recording/` and move it to `closed/`, as the agent does."""
    spool.move(write_item(spool.folder(ItemState.RECORDING) / name, outside, employee), ItemState.CLOSED)


def close_day(spool: Spool, name: str, leg_bytes: int = _DAY_BYTES) -> None:
    """Close a recording with two sparse legs of a day: mixing it outlasts any test that waits."""
    folder = write_item(spool.folder(ItemState.RECORDING) / name, header(leg_bytes), header(leg_bytes))
    for leg in (OUTSIDE_LEG, EMPLOYEE_LEG):
        os.truncate(folder / leg, 44 + leg_bytes)
    spool.move(folder, ItemState.CLOSED)


def replace_legs(folder: Path, outside: bytes, employee: bytes) -> None:
    """Put other legs in place of those that a worker may be reading."""
    for name, leg in ((OUTSIDE_LEG, outside), (EMPLOYEE_LEG, employee)):
        (folder / "leg.new").write_bytes(leg)
        (folder / "leg.new").replace(folder / name)


def talk(seconds: float = 1.0) -> tuple[bytes, bytes]:
    """Return two legs with one tone each."""
    samples = round(seconds * 8000)
    return wav(tone(OUTSIDE_HZ, samples)), wav(tone(EMPLOYEE_HZ, samples))


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """A decoded file: `sound` of shape (channels, n), full scale 1.0, and the file's tags."""

    sound: NDArray[np.float64]
    rate_hz: int
    tags: dict[str, str]

    @property
    def seconds(self) -> float:
        """The length."""
        return float(self.sound.shape[1] / self.rate_hz)

    def loudest_hz(self, channel: int) -> float:
        """Return the strongest frequency of a channel."""
        return float(np.argmax(self._spectrum(channel)) / self.seconds)

    def level_db(self, channel: int, hz: float) -> float:
        """Return the level of a frequency (± 5 Hz), relative to the channel's strongest."""
        spectrum = self._spectrum(channel)
        at = round(hz * self.seconds)
        reach = max(1, round(5 * self.seconds))
        return float(20 * np.log10(spectrum[at - reach : at + reach + 1].max() / spectrum.max()))

    def _spectrum(self, channel: int) -> NDArray[np.float64]:
        side = self.sound[channel]
        return np.asarray(np.abs(np.fft.rfft(side * np.hanning(len(side)))) + 1e-12, np.float64)


def hear(path: Path) -> Heard:
    """Decode a file with libsndfile, which shares no decoder with FFmpeg, the encoder."""
    with soundfile.SoundFile(path) as file:
        sound = file.read(dtype="float64", always_2d=True).T
        return Heard(sound=sound, rate_hz=file.samplerate, tags=file.copy_metadata())


def copies(item: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Return the contents of some files of a recording folder."""
    return {name: (item / name).read_bytes() for name in names}
