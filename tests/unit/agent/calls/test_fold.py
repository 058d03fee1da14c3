"""Calls as tables: the events of Asterisk, and the row that the calls table must show."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from agent.calls.events import BridgeEntered
from fonoteka.core.call_report import Direction, Reason, Result
from tests.unit.agent.fixtures import at, events, play, played, report_of

IN = """
0.0 start t PJSIP/trunk-1 {dst} 89131234567
0.1 start p PJSIP/acme-{phone}-2 s
0.1 ring t p acme-{phone}
"""
ANSWERED = """
1.0 rung t p ANSWER
1.0 enter p b
1.0 enter t b
6.0 leave t b
6.0 end t
6.0 leave p b
6.0 end p
"""


def incoming(phone: str, rest: str = ANSWERED, dst: str | None = None) -> str:
    return IN.format(phone=phone, dst=dst or f"2458{phone}") + rest


@dataclass(frozen=True, kw_only=True)
class Row:
    """The row of a call."""

    direction: Direction = Direction.IN
    result: Result = Result.ANSWERED
    employee: str | None = "152"
    src: str = "89131234567"
    dst: str = "2458152"
    answered_by: str | None = "152"
    segments: tuple[str, ...] = ("152",)
    reason: Reason | None = None
    talk_ms: int = 5000


NOT_ANSWERED: dict[str, Any] = {"answered_by": None, "segments": (), "reason": Reason.NOT_ANSWERED, "talk_ms": 0}

CALLS = {
    "1 trunk to 152": (incoming("152"), Row()),
    "2 through the menu": (
        """
        0.0 start t PJSIP/trunk-1 2458888 89131234567
        4.0 start p PJSIP/acme-152-2 s
        4.0 ring t p acme-152
        5.0 rung t p ANSWER
        5.0 enter p b
        5.0 enter t b
        10.0 leave t b
        10.0 end t
        10.0 leave p b
        10.0 end p
        """,
        Row(dst="2458888"),
    ),
    "3 hangs up in the menu": (
        "0.0 start t PJSIP/trunk-1 2458888 89131234567\n3.0 end t",
        Row(dst="2458888", result=Result.NO_ANSWER, employee=None, **NOT_ANSWERED),
    ),
    "4 to the city": (
        """
        0.0 start p PJSIP/acme-152-1 2912345 152
        0.1 start t PJSIP/trunk-2 s
        0.1 ring p t 2912345
        1.0 rung p t ANSWER
        1.0 enter t b
        1.0 enter p b
        6.0 leave p b
        6.0 end p
        6.0 end t
        """,
        Row(direction=Direction.OUT, src="152", dst="2912345", answered_by="2912345"),
    ),
    "10 to one who is not recorded": (
        incoming("130"),
        Row(employee="130", dst="2458130", answered_by="130", segments=(), reason=Reason.USER_OFF),
    ),
    "11 busy": (incoming("152", "0.2 rung t p BUSY\n0.2 end p 17\n0.3 end t 17"), Row(result=Result.BUSY, **NOT_ANSWERED)),
    "11 not answered": (
        incoming("152", "9.0 rung t p NOANSWER\n9.0 end p\n9.1 end t"),
        Row(result=Result.NO_ANSWER, **NOT_ANSWERED),
    ),
    "11 caller gives up": (
        incoming("152", "3.0 rung t p CANCEL\n3.0 end p\n3.0 end t"),
        Row(result=Result.NO_ANSWER, **NOT_ANSWERED),
    ),
    "11 refused": (incoming("152", "0.2 end p 21\n0.2 rung t p CHANUNAVAIL\n0.3 end t"), Row(result=Result.BUSY, **NOT_ANSWERED)),
    "11 unreachable": (
        incoming("152", "0.2 rung t p CHANUNAVAIL\n0.2 end p 20\n0.3 end t"),
        Row(result=Result.OTHER, **NOT_ANSWERED),
    ),
    "12 ring group": (
        """
        0.0 start t PJSIP/trunk-1 2458800 89131234567
        0.1 start p PJSIP/acme-152-2 s
        0.1 start q PJSIP/acme-130-3 s
        0.1 ring t p
        0.1 ring t q
        1.0 rung t q CANCEL
        1.0 rung t p ANSWER
        1.0 end q 26
        1.0 enter p b
        1.0 enter t b
        6.0 leave t b
        6.0 end t
        6.0 end p
        """,
        Row(dst="2458800"),
    ),
    "14 internal, both recorded": (
        """
        0.0 start p PJSIP/acme-152-1 421 152
        0.1 start q PJSIP/acme-421-2 s
        0.1 ring p q
        1.0 rung p q ANSWER
        1.0 enter q b
        1.0 enter p b
        6.0 leave p b
        6.0 end p
        6.0 end q
        """,
        Row(direction=Direction.INTERNAL, src="152", dst="421", answered_by="421"),
    ),
    "15 internal, the called one recorded": (
        """
        0.0 start q PJSIP/acme-130-1 152 130
        0.1 start p PJSIP/acme-152-2 s
        0.1 ring q p
        1.0 rung q p ANSWER
        1.0 enter p b
        1.0 enter q b
        6.0 leave q b
        6.0 end q
        6.0 end p
        """,
        Row(direction=Direction.INTERNAL, employee="130", src="130", dst="152", answered_by="152"),
    ),
    "nothing asked on demand": (
        incoming("777"),
        Row(employee="777", dst="2458777", answered_by="777", segments=(), reason=Reason.ON_DEMAND_NOT_ASKED),
    ),
    "records incoming, called": (
        incoming("500", dst="2458888"),
        Row(employee="500", dst="2458888", answered_by="500", segments=("500",)),
    ),
    "records outgoing, called": (
        incoming("600", dst="2458888"),
        Row(employee="600", dst="2458888", answered_by="600", segments=(), reason=Reason.DIRECTION_OFF),
    ),
}


@pytest.mark.parametrize(("table", "row"), CALLS.values(), ids=CALLS.keys())
def test_the_row(table: str, row: Row) -> None:
    shown = report_of(played(table))
    assert shown.ended_at is not None
    assert row == Row(
        direction=shown.direction,
        result=shown.result,
        employee=shown.employee,
        src=shown.src,
        dst=shown.dst,
        answered_by=shown.answered_by,
        segments=tuple(segment.user for segment in shown.segments),
        reason=shown.reason,
        talk_ms=shown.talk_ms,
    )


def test_during_the_talk_the_row_shows_the_talk_so_far() -> None:
    shown = report_of(played(incoming("152", "1.0 rung t p ANSWER\n1.0 enter p b\n1.0 enter t b")))
    assert (shown.result, shown.answered_at, shown.ended_at, shown.reason) == (Result.ANSWERED, at(1.0), None, None)


ASKING = (
    incoming("152", "1.0 rung t p ANSWER\n1.0 enter p b\n1.0 enter t b\n")
    + """
