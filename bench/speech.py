"""Make legs that load an encoder like speech, with NumPy: syllables, words and turns.

One side talks while the other side listens. The load is close to that of speech: ffmpeg's Opus
makes 159 kB of one minute, and 174 kB of one minute of dialogue spoken by espeak-ng.
"""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8000
_MINUTE_S = 60


def write_leg(path: Path, seconds: int, side: int) -> None:
    """Write a leg as Asterisk does: 44-byte header, 16-bit mono; blockwise, to save memory."""
    octets = _minute(side).astype("<i2").tobytes()
    wanted = seconds * RATE_HZ * 2
    with path.open("wb") as file:
        fields = (16, 1, 1, RATE_HZ, RATE_HZ * 2, 2, 16)
        file.write(struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", wanted + 36, b"WAVE", b"fmt ", *fields, b"data", wanted))
        while wanted:
            wanted -= file.write(octets[:wanted])


def _minute(side: int) -> NDArray[np.int16]:
    rng = np.random.default_rng(side)
    samples = RATE_HZ * _MINUTE_S
    at_s = np.arange(samples) / RATE_HZ
    hertz = np.fft.rfftfreq(samples, 1 / RATE_HZ)
    hiss = np.fft.irfft(np.fft.rfft(rng.normal(size=samples)) * (hertz > 1500), samples)
    pitch = np.cumsum(110 + 60 * side + 20 * np.sin(2 * np.pi * 0.7 * at_s)) / RATE_HZ
    glottis = np.fft.rfft(2 * (pitch % 1) - 1)
    voice = np.fft.irfft(sum(glottis / (1 + ((hertz - formant) / 90) ** 2) for formant in (500, 1500, 2500)), samples)
    syllable = np.sin(2 * np.pi * 4.3 * at_s + side)
    spoken = (np.sin(2 * np.pi * at_s / 8 + np.pi * side) > 0) & (np.sin(2 * np.pi * 0.6 * at_s + 2 * side) > -0.6)
    talk = spoken * (voice / voice.std() * np.clip(syllable, 0, None) + 0.1 * hiss / hiss.std() * np.clip(-syllable, 0, None))
    talk += 0.0005 * rng.normal(size=samples)  # a line is never quite silent
    return np.asarray(np.rint(talk / np.abs(talk).max() * 14000), np.int16)
