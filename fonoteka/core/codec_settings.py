"""Codec settings, for the mixer (new recordings) and the API (joined and converted recordings).

Opus, as measured: `application=voip` separates the sides (61 dB against 25 dB); 60 ms frames and
complexity 1 cost a fifth of ffmpeg's defaults at a quality of 4.06 against 4.13; encoding at 48 kHz
instead of 8 kHz would cost 2.5 times. Below 20 kbit/s the encoder folds stereo into mono, and
FFmpeg has no option against that, so 24 kbit/s is used and a test listens. 16 kHz needs 32 to
40 kbit/s and complexity 5; at 48 kbit/s the encoder changes its mode and the quality drops.
"""

from dataclasses import dataclass
from typing import Final

RATES_HZ: Final = (8_000, 12_000, 16_000, 24_000, 48_000)
"""The rates that every format supports; other sound is resampled to the next higher rate."""

# Only the sound: no encoder version and no random serial number, so the same sound gives the same
# bytes.
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
    """Options for a codec of FFmpeg. `bits_per_second` is None for lossless formats."""

    bits_per_second: int | None
    options: dict[str, str]


def next_rate_hz(rate_hz: int) -> int:
    """Return the lowest supported rate that is not below `rate_hz`, else the highest rate."""
    return next((rate for rate in RATES_HZ if rate >= rate_hz), RATES_HZ[-1])


def opus_settings(rate_hz: int, channels: int) -> CodecSettings:
    """Return the settings of Opus at one of `RATES_HZ`."""
    if rate_hz < 16_000:
        complexity, by_channels = 1, {1: 16_000, 2: 24_000}
    elif rate_hz < 24_000:
        complexity, by_channels = 5, {1: 24_000, 2: 36_000}
    else:
        complexity, by_channels = 5, {1: 32_000, 2: 64_000}
    options = {"application": "voip", "frame_duration": "60", "compression_level": str(complexity)}
    return CodecSettings(bits_per_second=by_channels[channels], options=options)
