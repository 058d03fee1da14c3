"""Signatures of audio files: a recording must begin as its format does.

Decoders use the announced format alone. A file that makes FFmpeg open other files is refused.
"""

import re
from collections.abc import AsyncIterator
from typing import Final

from fonoteka.core.manifest import AudioFormat

_BEGINNINGS: Final = {
    AudioFormat.OPUS: re.compile(rb"OggS.{24}OpusHead", re.DOTALL),  # RFC 7845, 3: alone in the first page
    AudioFormat.MP3: re.compile(rb"ID3|\xff[\xe2-\xff]"),  # a tag, or the sync word of a frame
    AudioFormat.FLAC: re.compile(rb"fLaC"),
    AudioFormat.WAV: re.compile(rb"RIFF.{4}WAVE", re.DOTALL),
}
_ENOUGH_BYTES: Final = 36


def is_kind(audio_format: AudioFormat, beginning: bytes) -> bool:
    """Whether the first 36 bytes of a file, or all of it, match a format."""
    return _BEGINNINGS[audio_format].match(beginning) is not None


async def checked_kind(chunks: AsyncIterator[bytes], audio_format: AudioFormat, otherwise: Exception) -> AsyncIterator[bytes]:
    """Yield chunks unchanged; raise `otherwise` at the end if the format does not match."""
    beginning = b""
    async for chunk in chunks:
        beginning += chunk[: _ENOUGH_BYTES - len(beginning)]
        yield chunk
    if not is_kind(audio_format, beginning):
        raise otherwise
