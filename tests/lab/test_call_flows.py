"""The call flows come out as described.

Who answered, how many calls Asterisk saw, by which events; nobody is left on the line.
"""

from collections import Counter

import pytest

from lab.asterisk.server import LabAsterisk
from lab.base.ami_witness import Message
from lab.scenarios.basic_calls import BASIC_CALLS
from lab.scenarios.call_flows import CALL_FLOWS
from lab.scenarios.steps import CUSTOMER
from lab.sip.sipp_phones import OUTSIDE
from lab.tools.capture import capture
from tests.pbx import test_scenarios_complained, test_scenarios_elsewhere, test_scenarios_originated
from tests.support.call_flows import PlayedFlows

_TABLES = (test_scenarios_complained, test_scenarios_elsewhere, test_scenarios_originated)

# The counts of these events tell what a flow is made of; all others are the events of any call.
TELLING = {
    "AttendedTransfer",
    "BlindTransfer",
    "Hold",
    "ParkedCall",
    "Pickup",
    "UnParkedCall",
}
HELD = {"Hold": 1}
BLIND, ATTENDED = {"BlindTransfer": 1}, {"AttendedTransfer": 1, "Hold": 1}
PARKED = {"ParkedCall": 1, "UnParkedCall": 1}
# Through these goes a Local channel. Asterisk takes it out of the way with a packet that finds all
# its locks free, thus not at any time one could wait for, and in a short talk on a slow machine not
# at all.
THROUGH_LOCAL = {"followed_out"} | {f"attended_by_keys{how}" for how in ("", "_to_130", "_unanswered", "_taken_back")}

#      flow                          calls  events                 answered, in order
ROWS = [
    ("hold_and_resume",               1, HELD,              ("152", CUSTOMER)),
    ("hold_and_resume_anew",          1, HELD,              ("152", CUSTOMER)),
    ("keys_in_talk",                  1, {},                ("152", CUSTOMER)),
    ("badly_heard",                   1, {},                ("152", CUSTOMER)),
    ("behind_bad_network",            1, {},                ("152", CUSTOMER)),
    ("wideband",                      1, {},                ("421", "152")),
    ("wideband_from_outside",         1, {},                ("421", CUSTOMER)),
    ("blind_by_phone",                1, BLIND,             ("152", CUSTOMER, "421")),
    ("blind_by_phone_to_130",         1, BLIND,             ("152", CUSTOMER, "130")),
    ("blind_by_keys",                 1, BLIND | HELD,      ("152", CUSTOMER, "421")),
    ("blind_by_manager",              1, BLIND,             ("152", CUSTOMER, "421")),
    ("blind_out",                     1, BLIND,             ("152", CUSTOMER, OUTSIDE)),
    ("blind_to_busy",                 1, BLIND,             ("152", CUSTOMER)),
    ("attended_by_keys",              1, ATTENDED,          ("152", CUSTOMER, "421")),
    ("attended_by_keys_to_130",       1, ATTENDED,          ("152", CUSTOMER, "130")),
    ("attended_by_keys_unanswered",   1, ATTENDED,          ("152", CUSTOMER, "421")),
    ("attended_by_keys_taken_back",   1, HELD,              ("152", CUSTOMER, "421")),
    ("attended_by_phone",             2, ATTENDED,          ("152", CUSTOMER, "421", "152 asks 421")),
    ("attended_by_phone_to_130",      2, ATTENDED,          ("152", CUSTOMER, "130", "152 asks 130")),
    ("attended_by_phone_out",         2, ATTENDED,          ("152", CUSTOMER, OUTSIDE, "152 asks outside")),
    ("attended_by_phone_taken_back",  2, HELD,              ("152", CUSTOMER, "421", "152 asks 421")),
    ("parked_by_keys",                2, PARKED,            ("152", CUSTOMER, "421")),
    ("parked_by_phone",               2, PARKED | BLIND,    ("152", CUSTOMER, "421")),
    ("picked_up",                     2, {"Pickup": 1},     ("421", CUSTOMER)),
    ("conference_of_colleagues",      3, {},                ("152", "421", "130")),
    ("conference_with_customer",      3, BLIND,             ("152", CUSTOMER, "152 in conference", "421")),
    ("followed_out",                  1, {},                (OUTSIDE, CUSTOMER)),
    ("withheld",                      1, {},                ("152", CUSTOMER)),
]  # fmt: skip


@pytest.mark.parametrize(("flow", "calls", "events", "answered"), ROWS, ids=[row[0] for row in ROWS])
async def test_a_flow(flows: PlayedFlows, flow: str, calls: int, events: dict[str, int], answered: tuple[str, ...]) -> None:
    seen = flows[flow].events
    assert len({event["Linkedid"] for event in seen if event["Event"] == "Newchannel"}) == calls
    counts = Counter(event["Event"] for event in seen)
    assert {event: counts[event] for event in TELLING if counts[event]} == events
    assert counts["LocalOptimizationEnd"] <= counts["LocalBridge"] == (flow in THROUGH_LOCAL)
    phone_calls = flows[flow].phone_calls
    took = sorted((call.answered_at, phone) for phone, call in phone_calls.items() if call.answered_at is not None)
    assert {phone for _, phone in took} == set(answered)
    assert took[0][1] in answered[:2], "answered first"
    assert all(call.ended_at is not None for call in phone_calls.values() if call.answered), "somebody is still on the line"


