"""Measure the peaks of the waveform while the blocks are encoded."""

import json
from typing import Final

import numpy as np

from mixer.legs import Samples

_FINEST_PER_SECOND: Final = 20
_LADDER_PER_SECOND: Final = (20, 10, 5, 4, 2, 1)
# Per side: 4 hours have 14,400 points and 100 kB of JSON; from 5.5 hours on it is 1 per second.
_MOST_POINTS: Final = 20_000
_TOP: Final = 255


def peaks_per_second(samples: int, rate_hz: int) -> int:
    """Return the resolution of a waveform: 20 points per second, fewer for long recordings."""
    for per_second in _LADDER_PER_SECOND:
        if samples * per_second <= _MOST_POINTS * rate_hz:
            return per_second
    return _LADDER_PER_SECOND[-1]


class PeakMeter:
    """Keep the highest absolute value of each stretch of each channel, as 0..255 (full scale)."""

    def __init__(self, *, samples: int, rate_hz: int, channels: int) -> None:
        self.per_second = peaks_per_second(samples, rate_hz)
        self._step = rate_hz // _FINEST_PER_SECOND
        self._steps_per_point = _FINEST_PER_SECOND // self.per_second
        self._steps_seen = 0
        points = -(-samples // (self._step * self._steps_per_point))
        self._highest = np.zeros((points, channels), np.int32)

    def take(self, block: Samples) -> None:
        """Measure a block of shape (n, channels).

        The length of every block but the last must be a multiple of 1/20 s.
        """
        starts = np.arange(0, len(block), self._step)
        highest = np.maximum.reduceat(block, starts).astype(np.int32)
        lowest = np.minimum.reduceat(block, starts).astype(np.int32)
        points = (self._steps_seen + np.arange(len(starts))) // self._steps_per_point
        np.maximum.at(self._highest, points, np.maximum(highest, -lowest))
        self._steps_seen += len(starts)

    def json(self, speech: str = "") -> str:
        """Return the text of the peaks file (`fonoteka.core.manifest.Mixed`): mono uses `left`."""
        scaled = (self._highest * _TOP + 16384) // 32768
        left, *rest = (channel.tolist() for channel in scaled.T)
        right = rest[0] if rest else []
        peaks = {"per_second": self.per_second, "left": left, "right": right} | ({"speech": speech} if speech else {})
        return json.dumps(peaks, separators=(",", ":"))
