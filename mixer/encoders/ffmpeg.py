"""Ogg Opus and FLAC, by PyAV (FFmpeg's libraries in this process)."""

from typing import BinaryIO, Final, Literal

import av
import numpy as np

from fonoteka.core.codec_settings import NOTHING_ELSE, opus_settings
from mixer.legs import Samples

av.logging.set_level(av.logging.ERROR)

_LAYOUTS: Final = {1: "mono", 2: "stereo"}


class FfmpegEncoder:
    """One audio stream in one container."""

    def __init__(
        self,
        file: BinaryIO,
        *,
        container: str,
        codec: Literal["libopus", "flac"],
        rate_hz: int,
        channels: int,
        options: dict[str, str],
        bits_per_second: int | None = None,
    ) -> None:
        self._rate_hz = rate_hz
        self._layout = _LAYOUTS[channels]
        self._container = av.open(file, "w", format=container, options=NOTHING_ELSE)
        self._stream = self._container.add_stream(codec, rate=rate_hz, options=options, layout=self._layout, format="s16")
        if bits_per_second:
            self._stream.bit_rate = bits_per_second
        self._position = 0

    def write(self, block: Samples) -> None:
        """Encode the next block (`mixer.encoders.Encoder`)."""
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), format="s16", layout=self._layout)
        frame.sample_rate, frame.pts = self._rate_hz, self._position
        self._position += len(block)
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Flush the codec and write the container's end (for FLAC also the length, at the file's start)."""
        self._container.mux(self._stream.encode(None))
        self._container.close()


def opus(file: BinaryIO, *, rate_hz: int, channels: int) -> FfmpegEncoder:
    """Ogg Opus; the length is sample-exact (the last page's granule position, RFC 7845 section 4.4)."""
    settings = opus_settings(rate_hz, channels)
    return FfmpegEncoder(
        file,
        container="ogg",
        codec="libopus",
        rate_hz=rate_hz,
        channels=channels,
        options=settings.options,
        bits_per_second=settings.bits_per_second,
    )


def flac(file: BinaryIO, *, rate_hz: int, channels: int) -> FfmpegEncoder:
    """FLAC, lossless."""
    return FfmpegEncoder(file, container="flac", codec="flac", rate_hz=rate_hz, channels=channels, options={})
