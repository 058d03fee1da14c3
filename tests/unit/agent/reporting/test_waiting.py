"""Trunk, queue and waiting time: of every recorded stream, and of calls written as tables."""

from typing import Final

import pytest

from agent.calls.call_state import Call
from agent.calls.fold_dials import MAX_DIALS
from agent.reporting.waiting import queue, trunk, wait_ms
from agent.rules.directory import Directory
from agent.rules.parties import direction
from fonoteka.core.domains import Domain, DomainSettings, RecordRule, User
from tests.unit.agent.calls.test_recorded_streams import STREAMS, read_stream
from tests.unit.agent.fixtures import ACME, DIRECTORY, play, played

TRUNK: Final = "PJSIP/trunk"
CODES: Final = frozenset({"code_forward", "code_intercom", "code_queue", "code_pick_up"})
INSIDE: Final = CODES | {
    "internal",
    "internal_busy",
    "conference_of_colleagues",
    "wideband",
    "page_of_two",
    "directly",
    "click_to_colleague",
    "click_to_unrecorded",
    "click_refused_by_caller",
}
# Rows with a customer and without.
BOTH: Final = frozenset(
    {
        "conference_with_customer",
        "attended_by_phone_taken_back",
        "agent_takes_two",
        "customer_in_room",
        "customer_put_into_room",
        "whispered",
    }
)
# A party that the PBX rings to begin the call is not waited for.
NOBODY_RANG: Final = CODES | {
    "menu_hung_up",
    "in_absent",
    "conference_of_colleagues",
    "customer_in_room",
    "customer_put_into_room",
    "click_refused_by_caller",
    "callback_busy",
    "callback_busy_by_account",
    "callback_busy_by_local",
}
QUEUES: Final = {
    "queue_421_answers": {"acme"},
    "queue_given_up": {"acme"},
    "queue_leads_out": {"acme-duty"},
    "queue_of_local": {"acme-local"},
    "callback_into_group": {"acme"},
    "agent_takes_two": {"acme-agents", None},
}

Waited = tuple[str | None, str | None, int | None]


def waited(call: Call, directory: Directory = DIRECTORY, company: int = 0) -> Waited:
    domain = directory.domains[company]
    return trunk(call, domain), queue(call, domain, direction(call, domain)), wait_ms(call)


@pytest.mark.parametrize("name", sorted(path.stem for path in STREAMS.glob("*.txt")))
def test_of_a_recorded_stream(name: str) -> None:
    """The lab's telephones answer after 0.8 s and ring for 3 s; each caller has waited as long."""
    rows = [waited(call) for call in play(read_stream(name)).calls.values() if not call.merged_into]
    trunks = {None, TRUNK} if name in BOTH else {None if name in INSIDE else TRUNK}
    assert {trunk for trunk, _, _ in rows} == trunks
    assert {queue for _, queue, _ in rows} == QUEUES.get(name, {None})
    waits = [wait for _, _, wait in rows if wait is not None]
    assert all(0 <= wait < 8000 for wait in waits)
    assert bool(waits) is (name not in NOBODY_RANG)


QUEUED = """
0.0 start t PJSIP/trunk-1 2458900 89131234567
5.0 queue t sales
5.1 start p PJSIP/acme-152-2 s
5.1 ring t p
20.1 rung t p NOANSWER
20.1 end p
"""
ANSWERED = """
25.0 start q PJSIP/acme-421-3 s
25.0 ring t q
30.0 rung t q ANSWER
30.0 enter q b
30.0 enter t b
40.0 end q
40.0 end t
"""

