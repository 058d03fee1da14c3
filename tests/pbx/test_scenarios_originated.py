"""SCENARIOS 41, 42, 46, 48 and 51: who called whom is read from the whole call.

Click to call, callbacks, codes that call nobody, a desk and a mobile that ring together, voicemail.
"""

from functools import partial
from typing import Any

import pytest

from lab.asterisk.server import LabAsterisk
from lab.scenarios.basic_calls import MOBILE
from lab.scenarios.originated import clicked
from lab.scenarios.steps import CALLER, LONG_DISTANCE, talk_and_leave
from lab.sip.handset import handset
from lab.sip.sipp_phones import CALLER_HZ, OUTSIDE, OUTSIDE_HZ, PHONE_HZ
from lab.tools.installation import Fonoteka
from tests.support.call_flows import PlayedFlow, PlayedFlows
from tests.support.eventually import eventually
from tests.support.scenario import Part, Row, Scenario, assert_as_expected, each, part, scenario, unrecorded

HZ_152 = 520
HZ_421 = 640
TO_152 = "2458152"

clicks = partial(Row, direction="out", src="152", employee="152")
clicks_in_vain = partial(unrecorded, "not_answered", direction="out", src="152", employee="152", answered_by=None)


def with_the_number() -> Part:
    """What 152 and the number say to each other. The recorder is attached as the talk begins."""
    return part("152", OUTSIDE_HZ, HZ_152, OUTSIDE, begins_late_s=0.2)


CLICK = clicks(dst=LONG_DISTANCE, answered_by=LONG_DISTANCE, parts=(with_the_number(),))


def taken_by_152(src: str = "152", employee: str | None = "152") -> Row:
    """The company calls the customer back, and 152 takes the call."""
    heard = part("152", OUTSIDE_HZ, HZ_152, "152")
    return Row(direction="out", src=src, dst=CALLER, answered_by=CALLER, employee=employee, parts=(heard,))


def not_reached(result: str, src: str = "2458888", employee: str | None = None) -> Row:
    row: dict[str, Any] = {"direction": "out", "src": src, "dst": CALLER, "answered_by": None, "employee": employee}
    return unrecorded("not_answered", result=result, **row)


def code(dialled: str, result: str = "no_answer") -> Row:
    row: dict[str, Any] = {"direction": "internal", "src": "152", "employee": "152", "answered_by": None}
    return unrecorded("not_answered", dst=dialled, result=result, **row)


def by_voicemail(result: str) -> Row:
    return unrecorded("not_answered", dst=TO_152, answered_by=None, result=result, employee="152")


def says_mobile(number: str, played: PlayedFlow) -> None:
    """The path says that the mobile was rung for 152."""
    (row,) = played.rows
    assert ("forward", number, "152") in [(step["what"], step["who"], step["by"]) for step in row["path"]]


def says_voicemail(played: PlayedFlow) -> None:
    """The path says that the mailbox of 152 answered."""
    (row,) = played.rows
    assert ("voicemail", "152") in [(step["what"], step["who"]) for step in row["path"]]


BY_MOBILE = Row(dst=TO_152, answered_by=MOBILE, employee="152", parts=(part("152", CALLER_HZ, OUTSIDE_HZ, OUTSIDE),))
FAR_MOBILE = unrecorded("forwarded_long_distance", dst=TO_152, answered_by=LONG_DISTANCE, employee="152")
BY_DESK = Row(dst=TO_152, answered_by="152", employee="152", parts=(part("152", CALLER_HZ, PHONE_HZ, "152"),))
COLLEAGUE = Row(
    direction="internal",
    src="152",
    dst="421",
    answered_by="421",
    employee="152",
    parts=(part("421", HZ_152, HZ_421, "421"),),
)
UNRECORDED = Row(
    direction="internal",
    src="152",
    dst="130",
    answered_by="130",
    employee="152",
    parts=(part("152", 760, HZ_152, "130", begins_late_s=0.2),),
)