3.0 start a Local/421@from-users-5;1
3.0 start b Local/421@from-users-5;2 421
3.0 start q PJSIP/acme-421-6 s
{order}
3.5 rung b q ANSWER
3.5 enter q d
3.5 enter b d
"""
)
HALF, COMES, RINGS = "3.0 enter a c\n", "3.0 leave p b\n3.0 enter p c\n", "3.0 ring b q acme-421\n"


@pytest.mark.parametrize("order", [HALF + COMES + RINGS, HALF + RINGS + COMES, RINGS + HALF + COMES])
def test_an_enquiry_by_keys_is_part_of_the_existing_recording(order: str) -> None:
    """All orders were seen: 421 may ring before 152, or the Local half, is in the bridge."""
    shown = report_of(played(ASKING.format(order=order)))
    assert [segment.user for segment in shown.segments] == ["152"]


def test_a_user_that_only_rang_takes_part_in_missed_calls_only() -> None:
    ring_group = CALLS["12 ring group"][0]
    missed = "\n".join(line for line in ring_group.splitlines() if "enter" not in line and "leave" not in line).replace(
        "ANSWER", "NOANSWER"
    )
    for table, took_part in ((ring_group, ("152",)), (missed, ("152", "130"))):
        shown = report_of(played(table))
        assert shown.participants == took_part


def test_a_talk_found_in_progress_is_recorded_and_marks_the_missing_part() -> None:
    """Found after a login: no recorder is there."""
    found = events("""
        0.0 start c PJSIP/trunk-1 2458152 89131234567
        0.1 start r PJSIP/acme-152-2
        9.0 enter c B
        9.0 enter r B
    """)
    late = [replace(happened, late=True) if isinstance(happened, BridgeEntered) else happened for happened in found]
    (call,) = play(late).calls.values()
    assert [(segment.user, segment.reason) for segment in report_of(call).segments] == [
        ("152", Reason.AGENT_WAS_DOWN),
        ("152", None),
    ]
