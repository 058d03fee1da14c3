"""The lengths of calls as they are kept: what is written is what is read, and what stands in an index keeps its meaning."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from fonoteka.core.call_report import Direction, Result
from store.intake.facts import CallFacts
from store.lengths import LONGEST_S, length_of, read, written

FACTS = CallFacts(
    domain_id=1,
    started_at=datetime(2026, 10, 1, 9, tzinfo=UTC),
    answered_at=None,
    direction=Direction.IN,
    result=Result.ANSWERED,
    employee=None,
    number=None,
    duration_s=0,
    talk_ms=0,
    audible=False,
    peer=None,
    called_back_at=None,
)
CALLS = some.builds(
    lambda **told: replace(FACTS, **told),
    direction=some.sampled_from(Direction),
    result=some.sampled_from(Result),
    duration_s=some.integers(0, LONGEST_S),
    talk_ms=some.integers(0, LONGEST_S * 1000),
)


@given(hours=some.lists(some.lists(some.tuples(CALLS, some.sampled_from((1, 1, -1))))))
def test_what_is_written_is_read(hours: list[list[tuple[CallFacts, int]]]) -> None:
    lengths = [[(length_of(call), times) for call, times in hour] for hour in hours]
    found = read(["".join(written({length: times}) for length, times in hour if length) for hour in lengths])
    place, duration_s, talk_s = (np.array([length[at] for hour in lengths for length, _ in hour if length], int) for at in range(3))
    assert found.cell.tolist() == place.tolist()
    assert found.duration_s.tolist() == duration_s.tolist()
    assert found.talk_s.tolist() == talk_s.tolist()
    assert found.times.tolist() == [times for hour in hours for _, times in hour]
    assert found.row.tolist() == [row for row, hour in enumerate(hours) for _ in hour]
    for cell in {(call.direction, call.result) for hour in hours for call, _ in hour}:
        of_cell = sum(times for hour in hours for call, times in hour if (call.direction, call.result) == cell)
        assert found.number(found.of([cell])) == of_cell


def test_how_it_stands_in_an_index() -> None:
    """Indexes in use hold these letters."""
    busy = replace(FACTS, direction=Direction.OUT, result=Result.BUSY, duration_s=64 * 64 + 2 * 64 + 3, talk_ms=63_499)
    assert length_of(busy) == (6, 4227, 63)
    assert written({(6, 4227, 63): 2, (0, 0, LONGEST_S): -1}) == "612300o612300oP000ooo"


def test_what_goes_on_has_no_length() -> None:
    assert length_of(replace(FACTS, duration_s=None)) is None


def test_a_call_of_weeks_is_kept_as_the_longest() -> None:
    assert length_of(replace(FACTS, duration_s=10**6, talk_ms=10**9)) == (0, LONGEST_S, LONGEST_S)
