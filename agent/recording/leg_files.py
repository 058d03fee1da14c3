"""The two legs of a recording as Asterisk writes them: `employee.wav` and `outside.wav`.

A leg has 8 kHz, or 16 kHz with the extension `.wav16`. The rate is chosen when the recording begins
(wideband.py). Afterwards the files in the recording's folder show it, so that a restarted agent
needs no other record.
"""

import os
from pathlib import Path
from typing import Final

EMPLOYEE: Final = "employee"
OUTSIDE: Final = "outside"
SIDES: Final = frozenset({EMPLOYEE, OUTSIDE})
NARROWBAND_HZ: Final = 8_000
WIDEBAND_HZ: Final = 16_000
_NARROW, _WIDE = ".wav", ".wav16"
_LEGS: Final = frozenset(side + rate for side in SIDES for rate in (_NARROW, _WIDE))
_BYTES_PER_MS: Final = {_NARROW: NARROWBAND_HZ * 2 // 1000, _WIDE: WIDEBAND_HZ * 2 // 1000}  # 16 bit, one channel
_HEADER_BYTES: Final = 44  # an empty WAV file of Asterisk


def leg_name(side: str, *, wide: bool = False) -> str:
    """Return the file name of a side. Asterisk takes the rate from the extension."""
    return side + (_WIDE if wide else _NARROW)


def legs_in(recording_folder: Path) -> dict[str, Path]:
    """Return the legs in a recording's folder by side; of two legs of a side, the larger one.

    Something else than a file (a FIFO, a link) is no leg; the mixer sets its recording aside.
    """
    try:
        with os.scandir(recording_folder) as entries:
            legs = [Path(entry) for entry in entries if entry.name in _LEGS and entry.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return {}
    by_side = {path.stem: path for path in legs}
    return by_side if len(by_side) == len(legs) else {path.stem: path for path in sorted(legs, key=_size)}


def audio_ms(recording_folder: Path) -> int:
    """Return how much audio the longer leg holds, computed from its size."""
    return max((audio_ms_of(leg) for leg in legs_in(recording_folder).values()), default=0)


def audio_ms_of(leg: Path) -> int:
    """Return how much audio a leg holds, computed from its size."""
    return max(0, _size(leg) - _HEADER_BYTES) // _BYTES_PER_MS[leg.suffix]


def _size(leg: Path) -> int:
    try:
        return leg.stat().st_size
    except FileNotFoundError:
        return 0
