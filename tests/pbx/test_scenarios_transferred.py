"""SCENARIOS 16–18 and parking (23).

A customer's call to 152 goes on to somebody else, in one row with everybody heard.
"""

from dataclasses import replace
from functools import partial
from typing import Final

from lab.scenarios.steps import LONG_DISTANCE
from lab.sip.sipp_phones import CALLER_HZ, OUTSIDE_HZ
from tests.support.call_flows import PlayedFlows
from tests.support.scenario import Length, Part, Row, Scenario, assert_as_expected, each, part, scenario, talk_of

HZ_152: Final = 520
HZ_421: Final = 640
HZ_130: Final = 760
ASKS_421: Final = "152 asks 421"


def taken_by(who: str, employee: str, *parts: Part) -> Row:
    return Row(dst="2458152", answered_by=who, employee=employee, parts=parts)


BY_421 = partial(taken_by, "421", "421")
BY_130 = partial(taken_by, "130", "130")
OUT = partial(taken_by, LONG_DISTANCE, "152")
BY_152 = partial(taken_by, "152", "152")


def with_152(lasts: str | Length | None = "152") -> Part:
    return part("152", CALLER_HZ, HZ_152, lasts)


def with_421(lasts: str | Length | None = "421") -> Part:
    return part("421", CALLER_HZ, HZ_421, lasts)


def fetched_by_421() -> Part:
    return part("421", CALLER_HZ, HZ_421, "421", begins_late_s=0.2)


def asking(hz: int, lasts: str | Length | None) -> Part:
    """152 asks somebody whether they take the call."""
    return part("152", hz, HZ_152, lasts)


def holding(hz: int, asks: str) -> tuple[Part, Part]:
    """152 talks with the customer and asks somebody on another line, while the customer waits."""
    customer = replace(with_152(), left=(CALLER_HZ, hz))
    return customer, replace(asking(hz, asks), left=(CALLER_HZ, hz), beside=True)


AFTER_ASKING = talk_of("421", ASKS_421)

SCENARIOS = (
    scenario("16 blind, by the telephone", "blind_by_phone", BY_421(with_152(), with_421())),
    scenario("16 blind, by feature code", "blind_by_keys", BY_421(with_152(None), with_421())),
    scenario("16 blind, by a program", "blind_by_manager", BY_421(with_152(), with_421())),
    scenario("16 blind, to 130", "blind_by_phone_to_130", BY_130(with_152())),
    scenario("16 blind, to one who is busy", "blind_to_busy", BY_152(with_152())),
    scenario("17 attended, by feature code", "attended_by_keys", BY_421(with_152(None), asking(HZ_421, None), with_421(None))),
    scenario("17 attended, by feature code, to 130", "attended_by_keys_to_130", BY_130(with_152(None), asking(HZ_130, None))),
    scenario("17 attended, before 421 answers", "attended_by_keys_unanswered", BY_421(with_152(None), with_421(None))),
    scenario(
        "17 attended, by feature code, taken back",
        "attended_by_keys_taken_back",
        BY_152(with_152(None), asking(HZ_421, None), with_152(None)),
    ),
    scenario(
        "17 attended, by the telephone",
        "attended_by_phone",
        BY_421(*holding(HZ_421, ASKS_421), with_421(AFTER_ASKING)),
    ),
    scenario("17 attended, by the telephone, to 130", "attended_by_phone_to_130", BY_130(*holding(HZ_130, "152 asks 130"))),
    scenario("18 blind, outside", "blind_out", OUT(with_152())),
    scenario("18 attended, outside", "attended_by_phone_out", OUT(*holding(OUTSIDE_HZ, "152 asks outside"))),
    scenario("23 picked up at once", "picked_up_at_once", BY_421(fetched_by_421())),
    scenario("23 parked by feature code", "parked_by_keys", BY_421(with_152(None), fetched_by_421())),
    scenario("23 parked by the telephone", "parked_by_phone", BY_421(with_152(), fetched_by_421())),
)


@each(SCENARIOS)
def test_scenario(flows: PlayedFlows, scenario: Scenario) -> None:
    assert_as_expected(scenario, flows)
