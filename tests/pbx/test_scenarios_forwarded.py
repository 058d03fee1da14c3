"""SCENARIOS 6–9: calls that are forwarded, by the PBX (AstDB) or by the telephone itself (302)."""

from lab.scenarios.basic_calls import ABROAD, CITY, TOLL_FREE
from lab.scenarios.steps import LONG_DISTANCE
from lab.sip.sipp_phones import CALLER_HZ, OUTSIDE, OUTSIDE_HZ, PHONE_HZ
from tests.support.call_flows import PlayedFlows
from tests.support.scenario import Row, Scenario, assert_as_expected, each, part, scenario, unrecorded

TO_421 = "2458421"


def never(number: str, reason: str) -> Row:
    """421's call was forwarded to a number whose calls are never recorded."""
    return unrecorded(reason, dst=TO_421, answered_by=number, employee="421")


def by_421s_setting(number: str) -> Row:
    heard = part("421", CALLER_HZ, OUTSIDE_HZ, OUTSIDE)
    return Row(dst=TO_421, answered_by=number, employee="421", parts=(heard,))


def by_152s_setting(dst: str) -> Row:
    heard = part("152", CALLER_HZ, PHONE_HZ, "152")
    return Row(dst=dst, answered_by="152", employee="152", parts=(heard,))


LONG = never(LONG_DISTANCE, "forwarded_long_distance")
FAR = never(ABROAD, "forwarded_international")

SCENARIOS = (
    scenario("6 always", "forward_always", LONG),
    scenario("6 when busy", "forward_busy", LONG),
    scenario("6 when not answered", "forward_no_answer", LONG),
    scenario("7 by the telephone", "phone_302", LONG),
    scenario("8 abroad", "forward_abroad", FAR),
    scenario("8 abroad by the telephone", "phone_302_abroad", FAR),
    scenario("9 to 8-800", "forward_toll_free", by_421s_setting(TOLL_FREE)),
    scenario("9 to 8-800 by the telephone", "phone_302_toll_free", by_421s_setting(TOLL_FREE)),
    scenario("9 to the city", "forward_city", by_421s_setting(CITY)),
    scenario("9 to the city by the telephone", "phone_302_city", by_421s_setting(CITY)),
    scenario("9 to a colleague", "forward_to_152", by_152s_setting(TO_421)),
    scenario("9 to a colleague by the telephone", "phone_302_to_152", by_152s_setting(TO_421)),
    scenario(
        "9 to a colleague who is not recorded",
        "forward_to_130",
        unrecorded("user_off", dst=TO_421, answered_by="130", employee="130"),
    ),
    scenario("9 by one who is not recorded", "130_forwards_to_152", by_152s_setting("2458130")),
    scenario(
        "6 a queue that leads outside",
        "queue_leads_out",
        unrecorded("forwarded_long_distance", dst="2458901", answered_by=LONG_DISTANCE, employee=None),
    ),
    scenario(
        "6 follow me",
        "followed_out",
        unrecorded("forwarded_long_distance", dst="2458902", answered_by=LONG_DISTANCE, employee=None),
    ),
)


@each(SCENARIOS)
def test_scenario(flows: PlayedFlows, scenario: Scenario) -> None:
    assert_as_expected(scenario, flows)
