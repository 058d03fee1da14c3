"""The waveform's peaks: the highest value of each stretch, per side."""

import json
from pathlib import Path

import numpy as np
import pytest

from fonoteka.core.manifest import AudioFormat, Layout
from mixer.peaks import PeakMeter, peaks_per_second
from tests.support.legs import mix, wav, write_item

HOUR_S = 3600


@pytest.mark.parametrize(
    ("seconds", "rate_hz", "per_second"),
    [
        (5, 8000, 20),
        (1000, 8000, 20),
        (1001, 8000, 10),
        (HOUR_S, 8000, 5),
        (HOUR_S, 16000, 5),
        (4 * HOUR_S, 8000, 1),
        (24 * HOUR_S, 8000, 1),
    ],
)
def test_long_recordings_are_drawn_more_coarsely(seconds: int, rate_hz: int, per_second: int) -> None:
    assert peaks_per_second(seconds * rate_hz, rate_hz) == per_second


def test_each_point_is_the_highest_of_its_stretch(tmp_path: Path) -> None:
    """A single loud sample in each 50 ms of each side, at either end of the stretch."""
    outside, employee = np.zeros(8000 + 1, np.int16), np.zeros(8000 + 1, np.int16)
    for point in range(20):
        outside[400 * point] = 1600 * point
        employee[400 * point + 399] = -1600 * point
    outside[8000], employee[8000] = 32767, -32768
    mixed = mix(write_item(tmp_path / "item", wav(outside), wav(employee)), AudioFormat.WAV, Layout.STEREO)
    peaks = json.loads((tmp_path / "item" / mixed.peaks_file).read_text())
    expected = [round(1600 * point * 255 / 32768) for point in range(20)] + [255]
    assert (peaks["per_second"], peaks["left"], peaks["right"]) == (20, expected, expected)


def test_mono_has_one_list(tmp_path: Path) -> None:
    leg = np.full(800, 8000, np.int16)
    mixed = mix(write_item(tmp_path / "item", wav(leg), wav(leg)), AudioFormat.WAV, Layout.MONO)
    peaks = json.loads((tmp_path / "item" / mixed.peaks_file).read_text())
    assert (peaks["per_second"], peaks["left"], peaks["right"]) == (20, [round(16000 * 255 / 32768)] * 2, [])


@pytest.mark.parametrize("seconds", [1001, 2501, 9000])
def test_coarse_points_are_the_highest_of_the_fine_ones(seconds: int) -> None:
    loudness = np.random.default_rng(3).integers(0, 32767, seconds * 20, np.int16)
    meter = PeakMeter(samples=seconds * 8000, rate_hz=8000, channels=1)
    for first in range(0, len(loudness), 12):
        meter.take(np.repeat(loudness[first : first + 12], 400).reshape(-1, 1))
    fine_per_point = 20 // meter.per_second
    padded = np.pad(loudness, (0, -len(loudness) % fine_per_point)).reshape(-1, fine_per_point).max(axis=1)
    assert json.loads(meter.json())["left"] == [round(int(level) * 255 / 32768) for level in padded]
