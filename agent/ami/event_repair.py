"""Join events that text of a caller has cut in pieces. No piece of an event is taken for an event.

A caller can end an event early (an empty line in the number) and begin another message, which then
contains the rest of the event. An event is complete when it matches its layout (`event_layout`); an
incomplete event is joined with the messages after it until it is complete. A message that does not
begin as Asterisk's messages do is a piece of the event before it. An event that is cut in the name
of a Local channel is joined with pieces only, so that it swallows no event. The limits of the
repair are in docs/decisions/0003-ami-client.md.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from agent.ami.event_layout import EventLayout, is_cut_in_name, match_layout
from agent.ami.message import AmiMessage, event_name, parse_message

MOST_INCOMPLETE_BYTES: Final = 32 * 1024
_GAP: Final = b"\r\n\r\n"
_PRIVILEGE: Final = re.compile(rb"Event: [^\r\n]+\r\nPrivilege: (?:[a-z]+,(?:[a-z]+,)*all|<none>)(?:\r\n|$)")


@dataclass(frozen=True, kw_only=True, slots=True)
class RepairedMessage:
    """A message of Asterisk's. `headers` are the genuine ones, or None where no layout is given."""

    raw: bytes
    headers: AmiMessage | None = None


class EventRepair:
    """The messages of one connection, complete. `layouts` are by the names of the events.

    `is_answer` recognises an answer to an action of this client. `garbled` counts the pieces that
    were found: after each, the state of Asterisk may differ from the events.
    """

    def __init__(self, layouts: Mapping[str, EventLayout], is_answer: Callable[[bytes], bool]) -> None:
        self.garbled = 0
        self._layouts = {name.encode(): layout for name, layout in layouts.items()}
        self._is_answer = is_answer
        self._incomplete = b""
        self._in_name = False  # whether the incomplete event is cut in the name of its channel

    def feed(self, messages: Iterable[bytes]) -> Iterator[RepairedMessage]:
        """Yield the messages that are complete now.

        Asterisk writes an event at once, so all pieces of an event come in one call.
        """
        held: RepairedMessage | None = None
        for raw in messages:
            if not self._layouts:
                yield RepairedMessage(raw=raw)
                continue
            begins, complete = self._examine(raw)
            continues = self._incomplete and not self._is_answer(raw)  # an answer always begins a message
            if continues and not (begins and self._in_name):
                held = self._continue(raw)
            elif not begins and self._is_cut_in_name(raw):
                if held is not None:
                    yield held
                self.garbled += 1
                held, self._incomplete, self._in_name = None, raw, True
            elif not begins:
                self.garbled += 1
                held = self._join(held, raw)
            else:
                if held is not None:
                    yield held
                held = complete
                self._incomplete, self._in_name = raw if complete is None else b"", False
        if held is not None:
            yield held

    def _examine(self, raw: bytes) -> tuple[bool, RepairedMessage | None]:
        """Return whether Asterisk begins a message like this, and the message if it is complete."""
        name = event_name(raw)
        layout = self._layouts.get(name) if name is not None else None
        if layout is None or layout.only_with not in raw:
            begins = self._is_answer(raw) or (name is not None and _PRIVILEGE.match(raw) is not None)
            return begins, RepairedMessage(raw=raw)
        match = match_layout(raw.decode("utf-8", "replace").split("\r\n"), layout)
        return match.begins, RepairedMessage(raw=raw, headers=match.headers) if match.complete else None

    def _is_cut_in_name(self, raw: bytes) -> bool:
        layout = self._layouts.get(event_name(raw) or b"")
        return layout is not None and is_cut_in_name(raw.decode("utf-8", "replace").split("\r\n"), layout)

    def _continue(self, piece: bytes) -> RepairedMessage | None:
        """Append a piece to the incomplete event. Return the event if it is complete now."""
        self.garbled += 1
        joined = self._incomplete + _GAP + piece
        _, complete = self._examine(joined)
        self._incomplete = b"" if complete is not None or len(joined) > MOST_INCOMPLETE_BYTES else joined
        return complete

    def _join(self, event: RepairedMessage | None, piece: bytes) -> RepairedMessage | None:
        """Append a piece to a complete event, whose last headers are the genuine ones."""
        if event is None or event.headers is None:
            return event
        _, complete = self._examine(event.raw + _GAP + piece)
        return complete or event


def headers_of(message: RepairedMessage) -> AmiMessage:
    """Return the genuine headers of a message."""
    return message.headers if message.headers is not None else parse_message(message.raw)
