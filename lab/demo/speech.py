"""Dialogues spoken by espeak-ng into two A-law tracks, one for each telephone.

Each is silent while the other speaks.
"""

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from lab.audio.tones import sox
from lab.base.debian_root import default_cache
from lab.base.errors import LabError
from lab.demo.spoken_dialogues import MENU, OUTSIDE, VOICES, Dialogue, Voice

RATE_HZ: Final = 8000
_PAUSE_S: Final = 0.45  # between one's last word and the other's first
_START_S: Final = 0.6
_END_S: Final = 0.7
# No silence and no clicks at either end; then what a telephone line lets through, evenly loud.
_TRIM_START: Final = ("silence", "1", "0.01", "0.5%", "fade", "t", "0.01")
_TRIM: Final = (*_TRIM_START, "reverse", *_TRIM_START, "reverse")
_EVEN: Final = ("compand", "0.005,0.15", "6:-60,-60,-40,-24,-20,-12,0,-6")
_LINE: Final = ("highpass", "200", "lowpass", "3600", *_EVEN, "norm", "-4")

_Samples = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spoken:
    """A dialogue as sound: raw A-law for each telephone, both of the same length."""

    caller: Path
    called: Path
    length_s: float


def spoken(dialogue: Dialogue, *, caller_waits_s: float = 0.0, cache: Path | None = None) -> Spoken:
    """The two tracks of a dialogue, made once and cached. Raises LabError without espeak-ng or sox.

    `caller_waits_s` is silence before the caller's track alone: a menu plays to them before the
    other telephone is there.
    """
    waits = "" if not caller_waits_s else f"-{round(caller_waits_s * 1000)}"
    folder = _cache(cache)
    name = f"{dialogue.name}-{_key(dialogue)}"
    caller, called = folder / f"{name}{waits}-caller.al", folder / f"{name}-called.al"
    if not (caller.exists() and called.exists()):
        tracks = _tracks(dialogue)
        _write(caller, np.concatenate([np.zeros(round(caller_waits_s * RATE_HZ)), tracks[0]]))
        _write(called, tracks[1])
    return Spoken(caller=caller, called=called, length_s=called.stat().st_size / RATE_HZ)


def spoken_menu(target: Path) -> float:
    """Speak what the voice menu says into `target` (A-law); returns its length in seconds.

    Raises LabError.
    """
    samples = _say(MENU, VOICES["menu"])
    _write(target, samples)
    return len(samples) / RATE_HZ


def _tracks(dialogue: Dialogue) -> tuple[_Samples, _Samples]:
    """The caller's and the called party's samples: the called one has the even turns."""
    voices = [VOICES[dialogue.outside_voice if who == OUTSIDE else who] for who in (dialogue.called, dialogue.caller)]
    turns = [_say(text, voices[number % 2]) for number, text in enumerate(dialogue.turns)]
    pause = round(_PAUSE_S * RATE_HZ)
    length = round((_START_S + _END_S) * RATE_HZ) + sum(len(turn) + pause for turn in turns)
    called, caller = np.zeros(length), np.zeros(length)
    at = round(_START_S * RATE_HZ)
    for number, turn in enumerate(turns):
        (called, caller)[number % 2][at : at + len(turn)] = turn
        at += len(turn) + pause
    return caller, called


def _say(text: str, voice: Voice) -> _Samples:
    program = shutil.which("espeak-ng")
    if program is None:
        raise LabError("espeak-ng is missing: apt-get install espeak-ng")
    with tempfile.TemporaryDirectory() as folder:
        said, heard = Path(folder) / "said.wav", Path(folder) / "heard.wav"
        speed, pitch = str(voice.words_per_minute), str(voice.pitch)
        done = subprocess.run(
            [program, "-v", voice.name, "-s", speed, "-p", pitch, "-w", str(said), "--", text],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"espeak-ng cannot speak with the voice {voice.name}: {done.stderr.strip()}")
        sox(str(said), "-r", str(RATE_HZ), "-c", "1", str(heard), *_TRIM, *_LINE)
        samples, _ = soundfile.read(heard, dtype="float64")
    return np.asarray(samples)


def _write(target: Path, samples: _Samples) -> None:
    draft = target.with_name(f".{target.name}.new")
    soundfile.write(draft, samples, RATE_HZ, format="RAW", subtype="ALAW")
    draft.replace(target)


def _cache(chosen: Path | None) -> Path:
    folder = chosen or default_cache() / "speech"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _key(dialogue: Dialogue) -> str:
    recipe = (dialogue, VOICES, _PAUSE_S, _START_S, _END_S, _LINE, _TRIM)
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:10]
