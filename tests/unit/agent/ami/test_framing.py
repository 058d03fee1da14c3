"""A stream gives the same messages in any segmentation."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ami.framing import MOST_MESSAGE_BYTES, Framing
from agent.ami.message import parse_message
from fonoteka.core.errors import AmiRefused, AmiUnreachable

GREETING = b"Asterisk Call Manager/11.0.0\r\n"
STREAM = (
    GREETING
    + "Event: Newchannel\r\nCallerIDName: Петров «П.П.» 🎧\r\nAccountCode: \r\n\r\n".encode()
    + b"Event: OriginateResponse\r\nResponse: Success\r\n\r\n\r\n"  # two empty lines, as sent by Asterisk
    + b"Response: Success\r\nActionID: 1\r\n\r\n"
)
MESSAGES = [
    {"Event": "Newchannel", "CallerIDName": "Петров «П.П.» 🎧", "AccountCode": ""},
    {"Event": "OriginateResponse", "Response": "Success"},
    {"Response": "Success", "ActionID": "1"},
]


def read(chunks: list[bytes]) -> list[dict[str, str]]:
    framing = Framing()
    messages = [raw for chunk in chunks for raw in framing.feed(chunk)]
    assert [raw.split(b":")[0] for raw in messages] == [b"Event", b"Event", b"Response"]
    return [parse_message(raw) for raw in messages]


@given(cuts=st.sets(st.integers(min_value=0, max_value=len(STREAM))))
def test_any_segmentation_gives_the_same_messages(cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert read([STREAM[start:end] for start, end in pairwise(edges)]) == MESSAGES


def test_one_byte_at_a_time() -> None:
    assert read([bytes([byte]) for byte in STREAM]) == MESSAGES


def test_the_greeting_is_removed_and_gives_the_version() -> None:
    framing = Framing()
    assert (list(framing.feed(GREETING[:7])), framing.version) == ([], None)
    assert (list(framing.feed(GREETING[7:])), framing.version) == ([], "11.0.0")


@pytest.mark.parametrize(
    "greeting",
    [b"HTTP/1.1 400 Bad Request\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\r\n", b"Asterisk Call Manager/" + b"1" * 300, b"\x16\x03"],
)
def test_another_service_is_refused(greeting: bytes) -> None:
    with pytest.raises(AmiRefused, match="not Asterisk's manager interface"):
        list(Framing().feed(greeting))


@pytest.mark.parametrize("chunk_bytes", [1 << 16, 1 << 18])
def test_a_message_over_4_mib_is_an_error(chunk_bytes: int) -> None:
    framing = Framing()
    list(framing.feed(GREETING))
    taken = 0
    with pytest.raises(AmiUnreachable, match="more than 4194304 bytes"):
        while taken < 2 * MOST_MESSAGE_BYTES:
            taken += chunk_bytes
            list(framing.feed(b"x" * chunk_bytes))
    assert MOST_MESSAGE_BYTES < taken <= MOST_MESSAGE_BYTES + chunk_bytes


def test_messages_before_one_over_4_mib_are_delivered() -> None:
    framing = Framing()
    seen = []
    with pytest.raises(AmiUnreachable):
        for raw in framing.feed(STREAM + b"Event: x" * MOST_MESSAGE_BYTES + b"\r\n\r\n"):
            seen.append(parse_message(raw))  # noqa: PERF401 — the list must keep the messages before the error
    assert seen == MESSAGES


def test_a_message_of_4_mib_is_delivered() -> None:
    framing = Framing()
    body = b"Event: " + b"x" * (MOST_MESSAGE_BYTES - 7)
    assert [len(raw) for raw in framing.feed(GREETING + body + b"\r\n\r\n")] == [MOST_MESSAGE_BYTES]


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"\r\n", b"\r\n\r\n", b"Event: Hangup\r\n"]), max_size=30))
def test_any_bytes_are_framed_without_loss(chunks: list[bytes]) -> None:
    """Nothing but empty lines is left out, and no message contains the end of a message."""
    framing = Framing()
    assert list(framing.feed(GREETING)) == []
    framed = [bytes(raw) for chunk in (*chunks, b"\r\n\r\n") for raw in framing.feed(chunk)]
    assert b"".join(framed).translate(None, b"\r\n") == b"".join(chunks).translate(None, b"\r\n")
    assert not any(b"\r\n\r\n" in raw for raw in framed)
