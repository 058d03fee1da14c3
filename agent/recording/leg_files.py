"""The two legs of a recording as Asterisk writes them: `employee.wav` and `outside.wav` at 8 kHz, `.wav16` at 16 kHz.

At which rate is decided when the recording begins (wideband.py). Afterwards what lies in the item's folder tells, so that an
agent that was restarted need not know.
"""

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
_HEADER_BYTES: Final = 44  # a WAV file of Asterisk's with nothing in it


def leg_name(side: str, *, wide: bool = False) -> str:
    """The file of a side; Asterisk takes the rate from the extension."""
    return side + (_WIDE if wide else _NARROW)


def legs_in(item: Path) -> dict[str, Path]:
    """The legs that lie in an item's folder, by side; of two of one side the one that holds more."""
    try:
        there = [path for path in item.iterdir() if path.name in _LEGS]
    except FileNotFoundError:
        return {}
    by_side = {path.stem: path for path in there}
    return by_side if len(by_side) == len(there) else {path.stem: path for path in sorted(there, key=_size)}


def audio_ms(item: Path) -> int:
    """How much audio the longer leg holds, by its size."""
    return max((max(0, _size(leg) - _HEADER_BYTES) // _BYTES_PER_MS[leg.suffix] for leg in legs_in(item).values()), default=0)


def _size(leg: Path) -> int:
    try:
        return leg.stat().st_size
    except FileNotFoundError:
        return 0