# What is captured for the agent's unit tests, as it must come out on any Asterisk: per dialled
# channel how its ringing ended and why it was hung up, in the order of the endpoints' names;
# `in_absent` has no dialled channel at all.
@pytest.mark.parametrize(
    ("flow", "ends", "causes"),
    [
        ("in_answered", {"152": "ANSWER"}, {"152": 16, "trunk": 16}),
        ("in_busy", {"152": "BUSY"}, {"152": 17, "trunk": 17}),
        ("in_no_answer", {"152": "NOANSWER"}, {"152": 0, "trunk": 19}),
        ("in_refused", {"152": "NOANSWER"}, {"152": 21, "trunk": 20}),
        ("in_unavailable", {"152": "NOANSWER"}, {"152": 19, "trunk": 19}),
        ("in_absent", {}, {"trunk": 20}),
        ("in_given_up", {"152": "CANCEL"}, {"152": 127, "trunk": 127}),
        ("menu_hung_up", {}, {"trunk": 0}),
        ("menu_then_152", {"152": "ANSWER"}, {"152": 16, "trunk": 16}),
        ("group_130_busy", {"130": "BUSY", "152": "ANSWER"}, {"130": 17, "152": 16, "trunk": 16}),
        ("queue_421_answers", {"152": "CANCEL", "421": "ANSWER"}, {"152": 26, "421": 16, "trunk": 16}),
        ("internal", {"421": "ANSWER"}, {"152": 16, "421": 16}),
        ("out_404", {"trunk": "NOANSWER"}, {"152": 1, "trunk": 1}),
        ("out_503", {"trunk": "CONGESTION"}, {"152": 34, "trunk": 34}),
    ],
)
async def test_how_a_call_ends(flows: PlayedFlows, flow: str, ends: dict[str, str], causes: dict[str, int]) -> None:
    seen, company = flows[flow].events, flows[flow].company

    def phone(channel: str) -> str:
        endpoint = channel.removeprefix("PJSIP/").rpartition("-")[0]
        return "trunk" if endpoint == company.trunk else endpoint.removeprefix(f"{company.name}-")

    assert {phone(event["DestChannel"]): event["DialStatus"] for event in seen if event["Event"] == "DialEnd"} == ends
    assert {phone(event["Channel"]): int(event["Cause"]) for event in seen if event["Event"] == "Hangup"} == causes
    assert seen[0]["Event"] == "Newchannel"
    assert all(float(event["Timestamp"]) > 1e9 for event in seen)


@pytest.mark.flows("hostile_caller")
async def test_a_caller_can_write_headers_of_the_manager(flows: PlayedFlows) -> None:
    channel = f"Channel: PJSIP/{flows['hostile_caller'].company.trunk}-"
    first = next(text for text in flows["hostile_caller"].texts if channel in text).split("\r\n")
    assert [line for line in first if line.startswith("Event:")] == ["Event: Newchannel", "Event: Hangup"]
    forged, true = (line for line in first if line.startswith("Linkedid:"))
    assert (forged, true != forged) == ("Linkedid: 1.1", True)


@pytest.mark.flows("forging_caller")
async def test_a_caller_can_forge_a_message_of_the_manager(pbx: LabAsterisk, flows: PlayedFlows) -> None:
    assert any(text.startswith("Event: Shutdown\r\n") for text in flows["forging_caller"].texts)
    assert pbx.running


async def test_a_captured_call_begins_and_ends_with_its_own_events(pbx: LabAsterisk) -> None:
    messages = [_headers(text) for text in (await capture(pbx, BASIC_CALLS["in_absent"]))[0].split("\r\n\r\n") if text]
    names = [message["Event"] for message in messages]
    assert (names[0], names[-1], names.count("Newchannel"), names.count("Hangup")) == ("Newchannel", "Hangup", 1, 1)


def test_every_flow_is_tried_here_or_in_the_tests_of_the_pbx() -> None:
    of_callers = {"forging_caller", "hostile_caller", "ending_caller", "list_cutting_caller", "answering_caller"}
    picked_up = {f"picked_up_{how}" for how in ("at_once", "by_130", "by_777", "from_130", "from_group")}
    elsewhere = {"caller_silent", "customer_holds_and_resumes_anew"} | of_callers | picked_up
    in_tables = {scenario.flow for table in _TABLES for scenario in table.SCENARIOS}
    assert {row[0] for row in ROWS} | elsewhere | in_tables >= set(CALL_FLOWS)


def _headers(text: str) -> Message:
    found: dict[str, str] = {}
    for name, _, value in (line.partition(":") for line in text.split("\r\n")):
        found.setdefault(name, value.strip())
    return found
