"""Clocks for waiting, and jumps of the wall clock.

The wall clock dates calls and rows. It jumps when an operator or NTP sets it, so nothing that waits
may compare its times (docs/decisions/0030-links-and-clocks.md).
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

_BEGIN: Final = datetime(2000, 1, 1, tzinfo=UTC)
LEAST_JUMP_S: Final = 0.5
_TOGETHER_S: Final = 0.01


def steady_now() -> datetime:
    """Return a moment of the monotonic clock: for waits and limits, never for a row or a file."""
    return _BEGIN + timedelta(seconds=time.monotonic())


class WallClock:
    """Notices jumps of the wall clock against the monotonic clock (both in seconds)."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self.steady_s = wall, steady
        self._ahead_s = self._measured_s()

    def jumped_s(self) -> float:
        """Return how far the wall clock has jumped since the last call; 0 for less than 0.5 s."""
        ahead_s = self._measured_s()
        by_s, self._ahead_s = ahead_s - self._ahead_s, ahead_s
        return by_s if abs(by_s) >= LEAST_JUMP_S else 0.0

    def _measured_s(self) -> float:
        """Return the difference of the clocks, read within 10 ms: the process may stand still."""
        while True:
            before_s, wall_s, after_s = self.steady_s(), self._wall(), self.steady_s()
            if after_s - before_s < _TOGETHER_S:
                return wall_s - after_s
