"""Parse AMI messages, and define the items of the client's stream.

A message is lines of `Key: value`. The first line alone tells the kind: `Event: …` or `Response:
…`. OriginateResponse is an event with a `Response` header on a later line, so no other line is
considered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

AmiMessage = Mapping[str, str]
"""Header → value, with the keys of Asterisk. A newline joins the values of a repeated header."""

_EVENT: Final = b"Event: "


@dataclass(frozen=True, kw_only=True, slots=True)
class AmiEvent:
    """One event. `received_at` is the time at which its bytes were read, not sent."""

    name: str
    headers: AmiMessage
    received_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkUp:
    """The login succeeded. A new session of events follows; events before it may be missing.

    `version` is the version of AMI. `at` is the time of the login: events after it arrive.
    """

    version: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Garbled:
    """Text of a caller had cut events in pieces, which were joined again.

    The consumer should compare its state with Asterisk.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkDown:
    """The link was lost, or the first attempt failed. `reason` is one line for the operator.

    `closed`: the connection was closed by the other side, as when Asterisk ends. Otherwise the loss
    was found some seconds later.
    """

    reason: str
    closed: bool = False


def event_name(raw: bytes) -> bytes | None:
    """Return the name of an event, or None for another message.

    Reads the first line only, so that unwanted events cost next to nothing.
    """
    if not raw.startswith(_EVENT):
        return None
    end = raw.find(b"\r\n")
    return raw[len(_EVENT) : end if end >= 0 else len(raw)]


def parse_message(raw: bytes) -> dict[str, str]:
    """Return all headers of a message. Never fails.

    Bytes that are not UTF-8 become U+FFFD; a line without a colon is left out.
    """
    headers: dict[str, str] = {}
    for line in raw.decode("utf-8", "replace").split("\r\n"):
        key, colon, value = line.partition(": ")
        if not colon:
            key, colon, value = line.partition(":")
            if not colon:
                continue
        headers[key] = value if key not in headers else f"{headers[key]}\n{value}"
    return headers
