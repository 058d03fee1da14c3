"""Limit how many requests of one key run at a time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

K = TypeVar("K")


class ConcurrencyLimit(Generic[K]):
    """At most `limit` blocks at a time for each key, such as an account.

    Keys do not affect each other. A limit for all requests together has one key, `None`.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._slots: dict[K, asyncio.Semaphore] = {}
        self._users = Counter[K]()  # blocks that run or wait; a key without any is forgotten

    @property
    def in_use(self) -> int:
        """The number of blocks that run or wait, of all keys together."""
        return self._users.total()

    @asynccontextmanager
    async def enter(self, key: K) -> AsyncIterator[None]:
        """Wait for a free slot, first come first served, and hold it while the block runs."""
        slots = self._slots.setdefault(key, asyncio.Semaphore(self._limit))
        self._users[key] += 1
        try:
            async with slots:
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._slots[key]

    @asynccontextmanager
    async def try_enter(self, key: K) -> AsyncIterator[bool]:
        """Hold a slot while the block runs; yield False, without waiting, if none is free."""
        if key in self._slots and self._slots[key].locked():
            yield False
            return
        async with self.enter(key):
            yield True
