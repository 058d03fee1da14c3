"""panoramisk, another AMI client, reads well-formed streams as this agent does.

The two differ for text of callers that forges messages (streams/hostile_caller.txt and
streams/forging_caller.txt) and for characters that the network splits;
docs/decisions/0003-ami-client.md gives the reasons.
"""

import asyncio
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message

from agent.ami.framing import Framing
from agent.ami.message import parse_message

STREAMS: Final = Path(__file__).parents[3] / "data" / "streams"
FORGED: Final = {"hostile_caller", "forging_caller"}
GREETING: Final = b"Asterisk Call Manager/11.0.0\r\n"
Headers = dict[str, str]


class _Manager:
    """The part of panoramisk's Manager that its protocol needs: takes the events."""

    def __init__(self) -> None:
        self.events: list[Headers] = []

    def dispatch(self, message: Message) -> None:
        self.events.append(_headers(message))


def _headers(message: Message) -> Headers:
    """Convert a message of panoramisk, which has a list for a repeated header, and a `content`."""
    headers = {key: "\n".join(value) if isinstance(value, list) else value for key, value in message.items()}
    assert headers.pop("content") == ""
    return headers


def _read_by_panoramisk(stream: bytes) -> list[Headers]:
    protocol, manager = AMIProtocol(), _Manager()
    protocol.connection_made(asyncio.Transport())
    protocol.factory, protocol.encoding = manager, "utf8"
    protocol.data_received(stream)
    return manager.events


@pytest.mark.parametrize("name", sorted(path.stem for path in STREAMS.glob("*.txt") if path.stem not in FORGED))
def test_each_header_of_a_recorded_stream(name: str) -> None:
    stream = GREETING + (STREAMS / f"{name}.txt").read_bytes()
    events = [parse_message(raw) for raw in Framing().feed(stream)]
    assert events
    assert events == _read_by_panoramisk(stream)


# panoramisk ignores the case of keys, decodes `Result` from its URL form, and adds a `content`.
_KEYS = st.from_regex(r"[A-Z][a-z0-9-]{0,15}", fullmatch=True).filter(lambda key: key not in {"Result", "Content"})
_VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"))


@given(first=st.sampled_from(["Event", "Response"]), headers=st.lists(st.tuples(_KEYS, _VALUES), max_size=12))
def test_each_header_of_any_well_formed_message(first: str, headers: list[tuple[str, str]]) -> None:
    raw = "\r\n".join([f"{first}: Success", *(f"{key}: {value}" for key, value in headers)])
    assert parse_message(raw.encode()) == _headers(Message.from_line(raw))
