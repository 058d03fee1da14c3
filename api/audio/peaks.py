"""The waveform of a call's sound. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import models
from store.intake.one_sound import Piece

_Peak = Annotated[int, Field(ge=0, le=255)]


class StoredPeaks(BaseModel):
    """The peaks file of a recording, as the mixer writes it; `right` is empty for mono.

    `speech` is empty if the mixer did not measure who spoke.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    per_second: int = Field(gt=0, le=1000)
    left: list[_Peak]
    right: list[_Peak]
    speech: str = Field(default="", pattern=r"^[0-3]*$")

    def fit(self, duration_ms: int) -> bool:
        """Whether there are no more peaks than audio of this length has."""
        return max(len(self.left), len(self.right), len(self.speech)) <= duration_ms * self.per_second // 1000 + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedPeaks:
    """The peaks of a segment, and the piece of it that is heard."""

    peaks: StoredPeaks
    piece: Piece


def joined(heard: Sequence[PlacedPeaks]) -> models.Peaks:
    """Join the peaks of what is heard, at the rate of the first. Mono counts for both sides.

    Where two talks are mixed, the peaks are those of the louder talk, and a party speaks that
    speaks in either of the talks.
    """
    per_second = heard[0].peaks.per_second
    duration_ms = max(placed.piece.offset_ms + placed.piece.duration_ms for placed in heard)
    length = -(-duration_ms * per_second // 1000)
    left, right, speech = [0] * length, [0] * length, [0] * length
    for placed in heard:
        _show(placed, placed.peaks.left, left, per_second)
        _show(placed, placed.peaks.right or placed.peaks.left, right, per_second)
        _show(placed, list(map(int, placed.peaks.speech)), speech, per_second, _all_speakers)
    stereo = any(placed.peaks.right for placed in heard)
    told = all(placed.peaks.speech for placed in heard)
    return models.Peaks(
        duration_ms=duration_ms,
        per_second=per_second,
        left=left,
        right=right if stereo else [],
        speech="".join(map(str, speech)) if told else "",
    )


def _show(
    placed: PlacedPeaks, values: Sequence[int], shown: list[int], per_second: int, of_several: Callable[[Sequence[int]], int] = max
) -> None:
    """Write the values of a piece to its place, together with what is there already."""
    piece, given_per_second = placed.piece, placed.peaks.per_second
    begin, end = (-(-at_ms * per_second // 1000) for at_ms in (piece.offset_ms, piece.offset_ms + piece.duration_ms))
    heard = values[piece.from_ms * given_per_second // 1000 :]
    fitted = _fitted(heard, end - begin, per_second, given_per_second, of_several)
    shown[begin:end] = [of_several(pair) for pair in zip(shown[begin:end], fitted, strict=True)]


def _fitted(
    values: Sequence[int],
    count: int,
    per_second: int,
    given_per_second: int,
    of_several: Callable[[Sequence[int]], int] = max,
) -> list[int]:
    """Resample peaks to `count` values: the highest of each interval, silence if there is none."""
    if per_second == given_per_second:
        return [*values[:count], *[0] * (count - len(values))]
    edges = [place * given_per_second // per_second for place in range(count + 1)]
    return [of_several(values[first : max(last, first + 1)] or (0,)) for first, last in pairwise(edges)]


def _all_speakers(digits: Sequence[int]) -> int:
    return reduce(or_, digits)
