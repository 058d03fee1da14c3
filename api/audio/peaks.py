"""The waveform of joined segments. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import models

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
class SegmentPeaks:
    """The peaks of a segment, and its length."""

    peaks: StoredPeaks
    duration_ms: int


def joined(segments: Sequence[SegmentPeaks]) -> models.Peaks:
    """Join the peaks of segments, at the rate of the first segment. Mono counts for both sides."""
    per_second = segments[0].peaks.per_second
    stereo = any(segment.peaks.right for segment in segments)
    told = all(segment.peaks.speech for segment in segments)
    left: list[int] = []
    right: list[int] = []
    speech: list[int] = []
    end_ms = 0
    for segment in segments:
        end_ms += segment.duration_ms
        count = -(-end_ms * per_second // 1000) - len(left)
        peaks = segment.peaks
        left += _fitted(peaks.left, count, per_second, peaks.per_second)
        if stereo:
            right += _fitted(peaks.right or peaks.left, count, per_second, peaks.per_second)
        if told:
            speech += _fitted(list(map(int, peaks.speech)), count, per_second, peaks.per_second, _all_speakers)
    return models.Peaks(duration_ms=end_ms, per_second=per_second, left=left, right=right, speech="".join(map(str, speech)))


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
