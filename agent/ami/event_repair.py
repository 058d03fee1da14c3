"""Events that a caller's text has cut in pieces, put together again; nothing begun inside one is ever an event by itself.

A caller can end an event early (an empty line in their number) and begin another message: Asterisk's true rest then stands in
that one. An event is whole when it has its shape (`event_layout`); one that is not is read on until it is. What begins as no
message of Asterisk's does is a piece of the event before it. What this can and cannot do is in docs/decisions/0003-ami-client.md.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from agent.ami.event_layout import Shape, arranged
from agent.ami.message import AmiMessage, event_name, parse_message

MOST_BROKEN_BYTES: Final = 32 * 1024
_GAP: Final = b"\r\n\r\n"
_PRIVILEGE: Final = re.compile(rb"Event: [^\r\n]+\r\nPrivilege: (?:[a-z]+,(?:[a-z]+,)*all|<none>)(?:\r\n|$)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Mended:
    """A message of Asterisk's. `headers` are those to be believed, or None where no shape is known and none is looked at yet."""

    raw: bytes
    headers: AmiMessage | None = None


class Mending:
    """One connection's messages, whole. `is_ours` tells an answer to what we asked; `shapes` are by the events' names.

    `garbled` counts the pieces that were found: after each the world may be another than the events tell.
    """

    def __init__(self, shapes: Mapping[str, Shape], is_ours: Callable[[bytes], bool]) -> None:
        self.garbled = 0
        self._shapes = {name.encode(): shape for name, shape in shapes.items()}
        self._is_ours = is_ours
        self._broken = b""

    def feed(self, messages: Iterable[bytes]) -> Iterator[Mended]:
        """The messages that are whole now. The pieces of one event come in one go, since Asterisk writes it in one."""
        held: Mended | None = None
        for raw in messages:
            if not self._shapes:
                yield Mended(raw=raw)
                continue
            begins, whole = self._looked_at(raw)
            if self._broken and not self._is_ours(raw):  # an answer to us begins no matter what
                held = self._read_on(raw)
            elif not begins:
                self.garbled += 1
                held = self._joined(held, raw)
            else:
                if held is not None:
                    yield held
                held = whole
                self._broken = raw if whole is None else b""
        if held is not None:
            yield held

    def _looked_at(self, raw: bytes) -> tuple[bool, Mended | None]:
        """Whether Asterisk begins a message like this, and the message if it is whole."""
        name = event_name(raw)
        shape = self._shapes.get(name) if name is not None else None
        if shape is None:
            begins = self._is_ours(raw) or (name is not None and _PRIVILEGE.match(raw) is not None)
            return begins, Mended(raw=raw)
        found = arranged(raw.decode("utf-8", "replace").split("\r\n"), shape)
        return found.begun, Mended(raw=raw, headers=found.headers) if found.whole else None

    def _read_on(self, piece: bytes) -> Mended | None:
        """The broken event with this piece, if that makes it whole."""
        self.garbled += 1
        broken = self._broken + _GAP + piece
        _, whole = self._looked_at(broken)
        self._broken = b"" if whole is not None or len(broken) > MOST_BROKEN_BYTES else broken
        return whole

    def _joined(self, event: Mended | None, piece: bytes) -> Mended | None:
        """An event that seemed whole with what was cut off it, so that its true last headers count."""
        if event is None or event.headers is None:
            return event
        _, whole = self._looked_at(event.raw + _GAP + piece)
        return whole or event


def headers_of(message: Mended) -> AmiMessage:
    """All that is to be believed of a message."""
    return message.headers if message.headers is not None else parse_message(message.raw)
