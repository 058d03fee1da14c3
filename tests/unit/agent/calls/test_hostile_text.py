"""Text that a caller can write into Asterisk's events has no effect.

See docs/decisions/0003-ami-client.md.
"""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.ami.event_layout import match_layout
from agent.ami.event_repair import EventRepair, headers_of
from agent.ami.framing import Framing
from agent.calls.caller_text import LONGEST_TEXT, harmless
from agent.calls.channel_snapshot import LAYOUTS as LISTED
from agent.calls.event_reader import LAYOUTS, WANTED
from tests.unit.agent.calls.test_recorded_streams import STREAMS, read_bytes
from tests.unit.agent.fixtures import play, report_of

NUMBER: Final = b"89131234567"
MOST_BYTES: Final = 79  # of a caller's number, as Asterisk 22.10 keeps it
PLAIN: Final = (STREAMS / "in_answered.txt").read_bytes()
VICTIM: Final = b"1795947469.1"  # a channel's id as an attacker might guess it
OTHERS: Final = (STREAMS / "in_busy.txt").read_bytes()

HOSTILE: Final = {
    "a farewell": b"\r\n\r\nEvent: Shutdown\r\nShutdown: Cleanly\r\nX: ",
    "a hangup": b"\r\n\r\nEvent: Hangup\r\nUniqueid: " + VICTIM + b"\r\nLinkedid: 1\r\nCause: 17\r\nX: ",
    "an event of no interest": b"\r\n\r\nEvent: Foo\r\nPrivilege: call,all\r\nX: ",
    "an answer": b"\r\n\r\nResponse: Success\r\nActionID: 1-1\r\nX: ",
    "no message": b"\r\n\r\nX",
    "empty lines": b"\r\n" * 33,
    "ids before the true ones": b"\r\nUniqueid: 9.9\r\nLinkedid: 9.9\r\nChannel: PJSIP/acme-421-00000009",
    "ids and an end": b"\r\nUniqueid: 9.9\r\nLinkedid: 9.9\r\n\r\nEvent: Hangup\r\nCause: 1",
    "another dial": b"\r\nDestChannel: PJSIP/acme-421-1\r\nDestUniqueid: 9.9\r\nDialStatus: BUSY",
    "half a line": b"\r",
}


def called_by(number: bytes) -> bytes:
    """The stream of a plain call with this caller number."""
    assert NUMBER in PLAIN
    return PLAIN.replace(NUMBER, number[:MOST_BYTES])


@pytest.mark.parametrize("tail", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_row_is_that_of_an_honest_caller(tail: bytes) -> None:
    (honest,) = play(read_bytes(PLAIN)).calls.values()
    (call,) = play(read_bytes(called_by(NUMBER + tail))).calls.values()
    assert report_of(call) == report_of(honest)


@given(tail=st.one_of(st.binary(max_size=68), st.text(alphabet="\r\n:, aEvntChlUiqdL19.", max_size=68).map(str.encode)))
@settings(max_examples=200)
def test_no_bytes_at_all_change_a_row(tail: bytes) -> None:
    tail = tail.replace(b"\0", b"")  # where Asterisk's text ends
    (honest,) = play(read_bytes(PLAIN)).calls.values()
    registry = play(read_bytes(called_by(NUMBER + b"\r\n" + tail)))
    (call,) = registry.calls.values()
    assert replace(report_of(call), src_name="") == report_of(honest)  # callers may choose their names


@pytest.mark.parametrize("tail", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_calls_of_others_are_not_touched(tail: bytes) -> None:
    alone = play(read_bytes(OTHERS))
    both = play(read_bytes(called_by(NUMBER + tail) + OTHERS))
    for linkedid, call in alone.calls.items():
        assert both.calls[linkedid] == call


@given(cuts=st.lists(st.integers(min_value=1, max_value=6000), max_size=5))
@settings(max_examples=50)
def test_wherever_the_network_cuts(cuts: list[int]) -> None:
    """The parts of one event may arrive in several reads."""
    received = b"Asterisk Call Manager/11.0.0\r\n" + called_by(NUMBER + HOSTILE["a farewell"])
    framing, mending, found = Framing(), EventRepair(LAYOUTS, lambda raw: False), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(received)], strict=True):
        found += [headers_of(message)["Event"] for message in mending.feed(framing.feed(received[begin:end]))]
    expected = [line[7:].decode() for line in PLAIN.split(b"\r\n") if line.startswith(b"Event: ")]
    assert found == expected


