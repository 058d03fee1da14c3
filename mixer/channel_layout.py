"""Turn the two sides of a talk into the channels of the recording: side by side, or summed."""

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fonoteka.core.manifest import Layout
from mixer.legs import Samples
from mixer.timeline import Timeline

Blend = Callable[[Samples], Samples]
"""Takes a block of both sides, shape (n, 2); returns a block of shape (n, channels)."""

CHANNELS: Final = {Layout.STEREO: 2, Layout.MONO: 1}
_FULL_SCALE: Final = 32767


def blend_for(layout: Layout, timeline: Timeline) -> Blend:
    """Return the blend of a layout.

    Mono is summed in 32 bits. If the sum passes full scale anywhere, the whole recording is turned
    down by its highest peak: nothing wraps, nothing is clipped and nothing pumps. The peak must be
    measured before, so the legs are read twice: 0.15 s of the 9 s that an hour of talk takes.
    """
    if layout is Layout.STEREO:
        return _side_by_side
    gain = min(1.0, _FULL_SCALE / max(1, loudest_sum(timeline.blocks())))
    return lambda block: _summed(block, gain)


def loudest_sum(blocks: Iterable[Samples]) -> int:
    """Return the highest absolute value of left + right in all blocks."""
    return max((int(np.abs(_sum(block)).max()) for block in blocks), default=0)


def _side_by_side(block: Samples) -> Samples:
    return block


def _summed(block: Samples, gain: float) -> Samples:
    total = _sum(block) if gain == 1.0 else np.rint(_sum(block) * gain)
    return total.astype(np.int16).reshape(-1, 1)


def _sum(block: Samples) -> NDArray[np.int32]:
    # 15 times as fast as block.sum(axis=1)
    total: NDArray[np.int32] = np.add(block[:, 0], block[:, 1], dtype=np.int32)
    return total
