"""SCENARIOS 52–60: flows that people complain of elsewhere."""

from dataclasses import replace
from typing import Final

from lab.scenarios.steps import LONG_DISTANCE, TALK_S
from lab.sip.sipp_phones import CALLER_HZ, PHONE_HZ
from tests.support.call_flows import PlayedFlows
from tests.support.scenario import Length, Part, Row, Scenario, assert_as_expected, each, part, scenario, unrecorded

HZ_152: Final = 520
HZ_421: Final = 640
HZ_777: Final = 880


def taken_by(who: str, *parts: Part, dst: str = "2458152") -> Row:
    return Row(dst=dst, answered_by=who, employee=who, parts=parts)


def with_152(lasts: str | Length | None = "152") -> Part:
    return part("152", CALLER_HZ, HZ_152, lasts)


def with_421(lasts: str | Length | None = "421", *, begins_late_s: float = 0.0) -> Part:
    return part("421", CALLER_HZ, HZ_421, lasts, begins_late_s=begins_late_s)


def talks(count: int) -> Length:
    """As long as a play's talks, with nothing between them."""
    return lambda _: count * TALK_S


FROM_GROUP: Final = part("421", CALLER_HZ, PHONE_HZ, "421")
ASKING: Final = part("152", HZ_421, HZ_152, talks(1))  # 152 and 421; what the queue plays is no talk
HOLDING: Final = (replace(with_152(), left=(CALLER_HZ, HZ_421)), replace(ASKING, left=(CALLER_HZ, HZ_421), beside=True))
DIRECTLY: Final = part("421", HZ_777, HZ_421, "421")

SCENARIOS = (
    scenario("52 by feature code", "asked_queue_by_keys", taken_by("421", with_152(None), ASKING, with_421(talks(1)))),
    scenario("52 by the telephone", "asked_queue_by_phone", taken_by("421", *HOLDING, with_421(talks(1)))),
    scenario("53 both legs into ConfBridge", "redirected_into_conference", taken_by("152", with_152(talks(1)), with_152(talks(2)))),
    scenario("54 group of Local channels", "group_of_local", taken_by("421", FROM_GROUP, dst="2458920")),
    scenario("54 queue of Local channels", "queue_of_local", taken_by("421", FROM_GROUP, dst="2458921")),
    scenario("54 chain 152, 421, 900", "forward_chain", unrecorded("user_off", dst="2458152", answered_by="900", employee="900")),
    scenario("55 accepted", "accepted", taken_by("152", with_152(talks(1)), dst="2458922")),
    scenario(
        "55 refused",
        "not_accepted",
        unrecorded("not_answered", dst="2458922", answered_by=None, employee="152", result="no_answer"),
    ),
    scenario(
        "56 whisper",
        "whispered",
        taken_by("152", with_152()),
        unrecorded(
            "not_answered",
            direction="internal",
            src="900",
            dst="*56152",
            answered_by=None,
            employee="900",
            result="no_answer",
        ),
    ),
    scenario(
        "57 trunk to trunk",
        "passed_on_outside",
        unrecorded("forwarded_long_distance", dst="2458923", answered_by=LONG_DISTANCE, employee=None),
    ),
    scenario("58 Dial g, then another", "gone_on_to_421", taken_by("421", with_152(), with_421(), dst="2458924")),
    scenario("58 Dial G into ConfBridge", "met_by_dial", taken_by("152", with_152(), dst="2458925")),
    scenario("58 to the menu and back", "through_menu_and_back", taken_by("152", with_152(), with_152("152 again"))),
    scenario("59 joined by a program (ARI)", "joined_by_program", taken_by("152", with_152(), dst="2458926")),
    scenario(
        "59 direct media",
        "directly",
        Row(direction="internal", src="777", dst="6421", answered_by="421", employee="777", parts=(DIRECTLY,)),
    ),
    scenario("59 second telephone of an endpoint", "second_telephone", taken_by("421", with_421(), dst="2458927")),
    scenario("60 picked up through Local", "picked_up_through_local", taken_by("421", with_421(begins_late_s=0.2), dst="2458928")),
)


@each(SCENARIOS)
def test_scenario(flows: PlayedFlows, scenario: Scenario) -> None:
    assert_as_expected(scenario, flows)
