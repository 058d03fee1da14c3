"""What is recorded, and for whom: the PBX rings first, or rings a desk and a mobile together."""

import pytest

from agent.calls.call_state import Call, RecordingStage
from fonoteka.core.call_report import Reason, Result
from tests.unit.agent.fixtures import played, report_of
from tests.unit.agent.rules.test_parties import (
    CLICK,
    CLICKED,
    CLICKED_LOCAL,
    COLLEAGUE_RINGS,
    OUTSIDE_RINGS,
    OUTSIDE_TALKS,
)

GIVEN_UP = "9 rung a d CANCEL\n9 leave c x\n9 leave b x\n9 end d\n9 end c\n9 end b\n9 end a"
BUSY = "9 rung a d BUSY\n9 leave c x\n9 leave b x\n9 end d 17\n9 end a 17\n9 end b\n9 end c"


def of_600(table: str) -> str:
    return table.replace("acme-152", "acme-600").replace("152", "600")


def recorded(call: Call) -> list[tuple[str, str]]:
    """The channels that are recorded, and for whom."""
    return [(recording.uniqueid, recording.user) for recording in call.recordings if recording.stage is RecordingStage.RUNNING]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (CLICK, []),
        (CLICKED_LOCAL + OUTSIDE_RINGS, []),  # 152 hears the ringing tone
        (f"{CLICKED_LOCAL}{OUTSIDE_RINGS}\n{OUTSIDE_TALKS}", [("c", "152")]),
        (f"{CLICKED}\n{OUTSIDE_RINGS}", [("a", "152")]),  # 152 is in no bridge yet
        (f"{CLICKED}\n{OUTSIDE_RINGS}\n{OUTSIDE_TALKS}", [("a", "152")]),
        (of_600(f"{CLICKED_LOCAL}{OUTSIDE_RINGS}\n{OUTSIDE_TALKS}"), [("c", "600")]),  # 600 records what goes out
        (of_600(f"{CLICKED}\n{OUTSIDE_RINGS}"), [("a", "600")]),
        (CLICKED_LOCAL + COLLEAGUE_RINGS, [("d", "421")]),
    ],
)
def test_click_to_call(table: str, expected: list[tuple[str, str]]) -> None:
    assert recorded(played(table)) == expected


@pytest.mark.parametrize(("end", "result"), [(GIVEN_UP, Result.NO_ANSWER), (BUSY, Result.BUSY)])
def test_a_click_that_nobody_answers(end: str, result: Result) -> None:
    shown = report_of(played(f"{CLICKED_LOCAL}{OUTSIDE_RINGS}\n{end}"))
    assert (shown.result, shown.reason, shown.talk_ms, shown.segments) == (result, Reason.NOT_ANSWERED, 0, ())


DID = "0 start a PJSIP/trunk-1 2458152"
DESK = "1 start b PJSIP/acme-152-2\n1 ring a b acme-152"
DESK_BY_LOCAL = "1 start l Local/152@users-1;1 152\n1 start m Local/152@users-1;2 152\n1 ring a l 152"
MOBILE = "1 start c PJSIP/trunk-3\n1 ring a c 89139998877"
COLLEAGUE = "1 start e PJSIP/acme-421-4\n1 ring a e acme-421"
COLLEAGUE_COMES, COLLEAGUE_RUNG = COLLEAGUE.splitlines()
OFF = "1 start f PJSIP/acme-130-5\n1 ring a f acme-130"
FAR = "1 start c PJSIP/trunk-3\n1 ring a c 84951234567"
MOBILE_ANSWERS = "2 rung a c ANSWER\n2 rung a b CANCEL\n2 enter c x\n2 enter a x"


@pytest.mark.parametrize(
    ("rings", "expected"),
    [
        (f"{DESK}\n{MOBILE}", "152"),
        (f"{MOBILE}\n{DESK}", "152"),
        (f"{MOBILE}\n{DESK_BY_LOCAL}", "152"),
        (f"{DESK}\n{COLLEAGUE}\n{MOBILE}", ""),  # a group: on behalf of nobody
        (f"{COLLEAGUE_COMES}\n{DESK}\n{MOBILE}\n{COLLEAGUE_RUNG}", ""),
        (MOBILE, ""),
        (f"{OFF}\n{MOBILE}", "130"),
    ],
)
def test_a_mobile_rings_for_the_user_whose_desk_rings_with_it(rings: str, expected: str) -> None:
    call = played(f"{DID}\n{rings}\n{MOBILE_ANSWERS}")
    (of_mobile,) = [recording for recording in call.recordings if recording.uniqueid == "c"]
    assert of_mobile.user == expected
    assert report_of(call).employee == (expected or None)


@pytest.mark.parametrize("rings", [f"{DESK}\n{FAR}", f"{FAR}\n{DESK}"])
def test_a_mobile_far_away_is_not_recorded(rings: str) -> None:
    shown = report_of(played(f"{DID}\n{rings}\n{MOBILE_ANSWERS}"))
    assert (shown.reason, shown.employee, shown.segments) == (Reason.FORWARDED_LONG_DISTANCE, "152", ())
    assert [(step.what, step.who, step.by) for step in shown.path if step.what == "forward"] == [("forward", "84951234567", "152")]