SCENARIOS = (
    scenario("41 click to call", "click_by_local", CLICK),
    scenario("41 click to call, /n", "click_by_kept_local", CLICK),
    scenario("41 click to call, by the telephone", "click_by_telephone", CLICK),
    scenario("41 to a colleague", "click_to_colleague", COLLEAGUE),
    scenario("41 to a colleague who is not recorded", "click_to_unrecorded", UNRECORDED),
    scenario("41 not answered", "click_unanswered", clicks_in_vain(dst=LONG_DISTANCE, result="no_answer")),
    scenario("41 not answered, /n", "click_unanswered_kept", clicks_in_vain(dst=LONG_DISTANCE, result="no_answer")),
    scenario("41 busy", "click_busy", clicks_in_vain(dst=LONG_DISTANCE, result="busy")),
    scenario(
        "41 152 does not take it up",
        "click_refused_by_caller",
        unrecorded("not_answered", direction="internal", src="152", dst="", result="busy", answered_by=None, employee="152"),
    ),
    scenario(
        "41 returns a missed call",
        "click_returns_missed",
        unrecorded("not_answered", dst=TO_152, answered_by=None, result="busy", employee="152", called_back=True),
        clicks(dst=CALLER, answered_by=CALLER, parts=(with_the_number(),)),
    ),
    scenario("42 callback by the trunk", "callback_by_trunk", taken_by_152()),
    scenario("42 callback by Local", "callback_by_local", taken_by_152()),
    scenario("42 callback by Local, /n", "callback_by_kept_local", taken_by_152()),
    scenario("42 into a queue, by account code", "callback_into_group", taken_by_152()),
    scenario("42 busy", "callback_busy", not_reached("busy")),
    scenario("42 busy, by account code", "callback_busy_by_account", not_reached("busy", src="")),
    scenario("42 busy, by Local", "callback_busy_by_local", not_reached("busy")),
    scenario("42 not taken", "callback_not_taken", not_reached("no_answer", src="152", employee="152")),
    scenario("46 a forward is set", "code_forward", code(f"*21*{CALLER}")),
    scenario("46 intercom", "code_intercom", code("*55152")),
    scenario("46 a queue's break", "code_queue", code("*45")),
    scenario("46 nothing to pick up", "code_pick_up", code("*8", "busy")),
    scenario("48 the mobile answers", "mobile_answers", BY_MOBILE, also=partial(says_mobile, MOBILE)),
    scenario("48 by Local", "mobile_answers_by_local", BY_MOBILE, also=partial(says_mobile, MOBILE)),
    scenario("48 the mobile is rung first", "mobile_first", BY_MOBILE, also=partial(says_mobile, MOBILE)),
    scenario("48 the mobile is far away", "mobile_is_far", FAR_MOBILE, also=partial(says_mobile, LONG_DISTANCE)),
    scenario("48 the desk answers", "mobile_not_answered", BY_DESK),
    scenario("51 voicemail after no answer", "voicemail_after_no_answer", by_voicemail("no_answer"), also=says_voicemail),
    scenario("51 voicemail after a refusal", "voicemail_after_refusal", by_voicemail("busy"), also=says_voicemail),
)


@each(SCENARIOS)
def test_scenario(flows: PlayedFlows, scenario: Scenario) -> None:
    assert_as_expected(scenario, flows)


@pytest.mark.parametrize("flow", ["click_unanswered", "click_unanswered_kept", "click_busy"])
def test_an_unanswered_click_has_no_talk(flows: PlayedFlows, flow: str) -> None:
    (row,) = flows[flow].rows
    assert (row["talk_s"], row["recording"]["segments"]) == (0, [])
    assert "record" not in {step["what"] for step in row["path"]}


async def test_a_click_is_an_outgoing_call_for_the_setting(pbx: LabAsterisk, fonoteka: Fonoteka) -> None:
    """41: `record = out` records it."""
    await _switch(fonoteka, "out")
    try:
        before = await fonoteka.ids()
        async with handset(pbx, "152") as desk, handset(pbx, OUTSIDE) as far:
            here, ringing = await clicked(pbx, desk, far, "Local/152@from-users")
            there = await ringing.answer()
            await talk_and_leave(there, here)
        row = await fonoteka.settled(before)
        assert (row["direction"], row["recording"]["state"], row["dst"]) == ("out", "ready", LONG_DISTANCE)
    finally:
        await _switch(fonoteka, "all")


async def _switch(fonoteka: Fonoteka, record: str) -> None:
    changes = fonoteka.log().count("event=settings.changed")
    (await fonoteka.http.patch("/api/users/152", json={"record": record})).raise_for_status()
    await eventually(lambda: fonoteka.log().count("event=settings.changed") > changes)
