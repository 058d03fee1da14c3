"""Tones for telephones and for the menu.

Raw G.711 A-law, 8 kHz, as SIPp and Asterisk play it, made by sox; and raw G.722.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import av
import numpy as np
import soundfile

from lab.base.errors import LabError

ALAW: Final = ("-t", "al", "-r", "8000", "-c", "1")
MENU_S: Final = 1.5


def tone(target: Path, *, hz: int, length_s: float, level_db: float = -9.0) -> Path:
    """A sine of one frequency.

    Written in one step, so that several tests may share the file. Raises LabError without sox.
    """
    if not target.exists():
        draft = target.with_name(f".{target.name}.{hz}.new")
        sox("-n", *ALAW, str(draft), "synth", f"{length_s:g}", "sine", str(hz), "gain", f"{level_db:g}")
        draft.replace(target)
    return target


def wideband_tone(target: Path, *, hz: int, length_s: float, level_db: float = -9.0) -> Path:
    """The same as raw G.722 or Opus, by the file's extension (64 kbit/s, 16 kHz inside).

    Tones up to 7 kHz. (sox cannot.)
    """
    if not target.exists():
        seconds = np.arange(round(16000 * length_s)) / 16000
        samples = np.round(32767 * 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * seconds)).astype(np.int16)
        encoder = _wideband_encoder(target.suffix)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 16000
        draft = target.with_name(f".{target.name}.{hz}.new")
        draft.write_bytes(b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None))))
        draft.replace(target)
    return target


def _wideband_encoder(suffix: str) -> av.AudioCodecContext:
    encoder = av.CodecContext.create("g722" if suffix == ".g722" else "libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.format, encoder.layout = 16000, "s16", "mono"
    if suffix == ".opus":
        encoder.bit_rate = 64_000
        encoder.options = {"vbr": "off", "frame_duration": "20", "application": "voip"}
    return encoder


def long_leg(target: Path, *, hz: int, length_s: float) -> Path:
    """A leg as Asterisk leaves it (WAV, 8 kHz, 16 bits) of any length.

    A tone that pauses for the last half second of each minute.

    Made, not recorded: played faster than life, Asterisk itself leaves out a tenth and more of what
    it records (10 to 90 times as fast: 11 to 17 %), so a long call has to be shown from its legs
    on. 90 minutes are 86 MB and take a second.
    """
    rate_hz = 8000
    minute = np.round(11600 * np.sin(2 * np.pi * hz * np.arange(60 * rate_hz) / rate_hz)).astype(np.int16)
    minute[-rate_hz // 2 :] = 0
    with soundfile.SoundFile(target, "w", rate_hz, 1, "PCM_16", format="WAV") as leg:
        left = round(length_s * rate_hz)
        while left > 0:
            leg.write(minute[:left])
            left -= len(minute)
    return target


def menu_prompt(target: Path) -> Path:
    """The sound of the voice menu: 1.5 s of a third tone, which a recording must not contain."""
    return tone(target, hz=1500, length_s=MENU_S)


def sox(*arguments: str) -> None:
    """Run sox. Raises LabError with its complaint."""
    program = shutil.which("sox")
    if program is None:
        raise LabError("sox is missing: apt-get install sox")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"sox {' '.join(arguments)}: {done.stderr.strip()}")
