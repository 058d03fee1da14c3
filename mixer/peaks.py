"""The waveform's peaks, taken while the blocks pass by."""

import json
from typing import Final

import numpy as np

from mixer.legs import Samples

_FINEST_PER_SECOND: Final = 20
_LADDER_PER_SECOND: Final = (20, 10, 5, 4, 2, 1)
_MOST_POINTS: Final = 20_000  # per side: 4 hours have 14,400 points and 100 kB of JSON; from 5.5 hours on it is 1 per second
_TOP: Final = 255


def peaks_per_second(samples: int, rate_hz: int) -> int:
    """How finely a recording's waveform is drawn: 20 points a second, fewer the longer it is."""
    fitting = (per_second for per_second in _LADDER_PER_SECOND if samples * per_second <= _MOST_POINTS * rate_hz)
    return next(fitting, _LADDER_PER_SECOND[-1])


class PeakMeter:
    """The highest absolute value of each stretch of each channel, on a scale of 0..255 (255 is full scale)."""

    def __init__(self, *, samples: int, rate_hz: int, channels: int) -> None:
        self.per_second = peaks_per_second(samples, rate_hz)
        self._step = rate_hz // _FINEST_PER_SECOND
        self._steps_per_point = _FINEST_PER_SECOND // self.per_second
        self._steps_seen = 0
        points = -(-samples // (self._step * self._steps_per_point))
        self._highest = np.zeros((points, channels), np.int32)

    def take(self, block: Samples) -> None:
        """Measure a block of shape (n, channels). Every block but the last must be a whole number of 1/20 s."""
        starts = np.arange(0, len(block), self._step)
        highest = np.maximum.reduceat(block, starts).astype(np.int32)
        lowest = np.minimum.reduceat(block, starts).astype(np.int32)
        points = (self._steps_seen + np.arange(len(starts))) // self._steps_per_point
        np.maximum.at(self._highest, points, np.maximum(highest, -lowest))
        self._steps_seen += len(starts)

    def json(self) -> str:
        """The peaks file (`fonoteka.core.manifest.Mixed`): mono has its one list in `left`."""
        scaled = (self._highest * _TOP + 16384) // 32768
        left, *rest = (channel.tolist() for channel in scaled.T)
        return json.dumps({"per_second": self.per_second, "left": left, "right": rest[0] if rest else []}, separators=(",", ":"))
