"""Queue the events between the socket and its one consumer, bounded, with no silent loss."""

import asyncio
from collections import deque

from agent.ami.message import AmiEvent, Garbled, LinkDown, LinkUp


class EventQueue:
    """A first-in, first-out queue of events and changes of the link.

    Bounded by number and by bytes. An event that does not fit is refused; the caller must then
    report the link as down, so that the consumer compares its state with Asterisk. A change of the
    link always fits.
    """

    def __init__(self, most_events: int, most_bytes: int) -> None:
        self._most_events, self._most_bytes = most_events, most_bytes
        self._items: deque[tuple[int, AmiEvent | LinkUp | LinkDown | Garbled]] = deque()
        self._bytes = 0
        self.events = 0  # that were ever appended
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        return len(self._items)

    def put_event(self, event: AmiEvent, size_bytes: int) -> bool:
        """Append an event. Return False if it does not fit."""
        if len(self._items) >= self._most_events or self._bytes + size_bytes > self._most_bytes:
            self._room.clear()
            return False
        self._bytes += size_bytes
        self.events += 1
        self._items.append((size_bytes, event))
        self._filled.set()
        return True

    def put_link(self, link: LinkUp | LinkDown | Garbled) -> None:
        """Append a change of the link, in order with the events."""
        self._items.append((0, link))
        self._filled.set()

    async def next(self) -> AmiEvent | LinkUp | LinkDown | Garbled:
        """Wait for the oldest item and remove it. A cancelled wait removes nothing."""
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        size_bytes, item = self._items.popleft()
        self._bytes -= size_bytes
        if 2 * len(self._items) <= self._most_events and 2 * self._bytes <= self._most_bytes:
            self._room.set()
        return item

    async def room(self) -> None:
        """After an overflow, wait until half of the queue is consumed; otherwise return at once."""
        await self._room.wait()
