"""Plans of many calls: as many as asked for, never more at once, nobody in two at a time.

And an office plays one.
"""

import time
from itertools import combinations
from pathlib import Path

import pytest

from fonoteka.core.call_report import Direction, Result
from lab.asterisk.rootfs import AsteriskProgram
from lab.asterisk.server import LabAsterisk
from lab.base.lateness import Lateness
from lab.scenarios.load_plan import Kind, Planned, load_company, most_at_once, plan
from lab.scenarios.load_run import Played, run
from lab.sip.sipp_phones import OUTSIDE


def _planned(kind: Kind = Kind.TALK, caller: str = OUTSIDE, callee: str = "201", colleague: str = "") -> Planned:
    return Planned(
        number="89130000001",
        kind=kind,
        caller=caller,
        callee=callee,
        colleague=colleague,
        starts_s=0.0,
        answer_after_s=1.0,
        talk_s=2.0,
        after_s=3.0,
        caller_hangs_up=True,
    )


@pytest.mark.parametrize(("calls", "at_once", "users"), [(1, 1, 5), (200, 20, 60), (500, 100, 240), (50, 100, 10)])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_plan_keeps_its_bounds(calls: int, at_once: int, users: int, seed: int) -> None:
    company = load_company(users)
    made = plan(company, calls=calls, at_once=at_once, per_second=10.0, talk_s=10.0, seed=seed)
    assert len(made) == len({call.number[-7:] for call in made}) == calls
    assert 1 <= most_at_once(made) <= at_once
    assert [call.starts_s for call in made] == sorted(call.starts_s for call in made)
    for one, other in combinations(made, 2):
        if other.starts_s >= one.ends_s:
            continue
        assert not one.people & other.people, "somebody is in two calls"


def test_a_seed_gives_the_same_plan_again_and_another_another() -> None:
    company = load_company(60)
    one, same, other = (plan(company, calls=50, at_once=20, per_second=5.0, talk_s=8.0, seed=seed) for seed in (3, 3, 4))
    assert one == same
    assert one != other
    assert {call.kind for call in one + other} == set(Kind)
    assert {call.direction for call in one} == set(Direction)


@pytest.mark.parametrize(
    ("call", "direction", "result", "answered_by"),
    [
        (_planned(), Direction.IN, Result.ANSWERED, "201"),
        (_planned(caller="201", callee=OUTSIDE), Direction.OUT, Result.ANSWERED, "89130000001"),
        (_planned(caller="200"), Direction.INTERNAL, Result.ANSWERED, "201"),
        (_planned(Kind.BLIND, colleague="202"), Direction.IN, Result.ANSWERED, "202"),
        (_planned(Kind.PICKED_UP, colleague="202"), Direction.IN, Result.ANSWERED, "202"),
        (_planned(Kind.BUSY), Direction.IN, Result.BUSY, None),
        (_planned(Kind.GIVEN_UP), Direction.IN, Result.NO_ANSWER, None),
    ],
)
def test_the_truth_of_a_call(call: Planned, direction: Direction, result: Result, answered_by: str | None) -> None:
    assert (call.direction, call.result, call.answered_by, call.ends_s) == (direction, result, answered_by, 6.0)


@pytest.mark.parametrize("users", [4, 241])
def test_a_company_has_as_many_people_as_there_are_addresses(users: int) -> None:
    with pytest.raises(ValueError, match="between 5 and 240"):
        load_company(users)


async def test_an_office_plays_its_plan(program: AsteriskProgram, tmp_path: Path, lateness: Lateness) -> None:
    began = time.monotonic()
    company = load_company(50)
    made = plan(company, calls=30, at_once=20, per_second=10.0, talk_s=2.0, seed=5)
    assert {call.kind for call in made} == set(Kind)
    async with LabAsterisk(program, tmp_path, company) as pbx:
        played = await run(pbx, made)
    assert [call.failure for call in played] == [""] * len(made)
    for call in played:
        _assert_as_planned(call, 1.0 + lateness.allowance_s(began))


def _assert_as_planned(call: Played, near_s: float) -> None:
    planned, phone_calls = call.planned, call.phone_calls
    assert phone_calls["caller"].answered is (planned.result is Result.ANSWERED), planned
    if planned.kind is Kind.BUSY:
        assert phone_calls["caller"].status == 486
    if planned.colleague:
        assert phone_calls["colleague"].talk_s > 0.4 * planned.after_s
        assert phone_calls["caller"].ended_at == pytest.approx(phone_calls["colleague"].ended_at, abs=near_s)
    if planned.kind in (Kind.TALK, Kind.HOLD):
        assert phone_calls["caller"].talk_s == pytest.approx(planned.talk_s + planned.after_s, abs=near_s)
        assert phone_calls["callee"].talk_s == pytest.approx(phone_calls["caller"].talk_s, abs=near_s)
