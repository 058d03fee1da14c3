"""A jump of the wall clock moves the calls in progress, and nothing else."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from agent.calls.call_registry import CallRegistry
from agent.calls.clock_jump import move_calls
from fonoteka.core.clock import WallClock, steady_now
from tests.unit.agent.fixtures import at, event, events

TALK = """
    0.0 start c PJSIP/trunk-1 2458152 89131234567
    0.1 start r PJSIP/acme-152-2
    0.2 ring  c r acme-152
    2.0 rung  c r ANSWER
    2.0 enter c B
    2.0 enter r B
"""


@pytest.mark.parametrize("by", [timedelta(days=2), timedelta(days=-2)], ids=["forth", "back"])
def test_a_talk_is_as_long_as_it_was(by: timedelta) -> None:
    registry, steady = CallRegistry(), CallRegistry()
    for happened in events(TALK):
        registry.take(happened)
        steady.take(happened)
    (moved,) = move_calls(registry, by)
    assert (moved.started_at, moved.taken_at, moved.talking_since) == (at(0) + by, at(2) + by, at(2) + by)
    assert moved.moments[-1].at == steady.calls["1"].moments[-1].at + by
    for rest in ("7.0 leave c B", "7.0 leave r B", "7.0 end c 16", "7.0 end r 16"):
        happened = event(rest)
        steady.take(happened)
        registry.take(replace(happened, at=happened.at + by))
    (call,), (as_ever,) = registry.calls.values(), steady.calls.values()
    assert (call.talk_ms_until(at(7) + by), call.ended_at) == (as_ever.talk_ms_until(at(7)), at(7) + by)
    assert move_calls(registry, by) == [], "it has ended"


def test_the_wall_clock_is_compared_with_the_monotonic_one() -> None:
    wall, steady = 1000.0, 5.0
    clock = WallClock(lambda: wall, lambda: steady)
    wall, steady = wall + 60, steady + 60
    assert clock.jumped_s() == 0
    wall += 0.3  # NTP slews
    assert clock.jumped_s() == 0
    wall -= 172_800
    assert clock.jumped_s() == -172_800
    assert clock.jumped_s() == 0


def test_a_process_that_stands_still_between_two_looks_sees_no_jump() -> None:
    steady = iter([0.0, 0.0, 5.0, 6.0, 7.0, 7.001, 7.0, 7.0])
    wall = iter([100.0, 106.0, 107.0, 107.0])
    clock = WallClock(lambda: next(wall), lambda: next(steady))
    assert clock.jumped_s() == 0


def test_a_moment_to_wait_by_never_goes_back() -> None:
    assert isinstance(first := steady_now(), datetime)
    assert first <= steady_now()
