"""What a file is by its first bytes: what was announced as a recording must at least begin as one.

Whoever decodes it later goes by the announced format alone; a file that lets FFmpeg open other files must not get here.
"""

import re
from collections.abc import AsyncIterator
from typing import Final

from fonoteka.core.manifest import AudioFormat

_BEGINNINGS: Final = {
    AudioFormat.OPUS: re.compile(rb"OggS.{24}OpusHead", re.DOTALL),  # RFC 7845, 3: alone in the first page, one lacing value
    AudioFormat.MP3: re.compile(rb"ID3|\xff[\xe2-\xff]"),  # a tag, or the sync word of a frame
    AudioFormat.FLAC: re.compile(rb"fLaC"),
    AudioFormat.WAV: re.compile(rb"RIFF.{4}WAVE", re.DOTALL),
}
_ENOUGH_BYTES: Final = 36


def is_kind(audio_format: AudioFormat, beginning: bytes) -> bool:
    """Whether a file that begins so (its first 36 bytes, or all of it) can be of this format."""
    return _BEGINNINGS[audio_format].match(beginning) is not None


async def checked_kind(chunks: AsyncIterator[bytes], audio_format: AudioFormat, otherwise: Exception) -> AsyncIterator[bytes]:
    """The chunks as they come; raises `otherwise` at their end where they are no such file."""
    beginning = b""
    async for chunk in chunks:
        beginning += chunk[: _ENOUGH_BYTES - len(beginning)]
        yield chunk
    if not is_kind(audio_format, beginning):
        raise otherwise
