"""Plain WAV: 44 bytes and the samples."""

import struct
from typing import BinaryIO, Final

import numpy as np

from mixer.legs import SAMPLE, Samples

_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")
_MOST: Final = 0xFFFFFFFF  # what a RIFF size can say: 37 hours of 8 kHz stereo; beyond, readers go by the file's size


class Wav:
    """16-bit PCM; the length is known beforehand, so nothing has to be mended at the end."""

    def __init__(self, file: BinaryIO, *, rate_hz: int, channels: int, samples: int) -> None:
        self._file = file
        frame_bytes = channels * SAMPLE.itemsize
        data_bytes = min(samples * frame_bytes, _MOST - _HEADER.size)
        fields = (16, 1, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, 16)
        file.write(_HEADER.pack(b"RIFF", data_bytes + _HEADER.size - 8, b"WAVE", b"fmt ", *fields, b"data", data_bytes))

    def write(self, block: Samples) -> None:
        """Write the next block (`mixer.encoders.Encoder`)."""
        self._file.write(np.ascontiguousarray(block, SAMPLE).data)

    def finish(self) -> None:
        """Nothing is left to write."""
