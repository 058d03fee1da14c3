"""Waking who waits for something in the index to be other than they know: agents for settings and commands, people for answers.

A change made through this process wakes them at once. One made elsewhere (another replica, `fonoteka apply`) is seen by
reading its mark each quarter of a second — one query however many wait, and none while nobody does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")
V = TypeVar("V")

_POLL_S: Final = 0.25


class Watch(Generic[T]):
    """The mark as last read, and who waits for another one. `read` gives it: any value that changes with what it stands for."""

    def __init__(self, read: Callable[[], Awaitable[T]]) -> None:
        self._read = read
        self._mark: T | None = None
        self._changed = asyncio.Condition()
        self._look = asyncio.Event()
        self._waiting = 0
        self._closing = False

    def wake(self) -> None:
        """Look at the mark now: it has just been changed here."""
        self._look.set()

    async def release(self) -> None:
        """Answer all who wait, now and from now on: the API is about to stop."""
        async with self._changed:
            self._closing = True
            self._changed.notify_all()

    async def other_than(self, known: T, wait_s: float) -> bool:
        """Whether a mark other than `known` is there, or comes within `wait_s` seconds."""
        await self._see(await self._read())
        if self._mark != known:
            return True
        self._waiting += 1
        self._look.set()
        try:
            async with asyncio.timeout(wait_s), self._changed:
                await self._changed.wait_for(lambda: self._closing or self._mark != known)
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return self._mark != known

    async def until(self, look: Callable[[], Awaitable[V | None]], wait_s: float) -> V | None:
        """What `look` finds, asked anew with every other mark; None if it found nothing within `wait_s` seconds."""
        now = asyncio.get_running_loop().time
        deadline = now() + wait_s
        while True:
            known = await self._read()
            found = await look()
            if found is not None or self._closing or now() >= deadline:
                return found
            await self.other_than(known, deadline - now())

    async def watch(self) -> None:
        """Read the mark whenever woken, and each `_POLL_S` while somebody waits. Runs until cancelled."""
        while True:
            self._look.clear()
            await self._see(await self._read())
            try:
                async with asyncio.timeout(_POLL_S if self._waiting else None):
                    await self._look.wait()
            except TimeoutError:
                continue

    async def _see(self, mark: T) -> None:
        if mark != self._mark:
            async with self._changed:
                self._mark = mark
                self._changed.notify_all()
