"""Align both legs: side by side from the first sample, as long as the longer leg, at one rate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fonoteka.core.call_report import MutedSpan
from fonoteka.core.codec_settings import RATES_HZ, next_rate_hz
from mixer.legs import Leg, Samples

# Eighty Opus frames, 77 kB per side: blocks twice as long save nothing, 2400 ms costs 1 % more.
_BLOCK_MS: Final = 4800


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """Both legs at one rate.

    `samples` is the length of each side, `block_samples` the length of every block but the last.
    The spans in `muted` are silent even if the legs hold sound: a recorder that replaced a paused
    recorder was paused a moment later.
    """

    outside: Leg
    employee: Leg
    rate_hz: int
    samples: int
    block_samples: int
    muted: Sequence[MutedSpan] = ()

    def blocks(self) -> Iterator[Samples]:
        """Yield blocks of shape (n, 2): outside party left, employee right, each contiguous.

        The shorter side ends in silence.
        """
        sides = (self._side(self.outside), self._side(self.employee))
        for start in range(0, self.samples, self.block_samples):
            block = np.empty((min(self.block_samples, self.samples - start), 2), np.int16, order="F")
            for channel, side in enumerate(sides):
                block[:, channel] = next(side)[: len(block)]
            for span in self.muted:
                begin = max(0, span.from_ms * self.rate_hz // 1000 - start)
                end = max(0, span.to_ms * self.rate_hz // 1000 - start)
                block[begin:end] = 0
            yield block

    def _side(self, leg: Leg) -> Iterator[Samples]:
        """Yield a leg's samples at the timeline's rate in full blocks, then endless silence."""
        at_rate: Iterator[Samples] = leg.blocks(self.block_samples)
        if leg.samples and leg.rate_hz != self.rate_hz:
            from mixer.resampling import resampled  # loads FFmpeg

            at_rate = resampled(at_rate, leg.rate_hz, self.rate_hz)
        block, filled = np.zeros(self.block_samples, np.int16), 0
        for piece in at_rate:
            while len(piece):
                taken = min(len(piece), self.block_samples - filled)
                block[filled : filled + taken] = piece[:taken]
                piece, filled = piece[taken:], filled + taken
                if filled == self.block_samples:
                    yield block
                    filled = 0
        block[filled:] = 0
        yield block
        block[:] = 0
        while True:
            yield block


def align(outside: Leg, employee: Leg, talked_hz: int | None = None, muted: Sequence[MutedSpan] = ()) -> Timeline:
    """Align two legs at the higher rate of those that have audio, but not above `talked_hz`.

    A leg at a higher rate than the codec that was talked holds no more sound.
    """
    wanted_hz = max((leg.rate_hz for leg in (outside, employee) if leg.samples), default=RATES_HZ[0])
    rate_hz = next_rate_hz(min(wanted_hz, talked_hz or wanted_hz))
    return Timeline(
        outside=outside,
        employee=employee,
        rate_hz=rate_hz,
        samples=max(leg.length_at(rate_hz) for leg in (outside, employee)),
        block_samples=rate_hz * _BLOCK_MS // 1000,
        muted=muted,
    )
