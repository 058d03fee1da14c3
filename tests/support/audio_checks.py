"""What a leg or a recording sounds like: which tone, and how long."""

import io
import itertools
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float64]


def decoded(audio: bytes) -> tuple[Samples, int]:
    """A recording in any of the formats: samples as (channels, frames), and their rate."""
    samples, rate_hz = soundfile.read(io.BytesIO(audio), dtype="float64", always_2d=True)
    return samples.T, int(rate_hz)


def assert_tone(samples: Samples, rate_hz: int, hz: float, least: float = 0.6) -> None:
    """One channel holds this tone, and it carries most of the power.

    Most, not all: on a busy machine the telephones send late, and each gap in the tone spreads some
    of it, the more the shorter the stretch (`least`).
    """
    found, share = _strongest(samples, rate_hz)
    assert abs(found - hz) < 10, f"{found:.0f} Hz is heard, not {hz:.0f}"
    assert share > least, f"{found:.0f} Hz has only {share:.0%} of the power"


def tone_of(leg: Path) -> int:
    """The frequency that carries most of a leg's power, to 10 Hz.

    Raises AssertionError if none does.

    Most, not all: see `assert_tone`.
    """
    samples, rate_hz = soundfile.read(leg, dtype="float64")
    found, share = _strongest(samples, int(rate_hz))
    assert share > 0.6, f"{leg.name}: {found:.0f} Hz has only {share:.0%} of the power"
    return round(found / 10) * 10


def length_s(leg: Path) -> float:
    """The length of a leg in seconds."""
    described = soundfile.info(leg)
    return float(described.frames / described.samplerate)


def silent_start_s(leg: Path) -> float:
    """How long the leg is silent before its first sound."""
    samples, rate_hz = soundfile.read(leg, dtype="float64")
    return float(np.argmax(np.abs(samples) > 0.05) / rate_hz)


def _strongest(samples: Samples, rate_hz: int) -> tuple[float, float]:
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    found = float(hertz[int(np.argmax(power))])
    return found, float(power[np.abs(hertz - found) < 10].sum() / power.sum())


def tones_of(samples: Samples, rate_hz: int, share: float = 0.1, window_s: float = 0.25, least_s: float = 0.75) -> list[float]:
    """The tones heard for `least_s` or longer, also at different times, to 20 Hz.

    Each with that share of the power then.
    """
    size = round(rate_hz * window_s)
    windows = samples[: len(samples) // size * size].reshape(-1, size)
    windows = windows[np.sqrt(np.mean(windows**2, axis=1)) > 0.005]
    power = np.abs(np.fft.rfft(windows * np.hanning(size), axis=1)) ** 2
    edges = np.searchsorted(np.fft.rfftfreq(size, 1 / rate_hz), np.arange(-10, rate_hz / 2 - 10, 20))
    bands = np.add.reduceat(power, edges, axis=1)
    strong = bands > share * bands.sum(axis=1, keepdims=True)
    return [float(20 * number) for number in np.flatnonzero(strong.sum(axis=0) * window_s >= least_s)]


def pauses_in(samples: Samples, rate_hz: int, least_s: float = 0.3) -> list[tuple[float, float]]:
    """The silent stretches (begin and end, seconds) between sounds, of at least that length."""
    step = rate_hz // 100
    loud = np.sqrt(np.mean(samples[: len(samples) // step * step].reshape(-1, step) ** 2, axis=1)) > 0.02
    edges = np.flatnonzero(np.diff(loud.astype(int)))
    pairs = [(begin, end) for begin, end in itertools.pairwise(edges) if not loud[begin + 1]]
    return [((begin + 1) / 100, (end + 1) / 100) for begin, end in pairs if end - begin >= least_s * 100]
