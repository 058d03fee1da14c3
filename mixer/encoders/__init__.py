"""The formats a recording can be written in, each behind the same two methods."""

from typing import BinaryIO, Protocol

from fonoteka.core.manifest import AudioFormat
from mixer.legs import Samples


class Encoder(Protocol):
    """Writes blocks of shape (n, channels) to an open file. The file's owner closes and syncs it."""

    def write(self, block: Samples) -> None:
        """Encode the next block. Raises OSError if the file cannot take it."""

    def finish(self) -> None:
        """Write what is left, and whatever of the header is only known now."""


def encoder_for(audio_format: AudioFormat, file: BinaryIO, *, rate_hz: int, channels: int, samples: int) -> Encoder:
    """The encoder of a format; `samples` is how many each channel will have.

    The codecs' libraries are loaded here and not at the top: a worker holds those of the format it makes, no others.
    """
    match audio_format:
        case AudioFormat.OPUS:
            from mixer.encoders.ffmpeg import opus

            return opus(file, rate_hz=rate_hz, channels=channels)
        case AudioFormat.FLAC:
            from mixer.encoders.ffmpeg import flac

            return flac(file, rate_hz=rate_hz, channels=channels)
        case AudioFormat.MP3:
            from mixer.encoders.mp3 import Mp3

            return Mp3(file, rate_hz=rate_hz, channels=channels)
        case AudioFormat.WAV:
            from mixer.encoders.wav import Wav

            return Wav(file, rate_hz=rate_hz, channels=channels, samples=samples)
