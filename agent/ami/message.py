"""What the manager interface says, as values: one message, and the items of the stream that the client gives.

A message is lines of `Key: value`. Its first line alone says what it is: `Event: …` or `Response: …`. OriginateResponse
is an event that has a `Response` header further down, so looking anywhere else takes it for an answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

AmiMessage = Mapping[str, str]
"""Header → value, keys as Asterisk writes them; the values of a repeated header are joined by a newline."""

_EVENT: Final = b"Event: "


@dataclass(frozen=True, kw_only=True, slots=True)
class AmiEvent:
    """One event; `received_at` is when its bytes were read, not when Asterisk sent it."""

    name: str
    headers: AmiMessage
    received_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkUp:
    """Logged in; the events that follow are of a new session, what happened before it is unknown. `version` is AMI's."""

    version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Garbled:
    """A caller's text cut events in pieces; they were put together, but what is believed ought to be compared with Asterisk."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkDown:
    """The link is lost, or could not be made at first; `reason` is one line for an operator."""

    reason: str


def event_name(raw: bytes) -> bytes | None:
    """The name of an event, None for anything else; looks at the first line only, so that unwanted events cost next to nothing."""
    if not raw.startswith(_EVENT):
        return None
    end = raw.find(b"\r\n")
    return raw[len(_EVENT) : end if end >= 0 else len(raw)]


def parse_message(raw: bytes) -> dict[str, str]:
    """All headers of one message. Never fails: bytes that are no UTF-8 become U+FFFD, a line without a colon is left out."""
    headers: dict[str, str] = {}
    for line in raw.decode("utf-8", "replace").split("\r\n"):
        key, colon, value = line.partition(": ")
        if not colon:
            key, colon, value = line.partition(":")
            if not colon:
                continue
        headers[key] = value if key not in headers else f"{headers[key]}\n{value}"
    return headers
