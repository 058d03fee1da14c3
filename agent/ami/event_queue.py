"""The ordered stream between the socket and its one consumer: bounded, and never losing an event without saying so."""

import asyncio
from collections import deque

from agent.ami.message import AmiEvent, Garbled, LinkDown, LinkUp


class AmiStream:
    """Events and the ups and downs of the link, first in, first out.

    Bounded by number and by bytes. An event that finds no room is refused; its link must then be declared down, which makes
    the consumer reconcile. Word of the link itself always finds room.
    """

    def __init__(self, most_events: int, most_bytes: int) -> None:
        self._most_events, self._most_bytes = most_events, most_bytes
        self._items: deque[tuple[int, AmiEvent | LinkUp | LinkDown | Garbled]] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        return len(self._items)

    def put_event(self, event: AmiEvent, size_bytes: int) -> bool:
        """Append an event; False when there is no room for it."""
        if len(self._items) >= self._most_events or self._bytes + size_bytes > self._most_bytes:
            self._room.clear()
            return False
        self._bytes += size_bytes
        self._items.append((size_bytes, event))
        self._filled.set()
        return True

    def put_link(self, link: LinkUp | LinkDown | Garbled) -> None:
        """Append word of the link, in order with the events."""
        self._items.append((0, link))
        self._filled.set()

    async def next(self) -> AmiEvent | LinkUp | LinkDown | Garbled:
        """The oldest item, waiting for one if there is none. A cancelled wait takes nothing."""
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        size_bytes, item = self._items.popleft()
        self._bytes -= size_bytes
        if 2 * len(self._items) <= self._most_events and 2 * self._bytes <= self._most_bytes:
            self._room.set()
        return item

    async def room(self) -> None:
        """Return once the consumer has caught up to half, if the stream has overflowed; at once if it has not."""
        await self._room.wait()
