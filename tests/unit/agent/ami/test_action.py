"""An encoded action is never more than one action."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ami.action import MOST_HEADERS, MOST_LINE_BYTES, encode_action
from fonoteka.core.errors import AmiUnsafe


def test_an_action_as_bytes() -> None:
    sent = encode_action("Originate", "7", {"Channel": "Local/1@a", "Variable": ["A=1", "B=Ж"], "Async": "true"})
    assert sent == (
        "Action: Originate\r\nActionID: 7\r\nChannel: Local/1@a\r\nVariable: A=1\r\nVariable: B=Ж\r\nAsync: true\r\n\r\n".encode()
    )


@pytest.mark.parametrize(
    ("name", "headers", "reason"),
    [
        ("Ping\r\nX", {}, "CR, LF or NUL"),
        ("Ping", {"Channel": "a\r\nAction: Hangup"}, "CR, LF or NUL"),
        ("Ping", {"Channel": "a\r"}, "CR, LF or NUL"),
        ("Ping", {"Channel": "a\nb"}, "CR, LF or NUL"),
        ("Ping", {"Channel": "a\0b"}, "CR, LF or NUL"),
        ("Ping", {"Variable": ["A=1", "B=\r\n\r\nAction: Hangup"]}, "CR, LF or NUL"),
        ("Ping", {"A: b\r\nAction": "Hangup"}, "not a header's name"),
        ("Ping", {"A:": "b"}, "not a header's name"),
        ("Ping", {"A\n": "b"}, "not a header's name"),
        ("Ping", {"": "b"}, "not a header's name"),
        ("Ping", {"ACTION": "Hangup"}, "the client's own"),
        ("Ping", {"actionid": "1"}, "the client's own"),
        ("Ping", {"Name": "\udcff"}, "no UTF-8"),
        ("Ping", {"V": "x" * (MOST_LINE_BYTES - 2)}, "1023 bytes"),
        ("Ping", {"V": "Ж" * 510}, "1023 bytes"),
        ("Ping", {"Variable": ["A=1"] * (MOST_HEADERS - 1)}, "129 headers"),
    ],
)
def test_text_that_could_be_another_action_is_refused(name: str, headers: dict[str, str | list[str]], reason: str) -> None:
    with pytest.raises(AmiUnsafe, match=reason) as refusal:
        encode_action(name, "1", headers)
    assert len(str(refusal.value).splitlines()) == 1


def test_the_longest_line_and_the_most_headers_are_sent() -> None:
    assert len(encode_action("A", "1", {"V": "x" * (MOST_LINE_BYTES - 3)}).split(b"\r\n")[2]) == MOST_LINE_BYTES
    assert encode_action("A", "1", {"V": ["x"] * (MOST_HEADERS - 2)}).count(b"\r\n") == MOST_HEADERS + 1


def test_a_refusal_does_not_quote_the_value() -> None:
    with pytest.raises(AmiUnsafe) as refusal:
        encode_action("Login", "1", {"Secret": "pa\nss\udcff"})
    assert "pa" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@given(name=st.text(), key=st.text(), value=st.text())
def test_any_text_is_one_action_or_refused(name: str, key: str, value: str) -> None:
    try:
        sent = encode_action(name, "1", {key: value})
    except AmiUnsafe:
        return
    assert sent.endswith(b"\r\n\r\n")
    assert sent.count(b"\r\n") == 4
    assert sent.count(b"\r") == sent.count(b"\n") == 4