#    play                                       trunk  queue    wait_ms
CALLS: Final[dict[str, tuple[str, Waited]]] = {
    "answered in the queue": (QUEUED + ANSWERED, (TRUNK, "sales", 25_000)),
    "given up in the queue": (QUEUED + "21.5 end t", (TRUNK, "sales", 16_500)),
    "in the queue now": (QUEUED, (TRUNK, "sales", None)),
    "nobody is in the queue": (
        "0.0 start t PJSIP/trunk-1 2458900 8913\n2.0 queue t sales\n9.0 end t",
        (TRUNK, "sales", 7000),
    ),
    "from one queue to another": (QUEUED + "22.0 queue t duty" + ANSWERED, (TRUNK, "duty", 25_000)),
    "put into a queue after the talk": (
        QUEUED + ANSWERED.replace("40.0 end t", "41.0 queue t duty\n50.0 end t"),
        (TRUNK, "sales", 25_000),
    ),
    "rings before the queue": (
        """
        0.0 start t PJSIP/trunk-1 2458900 89131234567
        1.0 start p PJSIP/acme-152-2 s
        1.0 ring t p
        4.0 rung t p NOANSWER
        4.0 end p
        5.0 queue t sales
        9.0 end t
        """,
        (TRUNK, "sales", 8000),
    ),
    "the second trunk takes it": (
        """
        0.0 start p PJSIP/acme-152-1 84951234567 152
        0.1 start t PJSIP/first-2 s
        0.1 ring p t 84951234567
        0.4 rung p t CONGESTION
        0.4 end t 34
        0.5 start u PJSIP/second-3 s
        0.5 ring p u 84951234567
        3.1 rung p u ANSWER
        3.1 enter u b
        3.1 enter p b
        9.0 end u
        9.0 end p
        """,
        ("PJSIP/second", None, 3000),
    ),
    "click to call": (
        """
        0.0 start p PJSIP/acme-152-1 84951234567 152
        0.0 ring - p acme-152
        4.0 rung - p ANSWER
        4.5 start t DAHDI/i1/84951234567-2 s
        4.5 ring p t 84951234567
        7.0 rung p t ANSWER
        7.0 enter t b
        7.0 enter p b
        9.0 end t
        9.0 end p
        """,
        ("DAHDI/i1", None, 2500),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("table", "expected"), CALLS.values(), ids=CALLS.keys())
def test_of_a_call(table: str, expected: Waited) -> None:
    assert waited(played(table)) == expected


def test_an_hour_of_ringing_keeps_its_begin() -> None:
    lines = ["0.0 start t PJSIP/trunk-1 2458900 89131234567"]
    for turn in range(2 * MAX_DIALS):
        lines += [
            f"{turn + 1} start p{turn} PJSIP/acme-130-{turn} s",
            f"{turn + 1} ring t p{turn}",
            f"{turn + 1.5} rung t p{turn} NOANSWER",
            f"{turn + 1.5} end p{turn}",
        ]
    call = played("\n".join((*lines, f"{2 * MAX_DIALS + 1} end t")))
    assert len(call.dials) <= MAX_DIALS
    assert wait_ms(call) == 2 * MAX_DIALS * 1000


GLOBEX: Final = Domain(
    name="globex",
    country="RU",
    area_codes=("391",),
    numbers=("2459001",),
    users=(User(login="1", name="One", extension="1", endpoints=("PJSIP/globex-1",), record=RecordRule.OFF),),
)
FROM_ACME: Final = """
0.0 start p PJSIP/acme-152-1 2459001 152
0.5 queue p globex-sales
1.0 start g PJSIP/globex-1-2 s
1.0 ring p g
3.0 rung p g ANSWER
3.0 enter g b
3.0 enter p b
9.0 end g
9.0 end p
"""


@pytest.mark.parametrize("trunks", [frozenset(), frozenset({TRUNK})], ids=["trunks by the users", "trunks named"])
def test_another_companys_endpoint_is_no_trunk_and_its_queue_is_its_own(trunks: frozenset[str]) -> None:
    directory = Directory(settings=DomainSettings(version=1, domains=(ACME, GLOBEX)), trunks=trunks)
    call = played(FROM_ACME, directory)
    assert waited(call, directory) == (None, None, 2500)
    assert waited(call, directory, company=1) == (None, "globex-sales", 2500)
