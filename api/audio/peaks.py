"""The waveform of joined segments: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import models

_Peak = Annotated[int, Field(ge=0, le=255)]


class StoredPeaks(BaseModel):
    """What the mixer writes beside a recording; `right` is empty for mono."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    per_second: int = Field(gt=0, le=1000)
    left: list[_Peak]
    right: list[_Peak]

    def fit(self, duration_ms: int) -> bool:
        """Whether there are no more than audio of this length has."""
        return max(len(self.left), len(self.right)) <= duration_ms * self.per_second // 1000 + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """The peaks of one segment and its length."""

    peaks: StoredPeaks
    duration_ms: int


def joined(stretches: Sequence[Stretch]) -> models.Peaks:
    """The peaks of all stretches in order, each where its audio is, at the first one's rate. Mono counts for both sides."""
    per_second = stretches[0].peaks.per_second
    stereo = any(stretch.peaks.right for stretch in stretches)
    left: list[int] = []
    right: list[int] = []
    end_ms = 0
    for stretch in stretches:
        end_ms += stretch.duration_ms
        count = -(-end_ms * per_second // 1000) - len(left)
        peaks = stretch.peaks
        left += _fitted(peaks.left, count, per_second, peaks.per_second)
        if stereo:
            right += _fitted(peaks.right or peaks.left, count, per_second, peaks.per_second)
    return models.Peaks(duration_ms=end_ms, per_second=per_second, left=left, right=right)


def _fitted(values: Sequence[int], count: int, per_second: int, given_per_second: int) -> list[int]:
    """`count` values at `per_second`: the highest of those that fall into each place, silence where there are none."""
    if per_second == given_per_second:
        return [*values[:count], *[0] * (count - len(values))]
    edges = [place * given_per_second // per_second for place in range(count + 1)]
    return [max(values[first : max(last, first + 1)], default=0) for first, last in pairwise(edges)]