def test_a_beginning_that_ends_in_a_name_swallows_no_event() -> None:
    """A caller may forge what a forwarded Local channel's event looks like when it is cut."""
    forged = b"Event: Newchannel\r\nPrivilege: call,all\r\nChannel: Local/1"
    mending = EventRepair(LAYOUTS, lambda raw: False)
    events = [raw for raw in PLAIN.split(b"\r\n\r\n") if raw.startswith(b"Event: ")]
    found = [message.raw for event in events for message in mending.feed([event, forged])]
    assert found == events
    assert mending.garbled == len(events)


def test_an_extension_with_ids_of_its_own() -> None:
    """A dialplan that takes any extension (`_X.`) lets a caller end an event with false ids.

    The true end of the event follows at once.
    """
    false = b"2458152\r\nPriority: 1\r\nUniqueid: 9.9\r\nLinkedid: 9.9\r\n\r\nEvent: Hangup\r\nX: "
    (honest,) = play(read_bytes(PLAIN)).calls.values()
    registry = play(read_bytes(PLAIN.replace(b"Exten: 2458152", b"Exten: " + false)))
    assert [report_of(call) for call in registry.calls.values()] == [report_of(honest)]


def test_an_event_that_never_becomes_whole_does_not_swallow_the_answers() -> None:
    mending = EventRepair(LAYOUTS, lambda raw: b"ActionID: ours" in raw)
    broken = PLAIN.split(b"\r\nCallerIDName")[0]
    pong = b"Response: Success\r\nActionID: ours-1"
    assert [message.raw for message in mending.feed([broken, b"Event: X", pong])] == [pong]
    assert mending.garbled == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Пётр "Ё" <x>; $(id) `id` \'', 'Пётр "Ё" <x>; $(id) `id` \''),
        ("a\r\nb\tc\x00\x07\x7f", "a␍␊b␉c␀␇␡"),
        ("\x1b[2J\x9b", "␛[2J\ufffd"),
        ("gpj.\u202eexe", "gpj.\ufffdexe"),
        ("Петр\ufffd", "Петр"),
        ("9" * 500, "9" * LONGEST_TEXT),
        ("Zoë 👩‍💻", "Zoë 👩‍💻"),
    ],
)
def test_what_is_shown_of_a_callers_text(text: str, expected: str) -> None:
    assert harmless(text) == expected


@given(st.text())
def test_what_is_shown_has_no_control_characters(text: str) -> None:
    shown = harmless(text)
    assert len(shown) <= LONGEST_TEXT
    assert not any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in shown)


def test_streams_of_hostile_callers_are_here() -> None:
    for name in ("forging_caller", "hostile_caller"):
        assert (STREAMS / f"{name}.txt").is_file()


@pytest.mark.parametrize("name", [*LAYOUTS, *LISTED])
def test_neither_the_beginning_nor_the_end_of_an_event_fits_into_a_number(name: str) -> None:
    shape = {**LAYOUTS, **LISTED}[name]
    first, last = shape.channels[-1] if shape.may_lack_first else shape.channels[0], shape.channels[-1]
    before = ("Channel", "ChannelState", "ChannelStateDesc", "CallerIDNum")
    after = ("ConnectedLineName", "AccountCode", "Context", "Exten", "Priority", "Uniqueid", "Linkedid")
    begin = [f"Event: {name}", *(f"{key}: " for key in shape.lead), *(f"{first}{key}: " for key in before)]
    end = [*(f"{last}{key}: " for key in after), *(f"{key}: " for key in shape.tail)]
    lines = [f"{key}: x" for key in ("Event", *shape.lead, *(prefix + key for prefix in shape.channels for key in before))]
    assert match_layout(begin, shape).begins
    assert not any(match_layout(begin[:place] + begin[place + 1 :], shape).begins for place in range(len(begin)))
    assert not match_layout([*lines, *end[:-1]], shape).complete
    assert min(len("\r\n\r\n" + "\r\n".join(begin)), len("\r\n" + "\r\n".join(end))) > MOST_BYTES


def test_every_event_that_is_used_has_a_shape() -> None:
    assert LAYOUTS.keys() == WANTED
