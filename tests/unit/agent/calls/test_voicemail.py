"""Voicemail is a step of the path, from the manager interface and from the CEL journal."""

import pytest

from agent.calls.event_reader import read_event
from agent.calls.events import VoicemailReached
from agent.cel.events import CelEvents
from agent.cel.journal import CelRow
from fonoteka.core.call_report import Result
from tests.unit.agent.fixtures import at, events, play, report_of

HEADERS = {"Linkedid": "1", "Uniqueid": "a", "Application": "VoiceMail", "AppData": "152@acme&421@acme,us"}
REACHED = VoicemailReached(at=at(3), linkedid="1", uniqueid="a", mailbox="152")
RINGS = "0 start a PJSIP/trunk-1 2458152\n0 start b PJSIP/acme-152-2\n0 ring a b acme-152\n2 rung a b NOANSWER\n2 end b"


def test_the_manager_interface_tells_of_it() -> None:
    assert read_event("Newexten", HEADERS, at(3)) == REACHED
    assert read_event("Newexten", HEADERS | {"Application": "Playback"}, at(3)) is None


@pytest.mark.parametrize(("application", "expected"), [("VoiceMail", [REACHED]), ("Dial", [])])
def test_the_journal_tells_of_it(application: str, expected: list[VoicemailReached]) -> None:
    text = dict.fromkeys(("number", "name", "exten", "context", "peer", "extra"), "")
    row = CelRow(
        event="APP_START",
        at=at(3),
        linkedid="1",
        uniqueid="a",
        channel="PJSIP/trunk-1",
        application=application,
        arguments="152@acme,us",
        **text,
    )
    assert list(CelEvents().read(row)) == expected


def test_the_call_is_not_answered_and_its_path_names_the_mailbox_once() -> None:
    (call,) = play([*events(RINGS), REACHED, REACHED, *events("9 end a")]).calls.values()
    shown = report_of(call)
    assert (shown.result, shown.answered_by, shown.employee) == (Result.NO_ANSWER, None, "152")
    assert [(step.what, step.who) for step in shown.path if step.what == "voicemail"] == [("voicemail", "152")]
