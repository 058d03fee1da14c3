"""Who called whom, for whom, and for which domain: from the whole call."""

from dataclasses import replace

import pytest

from agent.rules.directory import Directory
from agent.rules.parties import domain_of, parties_of
from fonoteka.core.call_report import Direction
from fonoteka.core.domains import DomainSettings
from tests.unit.agent.fixtures import ACME, DIRECTORY, played

IN, OUT, INTERNAL = Direction.IN, Direction.OUT, Direction.INTERNAL

# The PBX rings 152 by a Local channel or by the telephone itself; the other half goes on for 152.
CLICK_LOCAL = """
0 start a Local/152@users-1;1 152
0 start b Local/152@users-1;2 152
0 ring - a 152
0 start c PJSIP/acme-152-1 s 152
0 ring b c acme-152 152
"""
CLICKED_LOCAL = f"""{CLICK_LOCAL}
1 rung b c ANSWER
1 rung - a ANSWER
1 enter c x
1 enter b x
"""
CLICK = "0 start a PJSIP/acme-152-1 s 152\n0 ring - a acme-152"
CLICKED = f"{CLICK}\n1 rung - a ANSWER"
OUTSIDE_RINGS = "1 start d PJSIP/trunk-2 s\n1 ring a d 84951234567 84951234567"
OUTSIDE_RINGS_BY_MACRO = "1 start d PJSIP/trunk-2 s\n1 ring a d 84951234567 s"
COLLEAGUE_RINGS = "1 start d PJSIP/acme-421-2 s\n1 ring a d acme-421 421"
OUTSIDE_TALKS = "2 rung a d ANSWER\n2 enter d y\n2 enter a y"
# The PBX rings the outside party first.
BACK = "0 start a PJSIP/trunk-1 s\n0 ring - a 89131234567 - 2458888"
BACK_LOCAL = """
0 start l Local/89131234567@users-1;1 89131234567
0 start m Local/89131234567@users-1;2 89131234567
0 ring - l 89131234567 - 2458888
0 start a PJSIP/trunk-1 s
0 ring m a 89131234567 89131234567 2458888
"""
OUTSIDE_HEARS = "1 rung m a ANSWER\n1 rung - l ANSWER\n1 enter a x\n1 enter m x"
TAKES = "1 start d PJSIP/acme-152-2 s\n1 ring a d acme-152 152\n2 rung a d ANSWER\n2 enter d y\n2 enter a y"
TAKES_LOCAL = TAKES.replace("ring a", "ring l").replace("rung a", "rung l").replace("enter a", "enter l")
GROUP_BACK = "1 start d PJSIP/acme-152-2 s\n1 ring a d acme-152 600\n1 start e PJSIP/acme-421-3 s\n1 ring a e acme-421 600"

