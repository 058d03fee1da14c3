"""Resample a leg block by block with FFmpeg's resampler (PyAV)."""

from collections.abc import Iterable, Iterator

import av
import numpy as np

from mixer.legs import Samples


def resampled(blocks: Iterable[Samples], from_hz: int, to_hz: int) -> Iterator[Samples]:
    """Yield the same sound at another rate, in blocks of any length; sample 0 stays sample 0.

    The result may be a few samples longer or shorter than the exact ratio: the timeline pads and
    cuts.
    """
    resampler = av.AudioResampler(format="s16", layout="mono", rate=to_hz)
    position = 0
    for block in blocks:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = from_hz, position
        position += len(block)
        for out in resampler.resample(frame):
            yield out.to_ndarray().reshape(-1).astype(np.int16, copy=False)
    for out in resampler.resample(None):
        yield out.to_ndarray().reshape(-1).astype(np.int16, copy=False)
