"""Messages are parsed to headers, and recognised as events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ami.message import event_name, parse_message


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (b"Event: Hangup\r\nCause: 16", {"Event": "Hangup", "Cause": "16"}),
        (b"Event: X\r\nAccountCode: \r\nPeer: ", {"Event": "X", "AccountCode": "", "Peer": ""}),
        (b"Event: X\r\nTight:value", {"Event": "X", "Tight": "value"}),
        (b"Event: X\r\nName: a: b: c", {"Event": "X", "Name": "a: b: c"}),
        (b"Event: X\r\nName:  two spaces ", {"Event": "X", "Name": " two spaces "}),
        (b"Response: Success\r\nOutput: one\r\nOutput: two\r\nOutput: ", {"Response": "Success", "Output": "one\ntwo\n"}),
        (b"Event: X\r\nno colon here\r\nA: b", {"Event": "X", "A": "b"}),
        (b"Event: X\r\nName: caf\xe9 \xd0\x9f\xd0", {"Event": "X", "Name": "caf� П�"}),
        (b"Event: X\r\nName: line\nfeed", {"Event": "X", "Name": "line\nfeed"}),
        (b"Event: X\r\nName: Response: Success", {"Event": "X", "Name": "Response: Success"}),
    ],
)
def test_headers(raw: bytes, headers: dict[str, str]) -> None:
    assert parse_message(raw) == headers


@given(st.binary(max_size=200))
def test_parsing_never_fails(raw: bytes) -> None:
    assert all(isinstance(value, str) for value in parse_message(raw).values())


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"Event: Hangup\r\nCause: 16", b"Hangup"),
        (b"Event: Alone", b"Alone"),
        (b"Event: OriginateResponse\r\nResponse: Success", b"OriginateResponse"),
        (b"Response: Success\r\nEvent: Hangup", None),
        (b"", None),
    ],
)
def test_only_the_first_line_tells_the_kind(raw: bytes, name: bytes | None) -> None:
    assert event_name(raw) == name
