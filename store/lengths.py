"""How long each call was, kept for each hour of a company's clock: pure.

Seven letters a call, which are added to the hour's as calls are written; a call that has become another is taken back by seven
more. So a length of any number of seconds can be asked for, which no sum tells, and an hour's calls are read as one row.

| letters | tell |
|---|---|
| 1 | direction and result (`_CELLS`), 32 more where the call is taken back |
| 2 to 4 | whole seconds from start to end |
| 5 to 7 | whole seconds of talk |

A letter is a digit to base 64: `0` to `o` of ASCII. What goes on has no length yet, and is not here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fonoteka.core.call_report import Direction, Result
from store.database.counter_tables import Cell
from store.intake.facts import CallFacts, whole_seconds

LONGEST_S: Final = 64**3 - 1  # three days; what was longer is kept as if it were so long

_FIRST: Final = ord("0")
_BASE: Final = 64
_LETTERS: Final = 7
_TAKEN_BACK: Final = 32
# As it stands in every index: new ones come at the end.
_CELLS: Final[tuple[Cell, ...]] = tuple(
    (direction, result)
    for direction in (Direction.IN, Direction.OUT, Direction.INTERNAL)
    for result in (Result.ANSWERED, Result.NO_ANSWER, Result.BUSY, Result.OTHER)
)
_PLACES: Final = {cell: place for place, cell in enumerate(_CELLS)}

Length = tuple[int, int, int]
"""The place of a call's direction and result, its whole seconds, and those of its talk."""


def length_of(facts: CallFacts) -> Length | None:
    """What is kept of a call; None while it goes on."""
    if facts.duration_s is None:
        return None
    place, talk_s = _PLACES[facts.direction, facts.result], whole_seconds(facts.talk_ms)
    return place, min(facts.duration_s, LONGEST_S), min(talk_s, LONGEST_S)


def written(lengths: Mapping[Length, int]) -> str:
    """Calls as they are kept, each as often as it is to be added; less than 0: to be taken back."""
    return "".join(
        (_letter(place + (_TAKEN_BACK if times < 0 else 0)) + _digits(duration_s) + _digits(talk_s)) * abs(times)
        for (place, duration_s, talk_s), times in lengths.items()
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Lengths:
    """Calls, one in each place of every array; `times` is -1 for one that is taken back. `row` is the text it was read from."""

    row: npt.NDArray[np.int64]
    cell: npt.NDArray[np.uint8]
    duration_s: npt.NDArray[np.int32]
    talk_s: npt.NDArray[np.int32]
    times: npt.NDArray[np.int8]

    def number(self, wanted: npt.NDArray[np.bool_]) -> int:
        """How many calls fulfil a condition."""
        return int(self.times[wanted].sum(dtype=np.int64))

    def of(self, cells: Sequence[Cell] | frozenset[Cell]) -> npt.NDArray[np.bool_]:
        """Which calls are of these directions and results."""
        return np.isin(np.arange(len(_CELLS)), [_PLACES[cell] for cell in cells])[self.cell]

    def by_cell(self, wanted: npt.NDArray[np.bool_], group: npt.NDArray[np.int64], groups: int) -> list[dict[Cell, int]]:
        """How many calls fulfil a condition in each group (from 0 up to, not including, `groups`), by direction and result."""
        key = group[wanted] * len(_CELLS) + self.cell[wanted]
        numbers = np.bincount(key, weights=self.times[wanted], minlength=groups * len(_CELLS)).astype(np.int64)
        return [dict(zip(_CELLS, map(int, of_group), strict=True)) for of_group in numbers.reshape(groups, len(_CELLS))]


def read(texts: Sequence[str]) -> Lengths:
    """The calls of hours as they are kept."""
    digits = np.frombuffer("".join(texts).encode("ascii"), np.uint8).reshape(-1, _LETTERS) - np.uint8(_FIRST)
    first, more = digits[:, 0], digits.astype(np.int32)
    return Lengths(
        row=np.repeat(np.arange(len(texts)), [len(text) // _LETTERS for text in texts]),
        cell=first % _TAKEN_BACK,
        duration_s=(more[:, 1] * _BASE + more[:, 2]) * _BASE + more[:, 3],
        talk_s=(more[:, 4] * _BASE + more[:, 5]) * _BASE + more[:, 6],
        times=np.where(first < _TAKEN_BACK, 1, -1).astype(np.int8),
    )


def _letter(digit: int) -> str:
    return chr(_FIRST + digit)


def _digits(number: int) -> str:
    return _letter(number // _BASE**2) + _letter(number // _BASE % _BASE) + _letter(number % _BASE)
