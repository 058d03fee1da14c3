"""Places for what stays open, and turns at what is costly: so many at once for each."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Generic, TypeVar

K = TypeVar("K")


class Places(Generic[K]):
    """So many places for each key."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._taken = Counter[K]()

    @property
    def taken(self) -> int:
        """How many are taken by all together."""
        return self._taken.total()

    @contextmanager
    def entered(self, key: K) -> Iterator[bool]:
        """Have a place while the block runs; yields False where none is free."""
        if self._taken[key] >= self._each:
            yield False
            return
        self._taken[key] += 1
        try:
            yield True
        finally:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]


class Turns(Generic[K]):
    """So many at once for each key; who comes when they are taken waits, behind those of the same key alone."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._lines: dict[K, asyncio.Semaphore] = {}
        self._there = Counter[K]()

    @asynccontextmanager
    async def taken(self, key: K) -> AsyncIterator[None]:
        """Wait for one's turn, and have it while the block runs."""
        self._there[key] += 1
        try:
            async with self._lines.setdefault(key, asyncio.Semaphore(self._each)):
                yield
        finally:
            self._there[key] -= 1
            if not self._there[key]:
                del self._there[key], self._lines[key]
