"""Join segments into one file, or convert a file, by decoding and encoding it block by block.

Opus packets cannot simply be concatenated: the pre-skip at the start of a stream and the padding of
its last packet can be cut only at the ends of a file, so each joint would add up to 66 ms and the
offsets of the segments would be wrong (RFC 7845, 4.2 and 4.4).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from io import BufferedReader
from pathlib import Path
from typing import Final, cast

import av
import numpy as np
from av.audio.stream import AudioStream

from fonoteka.core.codec_settings import MP3_KBITS_PER_SECOND, NOTHING_ELSE, CodecSettings, next_rate_hz, opus_settings
from fonoteka.core.errors import ConversionAbandoned, StoreError
from fonoteka.core.manifest import AudioFormat, Layout

_ENCODERS: Final = {
    AudioFormat.OPUS: "libopus",
    AudioFormat.MP3: "libmp3lame",
    AudioFormat.FLAC: "flac",
    AudioFormat.WAV: "pcm_s16le",
}
_CONTAINERS: Final = {AudioFormat.OPUS: "ogg", AudioFormat.MP3: "mp3", AudioFormat.FLAC: "flac", AudioFormat.WAV: "wav"}
_CODECS: Final = {AudioFormat.OPUS: "opus", AudioFormat.MP3: "mp3", AudioFormat.FLAC: "flac", AudioFormat.WAV: "pcm_s16le"}
_FASTER_LAME: Final = {"compression_level": "7"}  # the mixer's 5 takes twice as long; inaudible at 8 kHz
_DURATION_TOLERANCE_S: Final = 1.0

Samples = np.ndarray[tuple[int, int], np.dtype[np.int16]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A stored recording, and the format and length in the index. The file is not trusted."""

    open: Callable[[], AbstractContextManager[BufferedReader]]
    format: AudioFormat
    duration_ms: int


def write_joined(
    sources: Sequence[Source],
    draft: Path,
    abandoned: Callable[[], bool] = lambda: False,
    *,
    audio_format: AudioFormat,
    layout: Layout,
    rate_hz: int,
) -> None:
    """Encode the sources, in order, into `draft`; its length is their sum, exact to the sample.

    `rate_hz` and `layout` are those of the richest source. The same sources give the same bytes.
    Raises StoreError if a source is missing, damaged or not of its format by the index, and
    ConversionAbandoned once `abandoned` returns True.
    """
    rate = next_rate_hz(rate_hz)
    try:
        with av.open(str(draft), "w", format=_CONTAINERS[audio_format], options=NOTHING_ELSE) as container:
            settings = _settings(audio_format, rate, channels=2 if layout is Layout.STEREO else 1)
            stream = container.add_stream(_ENCODERS[audio_format], rate=rate, options=settings.options)
            assert isinstance(stream, AudioStream)
            stream.layout = layout.value
            if settings.bits_per_second:
                stream.bit_rate = settings.bits_per_second
            position = 0
            for source in sources:
                for frame in _decoded(source, layout, rate):
                    if abandoned():
                        raise ConversionAbandoned
                    frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
                    position += frame.samples
                    container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (av.FFmpegError, OSError) as error:
        raise StoreError(f"audio cannot be joined: {error}") from error


def _settings(audio_format: AudioFormat, rate: int, channels: int) -> CodecSettings:
    match audio_format:
        case AudioFormat.OPUS:
            return opus_settings(rate, channels)
        case AudioFormat.MP3:
            return CodecSettings(bits_per_second=MP3_KBITS_PER_SECOND[rate, channels] * 1000, options=_FASTER_LAME)
        case _:
            return CodecSettings(bits_per_second=None, options={})


def _decoded(source: Source, layout: Layout, rate: int) -> Iterator[av.AudioFrame]:
    """Yield frames of 16-bit samples, together exactly as long as the source, rounded to a sample.

    FFmpeg does not guess the format: some formats are lists of other files to read. Decoding stops
    at the length by the index: a few bytes can be hours of silence.
    """
    resampler = av.AudioResampler(format="s16", layout=layout.value, rate=rate)
    seconds, written = 0.0, 0
    with source.open() as file, av.open(file, "r", format=_CONTAINERS[source.format]) as container:
        if [stream.codec_context.codec.canonical_name for stream in container.streams] != [_CODECS[source.format]]:
            raise StoreError(f"a recording is not in the format {source.format}")
        for frame in container.decode(audio=0):
            seconds += frame.samples / frame.sample_rate
            if seconds > source.duration_ms / 1000 + _DURATION_TOLERANCE_S:
                break
            for block in resampler.resample(frame):
                written += block.samples
                yield block
    if not seconds:
        raise StoreError("a recording has no sound")
    # The resampler holds back a few samples, and its output may differ by one sample.
    channels = 2 if layout is Layout.STEREO else 1
    held_back = [cast(Samples, block.to_ndarray()) for block in resampler.resample(None)]
    rest = np.concatenate([*held_back, np.zeros((1, channels), np.int16)], axis=1)
    missing = (round(seconds * rate) - written) * channels
    if missing > 0:
        fitted = np.pad(rest, ((0, 0), (0, max(0, missing - rest.shape[1]))))[:, :missing]
        yield av.AudioFrame.from_ndarray(fitted, format="s16", layout=layout.value)
