"""The plays come out as they are told: who answered, who was left, how many calls Asterisk saw, and by which events."""

from collections import Counter

import pytest

from lab.asterisk.server import LabAsterisk
from lab.scenarios import call_flows as plays
from lab.scenarios import steps as stage
from lab.scenarios.call_flows import PLAYS
from lab.scenarios.steps import CUSTOMER, Lives
from lab.sip.sipp_phones import OUTSIDE
from lab.tools.capture import capture

# How often each of these events comes tells what a play is made of; all others are the events of any call.
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
# Through these goes a Local channel. Asterisk takes it out of the way with a packet that finds all its locks free, thus not
# at any time one could wait for, and in a short talk on a slow machine not at all.
THROUGH_LOCAL = {"followed_out"} | {f"attended_by_keys{how}" for how in ("", "_to_130", "_unanswered", "_taken_back")}

#      play                          calls  events                 answered, in the order of their answers
ROWS = [
    ("hold_and_resume",               1, HELD,              ("152", CUSTOMER)),
    ("hold_and_resume_anew",          1, HELD,              ("152", CUSTOMER)),
    ("keys_in_talk",                  1, {},                ("152", CUSTOMER)),
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


@pytest.mark.parametrize(("name", "calls", "events", "answered"), ROWS, ids=[row[0] for row in ROWS])
async def test_a_play(
    pbx: LabAsterisk, monkeypatch: pytest.MonkeyPatch, name: str, calls: int, events: dict[str, int], answered: tuple[str, ...]
) -> None:
    monkeypatch.setattr(stage, "TALK_S", 0.6)
    lives: Lives = {}

    async def played(on: LabAsterisk) -> Lives:
        lives.update(await PLAYS[name](on))
        return lives

    seen = [_headers(text) for text in (await capture(pbx, played)).split("\r\n\r\n") if text]
    assert len({event["Linkedid"] for event in seen if event["Event"] == "Newchannel"}) == calls
    told = Counter(event["Event"] for event in seen)
    assert {event: told[event] for event in TELLING if told[event]} == events
    assert told["LocalOptimizationEnd"] <= told["LocalBridge"] == (name in THROUGH_LOCAL)
    took = sorted((life.answered_at, who) for who, life in lives.items() if life.answered_at is not None)
    assert {who for _, who in took} == set(answered)
    assert took[0][1] in answered[:2], "answered first"
    assert all(life.ended_at is not None for life in lives.values() if life.answered), "somebody is still on the line"


async def test_a_caller_can_write_headers_of_the_manager(pbx: LabAsterisk) -> None:
    first = (await capture(pbx, plays.hostile_caller)).split("\r\n\r\n")[0].split("\r\n")
    assert [line for line in first if line.startswith("Event:")] == ["Event: Newchannel", "Event: Hangup"]
    forged, true = (line for line in first if line.startswith("Linkedid:"))
    assert (forged, true != forged) == ("Linkedid: 1.1", True)


async def test_a_caller_can_forge_a_message_of_the_manager(pbx: LabAsterisk) -> None:
    stream = await capture(pbx, plays.forging_caller)
    messages = [_headers(text) for text in stream.split("\r\n\r\n") if text]
    assert any(message["Event"] == "Shutdown" for message in messages)
    assert pbx.running


def test_every_play_is_tried_here() -> None:
    of_callers = {"forging_caller", "hostile_caller", "ending_caller", "list_cutting_caller", "answering_caller"}
    picked_up = {f"picked_up_{how}" for how in ("at_once", "by_130", "by_777", "from_130", "from_group")}
    elsewhere = {"caller_silent", "customer_holds_and_resumes_anew"} | of_callers | picked_up
    assert {row[0] for row in ROWS} | elsewhere == set(PLAYS)


def _headers(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, _, value in (line.partition(":") for line in text.split("\r\n")):
        found.setdefault(name, value.strip())
    return found
