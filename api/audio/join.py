"""Make the sound of a call one file, or convert a file, by decoding and encoding it block by block.

Opus packets cannot simply be concatenated: the pre-skip at the start of a stream and the padding of
its last packet can be cut only at the ends of a file, so each joint would add up to 66 ms and the
offsets of the segments would be wrong (RFC 7845, 4.2 and 4.4).
"""

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
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
from store.intake.one_sound import Piece

_ENCODERS: Final = {
    AudioFormat.OPUS: "libopus",
    AudioFormat.MP3: "libmp3lame",
    AudioFormat.FLAC: "flac",
    AudioFormat.WAV: "pcm_s16le",
}
_CONTAINERS: Final = {AudioFormat.OPUS: "ogg", AudioFormat.MP3: "mp3", AudioFormat.FLAC: "flac", AudioFormat.WAV: "wav"}
_CODECS: Final = {AudioFormat.OPUS: "opus", AudioFormat.MP3: "mp3", AudioFormat.FLAC: "flac", AudioFormat.WAV: "pcm_s16le"}
_FASTER_LAME: Final = {"compression_level": "7"}  # the mixer's 5 takes twice as long; inaudible at 8 kHz
_CHANNELS: Final = {Layout.STEREO: 2, Layout.MONO: 1}

Samples = np.ndarray[tuple[int, int], np.dtype[np.int16]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A stored recording, its format in the index, and what is heard of it.

    The file is not trusted.
    """

    open: Callable[[], AbstractContextManager[BufferedReader]]
    format: AudioFormat
    piece: Piece


def write_joined(
    sources: Sequence[Source],
    draft: Path,
    abandoned: Callable[[], bool] = lambda: False,
    *,
    audio_format: AudioFormat,
    layout: Layout,
    rate_hz: int,
) -> None:
    """Encode what is heard of the sources into `draft`, exact to the sample.

    `rate_hz` and `layout` are those of the richest source. The same sources give the same bytes.
    Raises StoreError if a source is missing, damaged or not of its format by the index, and
    ConversionAbandoned once `abandoned` returns True.
    """
    rate = next_rate_hz(rate_hz)
    try:
        with av.open(str(draft), "w", format=_CONTAINERS[audio_format], options=NOTHING_ELSE) as container:
            settings = _settings(audio_format, rate, channels=_CHANNELS[layout])
            stream = container.add_stream(_ENCODERS[audio_format], rate=rate, options=settings.options)
            assert isinstance(stream, AudioStream)
            stream.layout = layout.value
            if settings.bits_per_second:
                stream.bit_rate = settings.bits_per_second
            position = 0
            for samples in _mixed([_Playing(source, layout, rate) for source in sources], rate):
                if abandoned():
                    raise ConversionAbandoned
                frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout.value)
                frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
                position += frame.samples
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (av.FFmpegError, OSError) as error:
        raise StoreError(f"audio cannot be joined: {error}") from error


class _Playing:
    """A source that is decoded as far as it is needed. `begin` and `end` are its place, in samples.

    What the file lacks of its length by the index is silence.
    """

    def __init__(self, source: Source, layout: Layout, rate: int) -> None:
        piece = source.piece
        self.begin = piece.offset_ms * rate // 1000
        self.end = (piece.offset_ms + piece.duration_ms) * rate // 1000
        self._unheard = piece.from_ms * rate // 1000
        self._channels = _CHANNELS[layout]
        self._blocks = _decoded(source, layout, rate)
        self._rest = np.zeros((1, 0), np.int16)

    def take(self, count: int) -> Samples:
        """Return the next samples, and read no further."""
        self._take(self._unheard)
        self._unheard = 0
        return self._take(count)

    def close(self) -> None:
        """Close the file."""
        self._blocks.close()

    def _take(self, count: int) -> Samples:
        wanted, blocks, found = count * self._channels, [self._rest], self._rest.shape[1]
        while found < wanted and (block := next(self._blocks, None)) is not None:
            blocks.append(block)
            found += blocks[-1].shape[1]
        samples = np.concatenate(blocks, axis=1)
        self._rest = samples[:, wanted:]
        return np.pad(samples[:, :wanted], ((0, 0), (0, max(0, wanted - found))))


def _mixed(playing: Sequence[_Playing], rate: int) -> Iterator[Samples]:
    """Yield the sound, a second at a time: the sum of the sources at each moment."""
    edges = sorted({0, *(source.begin for source in playing), *(source.end for source in playing)})
    for begin, end in itertools.pairwise(edges):
        heard = [source for source in playing if source.begin <= begin and end <= source.end]
        for start in range(begin, end, rate):
            taken = [source.take(min(rate, end - start)) for source in heard]
            yield taken[0] if len(taken) == 1 else _sum(taken)
        for source in heard:
            if source.end == end:
                source.close()


def _sum(sounds: Sequence[Samples]) -> Samples:
    return np.clip(np.sum(sounds, axis=0, dtype=np.int32), -32768, 32767).astype(np.int16)


def _settings(audio_format: AudioFormat, rate: int, channels: int) -> CodecSettings:
    match audio_format:
        case AudioFormat.OPUS:
            return opus_settings(rate, channels)
        case AudioFormat.MP3:
            return CodecSettings(bits_per_second=MP3_KBITS_PER_SECOND[rate, channels] * 1000, options=_FASTER_LAME)
        case _:
            return CodecSettings(bits_per_second=None, options={})


def _decoded(source: Source, layout: Layout, rate: int) -> Generator[Samples]:
    """Yield blocks of 16-bit samples. Nobody asks for more than the index says.

    A few bytes can be hours of silence. FFmpeg does not guess the format: some formats are lists of
    other files to read.
    """
    resampler = av.AudioResampler(format="s16", layout=layout.value, rate=rate)
    is_empty = True
    with source.open() as file, av.open(file, "r", format=_CONTAINERS[source.format]) as container:
        if [stream.codec_context.codec.canonical_name for stream in container.streams] != [_CODECS[source.format]]:
            raise StoreError(f"a recording is not in the format {source.format}")
        for frame in itertools.chain(container.decode(audio=0), [None]):  # the resampler holds back a few samples
            for block in resampler.resample(frame):
                is_empty = False
                yield cast(Samples, block.to_ndarray())
    if is_empty:
        raise StoreError("a recording has no sound")
