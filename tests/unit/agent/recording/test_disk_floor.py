"""Which recordings may begin while the disk of the spool is almost full."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agent.recording.disk_floor import is_refused
from fonoteka.core.call_report import Direction, Reason
from tests.data import seed

CALL = seed.a_call(1, datetime(2026, 11, 22, tzinfo=UTC))
(FIRST,) = CALL.segments
SECOND = replace(FIRST, name="second")
FLOOR = 100


@pytest.mark.parametrize(
    ("direction", "free", "refused"),
    [
        (Direction.INTERNAL, 100, False),
        (Direction.INTERNAL, 99, True),
        (Direction.IN, 99, False),
        (Direction.OUT, 50, False),
        (Direction.IN, 49, True),
        (Direction.OUT, 0, True),
    ],
)
def test_internal_calls_are_refused_first(direction: Direction, free: int, refused: bool) -> None:
    assert is_refused(FIRST.name, replace(CALL, direction=direction), free, FLOOR) is refused


@pytest.mark.parametrize(("before", "refused"), [(None, False), (Reason.DISK_FULL, True)])
def test_a_talk_that_is_recorded_goes_on(before: Reason | None, refused: bool) -> None:
    """The next segment, after a transfer, is no new recording."""
    call = replace(CALL, segments=(replace(FIRST, reason=before), SECOND))
    assert is_refused(SECOND.name, call, 0, FLOOR) is refused
