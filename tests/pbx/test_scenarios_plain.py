"""SCENARIOS 1–5, 10–15 and 26: calls in, out and inside, the menu, the ring group, the queue."""

from functools import partial
from typing import Any

import pytest

from lab.scenarios.basic_calls import ABROAD, CITY
from lab.scenarios.steps import LONG_DISTANCE
from lab.sip.sipp_phones import CALLER_HZ, OUTSIDE, OUTSIDE_HZ, PHONE_HZ
from tests.support.call_flows import PlayedFlow, PlayedFlows
from tests.support.scenario import Row, Scenario, assert_as_expected, each, part, scenario, unrecorded

MOBILE = "89131234567"


def to(dst: str, by: str, **more: Any) -> Row:
    """A customer's call that an employee takes and that is recorded."""
    return Row(dst=dst, answered_by=by, employee=by, parts=(part(by, CALLER_HZ, PHONE_HZ, by),), **more)


missed = partial(unrecorded, "not_answered", answered_by=None)
to_152_in_vain = partial(missed, dst="2458152", employee="152")


def out(number: str) -> Row:
    heard = part("152", OUTSIDE_HZ, CALLER_HZ, OUTSIDE)
    return Row(direction="out", src="152", dst=number, answered_by=number, employee="152", parts=(heard,))


def inside(src: str, dst: str, recorded: str) -> Row:
    left, right = (PHONE_HZ, CALLER_HZ) if recorded == src else (CALLER_HZ, PHONE_HZ)
    heard = part(recorded, left, right, dst)
    return Row(direction="internal", src=src, dst=dst, answered_by=dst, employee=src, parts=(heard,))


def waited(played: PlayedFlow, *, seconds: float | None, queue: bool = False, trunk: bool = True) -> None:
    """Check by which trunk and queue the call went, and how long its caller waited."""
    (row,) = played.rows
    company = played.company
    assert row["trunk"] == (f"PJSIP/{company.trunk}" if trunk else None)
    assert row["queue"] == (company.name if queue else None)
    if seconds is None:
        assert row["wait_s"] is None
    else:  # a telephone of the lab answers after 0.8 s; the API has whole seconds
        assert row["wait_s"] == pytest.approx(seconds, abs=1 + played.late_s)


SCENARIOS = (
    scenario("1 answered", "in_answered", to("2458152", "152"), also=partial(waited, seconds=0.8)),
    scenario("2 through the menu", "menu_then_152", to("2458888", "152")),
    scenario(
        "3 hung up in the menu",
        "menu_hung_up",
        missed(dst="2458888", result="no_answer", employee=None),
        also=partial(waited, seconds=None),
    ),
    scenario("4 to the city", "out_city", out(CITY), also=partial(waited, seconds=0.8)),
    scenario("5 to long distance", "out_long_distance", out(LONG_DISTANCE)),
    scenario("5 to a mobile", "out_mobile", out(MOBILE)),
    scenario("5 abroad", "out_abroad", out(ABROAD)),
    scenario("10 not recorded", "in_not_recorded", unrecorded("user_off", dst="2458130", answered_by="130", employee="130")),
    scenario("11 busy", "in_busy", to_152_in_vain(result="busy")),
    scenario("11 not answered", "in_no_answer", to_152_in_vain(result="no_answer")),
    scenario("11 given up", "in_given_up", to_152_in_vain(result="no_answer")),
    scenario("11 refused", "in_refused", to_152_in_vain(result="busy")),
    scenario("11 unreachable", "in_absent", missed(dst="2458152", result="other", employee=None)),
    scenario("12 ring group", "group_152_answers", to("2458800", "152")),
    scenario("12 ring group, 130 busy", "group_130_busy", to("2458800", "152")),
    scenario(
        "12 ring group, 130 answers", "group_130_answers", unrecorded("user_off", dst="2458800", answered_by="130", employee="130")
    ),
    scenario("12 ring group, given up", "group_given_up", missed(dst="2458800", result="no_answer", employee=None)),
    scenario("13 queue, answered", "queue_421_answers", to("2458900", "421"), also=partial(waited, seconds=0.8, queue=True)),
    scenario(
        "13 queue, given up",
        "queue_given_up",
        missed(dst="2458900", result="no_answer", employee=None),
        also=partial(waited, seconds=1.0, queue=True),
    ),
    scenario(
        "14 internal, both recorded",
        "internal",
        inside("152", "421", recorded="152"),
        also=partial(waited, seconds=0.8, trunk=False),
    ),
    scenario("15 internal, the called one recorded", "internal_by_130", inside("130", "152", recorded="152")),
    scenario("26 three seconds", "in_three_seconds", to("2458152", "152")),
)


@each(SCENARIOS)
def test_scenario(flows: PlayedFlows, scenario: Scenario) -> None:
    assert_as_expected(scenario, flows)


def test_no_call_has_two_rows_and_nothing_stays_in_the_spool(flows: PlayedFlows) -> None:
    assert (flows.extra_rows, flows.left) == ({}, set())
