"""Wake requests that wait for a change in the index, of agents (settings, commands) and of users.

A signal of a change (`store.database.signals`) wakes them at once. While a change made elsewhere
gives none (with SQLite: by `fonoteka apply`), a version is read each quarter of a second: one query
for all waiting requests, and none if no request waits.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")
V = TypeVar("V")

_POLL_S: Final = 0.25


class ChangeWatch(Generic[T]):
    """The version as last read, and the requests that wait for another one.

    `read` returns the version: any value that changes with the watched data. `hears_all` says
    whether each change calls `wake`.
    """

    def __init__(self, read: Callable[[], Awaitable[T]], hears_all: Callable[[], bool]) -> None:
        self._read, self._hears_all = read, hears_all
        self._version: T | None = None
        self._changed = asyncio.Condition()
        self._wakeup = asyncio.Event()
        self._waiting = 0
        self._closing = False

    def wake(self) -> None:
        """Read the version now if requests wait: the data may have changed."""
        self._wakeup.set()

    async def release(self) -> None:
        """End all waits, now and from now on: the API is about to stop."""
        async with self._changed:
            self._closing = True
            self._changed.notify_all()

    async def has_changed(self, seen: T, wait_s: float) -> bool:
        """Wait up to `wait_s` s for a version other than `seen`; return whether there is one."""
        await self._update(await self._read())
        if self._version != seen:
            return True
        self._waiting += 1
        self._wakeup.set()
        try:
            async with asyncio.timeout(wait_s), self._changed:
                await self._changed.wait_for(lambda: self._closing or self._version != seen)
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return self._version != seen

    async def first_result(self, query: Callable[[], Awaitable[V | None]], wait_s: float) -> V | None:
        """Repeat a query with every new version until it has a result; None after `wait_s` s."""
        now = asyncio.get_running_loop().time
        deadline = now() + wait_s
        while True:
            seen = await self._read()
            result = await query()
            if result is not None or self._closing or now() >= deadline:
                return result
            await self.has_changed(seen, deadline - now())

    async def run(self) -> None:
        """Read the version while requests wait, when woken or each `_POLL_S`, until cancelled."""
        while True:
            self._wakeup.clear()
            if self._waiting:
                await self._update(await self._read())
            try:
                async with asyncio.timeout(_POLL_S if self._waiting and not self._hears_all() else None):
                    await self._wakeup.wait()
            except TimeoutError:
                continue

    async def _update(self, version: T) -> None:
        if version != self._version:
            async with self._changed:
                self._version = version
                self._changed.notify_all()
