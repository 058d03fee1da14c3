"""The Info frame of an MP3: how many samples there are and how many of the first ones are not sound.

A frame of silence whose unused part says what MP3 itself cannot. Layout: Xing's header (four fields and a table of
contents), then LAME's extension (http://gabriel.mp3-tech.org/mp3infotag.html). Its word is "Info" for a constant bit rate.
"""

import struct
from typing import Final

_LAME_DELAY: Final = 576  # samples LAME puts before the sound; a decoder adds 529 of its own and knows it
_MOST_PADDING: Final = 0xFFF
_MONO: Final = 3
_FIELDS: Final = 0b1111  # frames, bytes, table of contents and quality are given
_SIDE_BYTES: Final = {(True, True): 32, (True, False): 17, (False, True): 17, (False, False): 9}  # by (MPEG-1, stereo)


def samples_per_frame(rate_hz: int) -> int:
    """MPEG-1 (32 kHz and up) has 1152 samples in a frame, MPEG-2 and 2.5 have 576."""
    return 1152 if rate_hz >= 32_000 else 576


def info_frame(header: bytes, frame_bytes: int, frames: int, samples: int, rate_hz: int) -> bytes:
    """The frame to put first.

    `header` are the 4 bytes of any audio frame, `frames` the number of audio frames of `frame_bytes` each, `samples` the
    sound's true length per channel.
    """
    mpeg1 = rate_hz >= 32_000
    stereo = header[3] >> 6 != _MONO
    audio_bytes = frames * frame_bytes
    padding = min(frames * samples_per_frame(rate_hz) - samples - _LAME_DELAY, _MOST_PADDING)
    contents = bytes(256 * percent // 100 for percent in range(100))
    frame = bytearray(header + bytes(_SIDE_BYTES[mpeg1, stereo]))
    frame += struct.pack(">4sIII100sI", b"Info", _FIELDS, frames, frame_bytes + audio_bytes, contents, 0)
    frame += struct.pack(">9sBBIHHBB", b"LAME3.100", 1, 0, 0, 0, 0, 0, 0)  # 1: constant bit rate; gains not given
    frame += (_LAME_DELAY << 12 | padding).to_bytes(3, "big")
    frame += struct.pack(">BBHIH", 0, 0, 0, frame_bytes + audio_bytes, 0)
    frame += _crc16(bytes(frame)).to_bytes(2, "big")
    return bytes(frame).ljust(frame_bytes, b"\0")


def _crc16(octets: bytes) -> int:
    """CRC-16 with the polynomial 0x8005, reflected, as LAME's tag wants it."""
    crc = 0
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
