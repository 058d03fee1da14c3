"""How long the space on a disk lasts, by what was free before."""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

_HOUR_S: Final = 3600.0
_MARGIN: Final = 1.1  # a state improves only with so much more than it needs: it does not flap
LOW_BY_LAST_DAY_H: Final = 72.0  # a weekend
LOW_BY_BUSIEST_HOUR_H: Final = 12.0


class Sample(NamedTuple):
    """The bytes free at a moment, in seconds since 1970."""

    at: float
    free_bytes: int


class Forecast(NamedTuple):
    """The hours until a disk is full; infinite if the space does not shrink."""

    by_last_day: float
    by_busiest_hour: float


class DiskState(StrEnum):
    """What a disk is, from good to bad."""

    OK = "ok"
    LOW = "low"
    FULL = "full"


def forecast(samples: Sequence[Sample]) -> Forecast:
    """Return the forecast by the samples of the last day, oldest first.

    What was deleted meanwhile counts: the rates are those at which the free space shrinks. Nothing
    is known in the first hour.
    """
    if not samples or samples[-1].at - samples[0].at < _HOUR_S:
        return Forecast(math.inf, math.inf)
    busiest, later = 0.0, 0
    for sample in samples:
        while later < len(samples) and samples[later].at - sample.at < _HOUR_S:
            later += 1
        if later == len(samples):
            break
        busiest = max(busiest, _per_hour(sample, samples[later]))
    free = samples[-1].free_bytes
    return Forecast(_hours(free, _per_hour(samples[0], samples[-1])), _hours(free, busiest))


def state_of(free_bytes: int, floor_bytes: int, hours: Forecast, before: DiskState) -> DiskState:
    """Return the state of a disk: full below the floor; low below twice of it, or by forecast."""
    rank = list(DiskState).index
    now = _state(free_bytes, floor_bytes, hours)
    if rank(now) >= rank(before):
        return now
    careful = _state(free_bytes / _MARGIN, floor_bytes, Forecast(*(left / _MARGIN for left in hours)))
    return min(careful, before, key=rank)


def _state(free_bytes: float, floor_bytes: int, hours: Forecast) -> DiskState:
    if free_bytes < floor_bytes:
        return DiskState.FULL
    is_low = free_bytes < 2 * floor_bytes or hours.by_last_day < LOW_BY_LAST_DAY_H or hours.by_busiest_hour < LOW_BY_BUSIEST_HOUR_H
    return DiskState.LOW if is_low else DiskState.OK


def _per_hour(first: Sample, last: Sample) -> float:
    return (first.free_bytes - last.free_bytes) * _HOUR_S / (last.at - first.at)


def _hours(free_bytes: int, per_hour: float) -> float:
    return free_bytes / per_hour if per_hour > 0 else math.inf
