"""How a recording is encoded: by the mixer when it is made, by the API when it is joined or converted (MEASUREMENTS.md).

Opus: `application=voip` keeps the sides apart (61 dB against 25), 60 ms frames and complexity 1 cost a fifth of ffmpeg's
defaults at a quality of 4.06 against 4.13; 8 kHz goes in as it is, 48 kHz would cost 2.5 times. 24 kbit/s is above the 20
under which the encoder would fold stereo into mono: FFmpeg offers no switch to force it, a test listens. 16 kHz wants
32–40 kbit/s and complexity 5; at 48 it changes its mode and gets worse.
"""

from dataclasses import dataclass
from typing import Final

RATES_HZ: Final = (8_000, 12_000, 16_000, 24_000, 48_000)
"""What Opus takes as it is; MP3, FLAC and WAV take them too. Sound at another rate is brought up to the next of these."""

# Nothing in the file but the sound: no encoder's version, no random serial number, so the same sound gives the same bytes.
NOTHING_ELSE: Final = {"fflags": "+bitexact"}

# Constant bit rates by rate and channels.
MP3_KBITS_PER_SECOND: Final = {
    (8_000, 1): 24,
    (8_000, 2): 32,
    (12_000, 1): 32,
    (12_000, 2): 32,
    (16_000, 1): 40,
    (16_000, 2): 48,
    (24_000, 1): 64,
    (24_000, 2): 64,
    (48_000, 1): 64,
    (48_000, 2): 96,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class CodecSettings:
    """What FFmpeg tells a codec. `bits_per_second` is None where there is nothing to choose."""

    bits_per_second: int | None
    options: dict[str, str]


def next_rate_hz(rate_hz: int) -> int:
    """The lowest rate of ours that loses nothing of sound at `rate_hz` (the highest, if there is none)."""
    return next((ours for ours in RATES_HZ if ours >= rate_hz), RATES_HZ[-1])


def opus_settings(rate_hz: int, channels: int) -> CodecSettings:
    """What Opus spends at one of our rates."""
    if rate_hz < 16_000:
        complexity, by_channels = 1, {1: 16_000, 2: 24_000}
    elif rate_hz < 24_000:
        complexity, by_channels = 5, {1: 24_000, 2: 36_000}
    else:
        complexity, by_channels = 5, {1: 32_000, 2: 64_000}
    options = {"application": "voip", "frame_duration": "60", "compression_level": str(complexity)}
    return CodecSettings(bits_per_second=by_channels[channels], options=options)
