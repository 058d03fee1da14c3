"""Read the header of a leg and find the real length of its audio.

Asterisk writes a 44-byte RIFF header whose size is 0 until the file is closed. After a crash it
stays 0 although the audio is there, and libsndfile and sox then read 0 samples without an error.
Where the header cannot be true, the size of the file gives the length.
"""

import struct
from dataclasses import dataclass
from typing import Final

from fonoteka.core.call_report import Reason
from fonoteka.core.errors import AudioError

HEAD_BYTES: Final = 4096  # more than any header before the audio: Asterisk's is 44
_PCM: Final = 1
_EXTENSIBLE: Final = 0xFFFE
_BYTES_PER_SAMPLE: Final = 2
_RATES_HZ: Final = range(8_000, 48_001)


@dataclass(frozen=True, kw_only=True, slots=True)
class WavShape:
    """Where the samples of a 16-bit mono WAV are.

    `damage` says what was wrong with the header; None: nothing. `rate_hz` is None only if the
    header is cut off before the rate; `samples` is then 0.
    """

    rate_hz: int | None
    offset_bytes: int
    samples: int
    damage: str | None = None


def read_header(head: bytes, file_bytes: int) -> WavShape:
    """Return the shape of a leg from its first bytes and its size.

    `head` is the start of the file (`HEAD_BYTES`, or the whole file). Raises
    AudioError(AUDIO_DAMAGED) if the file is no WAV, or not 16-bit mono PCM.
    """
    if len(head) < 12:
        _require(b"RIFF".startswith(head[:4]) or head[:4] == b"RIFF", "not a WAV file")
        return WavShape(rate_hz=None, offset_bytes=len(head), samples=0, damage="the header is cut off")
    _require(head[:4] == b"RIFF" and head[8:12] == b"WAVE", "not a WAV file")
    rate_hz, at = None, 12
    while at + 8 <= len(head):
        name, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        at += 8
        if name == b"data":
            _require(rate_hz is not None, "the WAV header gives no format before its audio")
            return _measured(rate_hz, at, size, file_bytes)
        if name == b"fmt " and at + 16 <= len(head):
            rate_hz = _rate(head[at : at + 16])
        at += size + size % 2
    _require(file_bytes <= len(head) and at >= file_bytes - 8, "the WAV header names no audio")
    return WavShape(rate_hz=rate_hz, offset_bytes=file_bytes, samples=0, damage="the header is cut off")


def _rate(fields: bytes) -> int:
    coding, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", fields)
    _require(coding in (_PCM, _EXTENSIBLE) and channels == 1 and bits == 16, "not 16-bit mono PCM")
    _require(rate_hz in _RATES_HZ, f"a sampling rate of {rate_hz} Hz")
    return int(rate_hz)


def _measured(rate_hz: int | None, offset_bytes: int, said_bytes: int, file_bytes: int) -> WavShape:
    there_bytes = file_bytes - offset_bytes
    damage = None
    if said_bytes == 0 and there_bytes > 0:
        damage = "the header says there is no audio"
    elif said_bytes > there_bytes:
        damage = "the header says more audio than there is"
    elif said_bytes % _BYTES_PER_SAMPLE:
        damage = "half a sample at the end"
    length_bytes = there_bytes if said_bytes == 0 else min(said_bytes, there_bytes)
    return WavShape(rate_hz=rate_hz, offset_bytes=offset_bytes, samples=length_bytes // _BYTES_PER_SAMPLE, damage=damage)


def _require(true: bool, otherwise: str) -> None:
    if not true:
        raise AudioError(Reason.AUDIO_DAMAGED, otherwise)
