"""Encode a recording as Ogg Opus, MP3, FLAC or WAV with PyAV (FFmpeg's libraries in-process)."""

from dataclasses import dataclass
from typing import BinaryIO, Final, Literal

import av
import numpy as np

from fonoteka.core.codec_settings import (
    MP3_KBITS_PER_SECOND,
    NOTHING_ELSE,
    CodecSettings,
    opus_settings,
)
from fonoteka.core.manifest import AudioFormat
from mixer.legs import Samples

av.logging.set_level(av.logging.ERROR)

_LAYOUTS: Final = {1: "mono", 2: "stereo"}
_LAME_QUALITY: Final = {"compression_level": "5"}  # 2 is the best, 7 the fastest


@dataclass(frozen=True, kw_only=True, slots=True)
class _Target:
    """FFmpeg's names for a format. `samples` is the sample format that the codec accepts."""

    container: str
    codec: Literal["libopus", "libmp3lame", "flac", "pcm_s16le"]
    samples: Literal["s16", "s16p"] = "s16"


_TARGETS: Final = {
    AudioFormat.OPUS: _Target(container="ogg", codec="libopus"),
    AudioFormat.MP3: _Target(container="mp3", codec="libmp3lame", samples="s16p"),
    AudioFormat.FLAC: _Target(container="flac", codec="flac"),
    AudioFormat.WAV: _Target(container="wav", codec="pcm_s16le"),
}


class Encoder:
    """Encode blocks of 16-bit samples into an open file. The caller closes and syncs the file.

    The length of every format is exact to the sample: by the granule position of the last page for
    Opus (RFC 7845 section 4.4), by the Info frame for MP3, by the header for FLAC and WAV.
    """

    def __init__(self, file: BinaryIO, audio_format: AudioFormat, *, rate_hz: int, channels: int) -> None:
        target = _TARGETS[audio_format]
        settings = _settings(audio_format, rate_hz, channels)
        self._rate_hz = rate_hz
        self._layout = _LAYOUTS[channels]
        self._container = av.open(file, "w", format=target.container, options=NOTHING_ELSE)
        self._stream = self._container.add_stream(
            target.codec,
            rate=rate_hz,
            options=settings.options,
            layout=self._layout,
            format=target.samples,
        )
        if settings.bits_per_second:
            self._stream.bit_rate = settings.bits_per_second
        self._position = 0

    def write(self, block: Samples) -> None:
        """Encode the next block of shape (n, channels). Raises OSError if the file cannot grow."""
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block.T), format="s16p", layout=self._layout)
        frame.sample_rate, frame.pts = self._rate_hz, self._position
        self._position += len(block)
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Flush the codec, write the end of the container and the length into its header."""
        self._container.mux(self._stream.encode(None))
        self._container.close()


def _settings(audio_format: AudioFormat, rate_hz: int, channels: int) -> CodecSettings:
    match audio_format:
        case AudioFormat.OPUS:
            return opus_settings(rate_hz, channels)
        case AudioFormat.MP3:  # a constant bit rate, so that a player seeks exactly
            bits_per_second = MP3_KBITS_PER_SECOND[rate_hz, channels] * 1000
            return CodecSettings(bits_per_second=bits_per_second, options=_LAME_QUALITY)
        case _:
            return CodecSettings(bits_per_second=None, options={})