# direction, src, dst, answered_by, employee
CALLS = [
    ("a user dials", "0 start a PJSIP/acme-152-1 84951234567", OUT, "152", "84951234567", None, "152"),
    ("a user dials a colleague", "0 start a PJSIP/acme-152-1 421", INTERNAL, "152", "421", None, "152"),
    ("a user sets a forward", "0 start a PJSIP/acme-152-1 *21*89131234567", INTERNAL, "152", "*21*89131234567", None, "152"),
    ("a user calls a telephone's intercom", "0 start a PJSIP/acme-152-1 *55152", INTERNAL, "152", "*55152", None, "152"),
    ("a code that leads outside", "0 start a PJSIP/acme-152-1 *678495\n0 start b PJSIP/trunk-2\n0 ring a b 8495",
     OUT, "152", "*678495", None, "152"),
    ("a customer dials", "0 start a PJSIP/trunk-1 2458152 8913", IN, "8913", "2458152", None, None),
    ("click to call, the PBX has rung nobody yet", "0 start a Local/152@users-1;1 152\n0 ring - a 152",
     INTERNAL, "", "152", None, None),
    ("click to call by Local, 152 rings", CLICK_LOCAL, INTERNAL, "152", "", None, "152"),
    ("click to call by Local, the number rings", CLICKED_LOCAL + OUTSIDE_RINGS, OUT, "152", "84951234567", None, "152"),
    ("click to call by Local, dialled by a macro", CLICKED_LOCAL + OUTSIDE_RINGS_BY_MACRO, OUT, "152", "84951234567", None, "152"),
    ("click to call by Local, answered", f"{CLICKED_LOCAL}{OUTSIDE_RINGS}\n{OUTSIDE_TALKS}",
     OUT, "152", "84951234567", "84951234567", "152"),
    ("click to call by Local, a colleague", CLICKED_LOCAL + COLLEAGUE_RINGS, INTERNAL, "152", "421", None, "152"),
    ("click to call, 152 rings", CLICK, INTERNAL, "152", "", None, "152"),
    ("click to call, the number rings", f"{CLICKED}\n{OUTSIDE_RINGS}", OUT, "152", "84951234567", None, "152"),
    ("click to call, answered", f"{CLICKED}\n{OUTSIDE_RINGS}\n{OUTSIDE_TALKS}", OUT, "152", "84951234567", "84951234567", "152"),
    ("click to call, a colleague", f"{CLICKED}\n{COLLEAGUE_RINGS}", INTERNAL, "152", "421", None, "152"),
    ("a callback rings outside", BACK, OUT, "2458888", "89131234567", None, None),
    ("a callback is taken", f"{BACK}\n1 rung - a ANSWER\n{TAKES}", OUT, "152", "89131234567", "89131234567", "152"),
    ("a callback by Local rings outside", BACK_LOCAL, OUT, "2458888", "89131234567", None, None),
    ("a callback by Local is taken", f"{BACK_LOCAL}{OUTSIDE_HEARS}\n{TAKES_LOCAL}",
     OUT, "152", "89131234567", "89131234567", "152"),
    ("a callback rings a group", f"{BACK}\n1 rung - a ANSWER\n{GROUP_BACK}", OUT, "2458888", "89131234567", None, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "direction", "src", "dst", "answered_by", "employee"), [call[1:] for call in CALLS], ids=[call[0] for call in CALLS]
)
def test_parties(table: str, direction: Direction, src: str, dst: str, answered_by: str | None, employee: str | None) -> None:
    parties = parties_of(played(table), DIRECTORY.domains[0])
    shown = (parties.direction, parties.src, parties.dst, parties.answered_by, parties.employee)
    assert shown == (direction, src, dst, answered_by, employee)


@pytest.mark.parametrize("call", [f"{BACK}\n1 rung - a ANSWER\n{TAKES}", BACK_LOCAL])
def test_a_callback_shows_a_number_of_the_domain(call: str) -> None:
    assert parties_of(played(call), DIRECTORY.domains[0]).number == "2458888"


_GLOBEX_USER = replace(ACME.users[0], endpoints=("PJSIP/globex-1",))
GLOBEX = replace(ACME, name="globex", users=(_GLOBEX_USER,), numbers=("2459000",))
BOTH = Directory(settings=DomainSettings(version=1, domains=(ACME, GLOBEX)))
GLOBEX_ANSWERS = "1 start d PJSIP/globex-1-2 s\n1 ring a d globex-1 1"


@pytest.mark.parametrize(
    ("table", "domain"),
    [
        (BACK, "acme"),
        (BACK_LOCAL, "acme"),
        (BACK.replace("2458888", "2459000"), "globex"),
        (BACK.replace("2458888", "2459000 acme"), "globex"),  # the number counts first
        (BACK.replace("2458888", "- GLOBEX"), "globex"),
        (BACK.replace("2458888", "5551234 globex"), "globex"),
        (BACK.replace("2458888", "- nobody"), None),
        (BACK.replace("2458888", "-"), None),
        (f"{BACK.replace('2458888', '-')}\n{GLOBEX_ANSWERS}", "globex"),
        (f"{BACK}\n{GLOBEX_ANSWERS}", "acme"),
        ("0 start a PJSIP/trunk-1 2459000 2458888", "globex"),  # a customer who forges a number of ACME
        (CLICK.replace("acme-152", "globex-1"), "globex"),
        (CLICK_LOCAL.replace("acme-152", "globex-1"), "globex"),
        ("0 start a Local/2459000@users-1;1 2459000\n0 ring - a 2459000", None),  # nobody was rung yet
    ],
)
def test_domain(table: str, domain: str | None) -> None:
    found = domain_of(played(table, BOTH), BOTH)
    assert (found.settings.name if found is not None else None) == domain
