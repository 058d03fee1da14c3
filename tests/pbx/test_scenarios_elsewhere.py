"""SCENARIOS 43–45, 49 and 50: talks whose parties have calls of their own, and pages.

Agents on an open line, two calls that a program joins, a conference room, a parked call.
"""

from dataclasses import replace
from typing import Any, Final

from lab.scenarios.elsewhere import SECOND, SECOND_CALLER
from lab.scenarios.steps import CALLER, CUSTOMER
from lab.sip.sipp_phones import CALLER_HZ
from tests.support.call_flows import PlayedFlow, PlayedFlows
from tests.support.scenario import Length, Part, Row, Scenario, assert_as_expected, each, part, scenario, unrecorded

HZ_152: Final = 520
HZ_421: Final = 640
HZ_130: Final = 760
HZ_777: Final = 880
HZ_900: Final = 1000
LATE_S: Final = 0.3  # nothing rings before such a talk: the recorder is attached as it begins


def heard_on_their_line(user: str, left: int, *right: int, lasts: str | Length) -> Part:
    """A user who talks in a call that is not their own: attached as the talk begins."""
    return replace(part(user, left, 0, lasts, begins_late_s=LATE_S), right=right)


def inside(src: str, dst: str, **more: Any) -> Row:
    return Row(direction="internal", src=src, dst=dst, employee=src, **more)


def met(who: str, *heard: int, says: int) -> Row:
    """A colleague who dialled into the room."""
    return inside(who, "8000", answered_by=who, parts=(replace(part(who, 0, says, who), left=heard),))


LOGIN = unrecorded("not_answered", direction="internal", src="152", dst="*51", answered_by=None, result="no_answer", employee="152")


def served(dst: str, customer: str, caller: str = CALLER) -> Row:
    talk = heard_on_their_line("152", CALLER_HZ, HZ_152, lasts=customer)
    return Row(src=caller, dst=dst, answered_by="152", employee="152", parts=(talk,))


def joined(src: str, dst: str, user: str, hz: int, to: str) -> Row:
    return Row(src=src, dst=dst, answered_by=to, employee=user, parts=(part(user, CALLER_HZ, hz, user),))


def no_talk_is_counted_twice(played: PlayedFlow) -> None:
    """A row's talk, in whole seconds, is as long as its telephone's."""
    for row, customer in zip(played.rows, (CUSTOMER, SECOND), strict=True):
        talk_s = played.phone_calls[customer].talk_s
        assert talk_s - 0.8 - played.late_s <= row["talk_s"] <= talk_s + 0.55, row


SCENARIOS = (
    scenario(
        "43 an agent takes two customers",
        "agent_takes_two",
        LOGIN,
        served("2458910", CUSTOMER),
        served("2458911", SECOND, SECOND_CALLER),
    ),
    scenario(
        "44 two calls joined by a program",
        "joined_by_manager",
        joined(CALLER, "2458152", "152", HZ_152, SECOND_CALLER),
        joined(SECOND_CALLER, "2458421", "421", HZ_421, CALLER),
        also=no_talk_is_counted_twice,
    ),
    scenario(
        "45 a page of two",
        "page_of_two",
        inside("900", "*80", answered_by="152", parts=(heard_on_their_line("152", HZ_900, HZ_152, HZ_421, lasts="152"),)),
    ),
    scenario(
        "45 a page of five",
        "page_of_all",
        Row(
            dst="2458913",
            answered_by="152",
            employee="152",
            parts=(heard_on_their_line("152", CALLER_HZ, HZ_152, HZ_421, HZ_130, HZ_777, HZ_900, lasts="152"),),
        ),
    ),
    scenario(
        "49 a customer dials a conference room",
        "customer_in_room",
        Row(
            dst="2458912",
            answered_by="8000",
            employee="152",
            parts=(heard_on_their_line("152", CALLER_HZ, HZ_152, HZ_421, HZ_130, lasts="152"),),
        ),
        unrecorded("user_off", direction="internal", src="130", dst="8000", answered_by="130", employee="130"),
        met("152", CALLER_HZ, HZ_130, HZ_421, says=HZ_152),
        met("421", CALLER_HZ, HZ_130, HZ_152, says=HZ_421),
    ),
    scenario(
        "49 a customer is put into a conference room",
        "customer_put_into_room",
        met("421", CALLER_HZ, HZ_152, says=HZ_421),
        met("152", CALLER_HZ, HZ_421, says=HZ_152),
        Row(
            dst="2458888",
            answered_by="8000",
            employee="152",
            parts=(heard_on_their_line("152", CALLER_HZ, HZ_152, HZ_421, lasts=CUSTOMER),),
        ),
    ),
    scenario(
        "50 parked by a program",
        "parked_by_manager",
        Row(
            dst="2458152",
            answered_by="421",
            employee="421",
            parts=(part("152", CALLER_HZ, HZ_152, "152"), part("421", CALLER_HZ, HZ_421, "421", begins_late_s=0.2)),
        ),
    ),
)


@each(SCENARIOS)
def test_scenario(flows: PlayedFlows, scenario: Scenario) -> None:
    assert_as_expected(scenario, flows)
