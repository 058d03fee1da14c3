"""The forecast of a disk, and when its state changes."""

from math import inf

import pytest

from fonoteka.core.disk_forecast import DiskState, Forecast, Sample, forecast, state_of

GB = 10**9
H = 3600.0


def samples(*free_gb: float, every_h: float = 1.0) -> list[Sample]:
    return [Sample(number * every_h * H, int(free * GB)) for number, free in enumerate(free_gb)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param([], (inf, inf), id="nothing is known"),
        pytest.param(samples(9, 1, every_h=0.9), (inf, inf), id="less than an hour is known"),
        pytest.param(samples(10, 10, 10), (inf, inf), id="nothing is written"),
        pytest.param(samples(10, 8), (4, 4), id="one hour"),
        pytest.param(samples(20, 19, 13, 12), (12 / (8 / 3), 2), id="one hour is busier than the others"),
        pytest.param(samples(20, 19, 13, 20), (inf, 20 / 6), id="what was deleted counts in the rate of the day"),
        pytest.param(samples(20, 17, 14, 11, every_h=0.5), (11 / 6, 11 / 6), id="two samples an hour"),
        pytest.param(samples(20, 10, every_h=5), (5, 5), id="the process was away for five hours"),
    ],
)
def test_forecast(given: list[Sample], expected: tuple[float, float]) -> None:
    assert forecast(given) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("free", "hours", "before", "expected"),
    [
        (100, Forecast(inf, inf), DiskState.OK, DiskState.OK),
        (100, Forecast(71, inf), DiskState.OK, DiskState.LOW),
        (100, Forecast(inf, 11), DiskState.OK, DiskState.LOW),
        (19, Forecast(inf, inf), DiskState.OK, DiskState.LOW),
        (9, Forecast(inf, inf), DiskState.OK, DiskState.FULL),
        (9, Forecast(inf, inf), DiskState.LOW, DiskState.FULL),
        (10.5, Forecast(inf, inf), DiskState.FULL, DiskState.FULL),  # it must not flap
        (11.5, Forecast(inf, inf), DiskState.FULL, DiskState.LOW),
        (100, Forecast(73, inf), DiskState.LOW, DiskState.LOW),
        (100, Forecast(80, inf), DiskState.LOW, DiskState.OK),
        (100, Forecast(inf, inf), DiskState.FULL, DiskState.OK),
    ],
)
def test_states(free: float, hours: Forecast, before: DiskState, expected: DiskState) -> None:
    assert state_of(int(free * GB), 10 * GB, hours, before) is expected
