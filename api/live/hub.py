"""Notify open portals of calls that have changed.

Only ids are passed on. Each listener reads the call in its own scope, so that one place decides
which calls are visible, and several changes of a call become one if no change was read in between.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Final

_MAX_PENDING: Final = 1000


class Listener:
    """The calls of a domain that have changed and were not taken yet.

    `overflowed`: some changes are lost, as the calls were too many to keep, or were not heard of.
    """

    def __init__(self) -> None:
        self._pending: dict[str, bool] = {}
        self._overflowed = False
        self._wakeup = asyncio.Event()

    def add(self, public_id: str, *, recording_only: bool) -> None:
        """Add a changed call. Never waits."""
        if len(self._pending) >= _MAX_PENDING:
            self.lose()
        self._pending[public_id] = recording_only and self._pending.get(public_id, True)
        self._wakeup.set()

    def lose(self) -> None:
        """Forget the pending changes; others may have been missed."""
        self._pending.clear()
        self._overflowed = True
        self._wakeup.set()

    def wake(self) -> None:
        """Make `take` return without a change."""
        self._wakeup.set()

    async def take(self) -> tuple[dict[str, bool], bool]:
        """Wait for changes; return them and `overflowed`.

        The changes are public id → whether only the recording changed.
        """
        await self._wakeup.wait()
        self._wakeup.clear()
        taken, overflowed = self._pending, self._overflowed
        self._pending, self._overflowed = {}, False
        return taken, overflowed


class LiveHub:
    """Listeners by domain."""

    def __init__(self) -> None:
        self._listeners: dict[int, set[Listener]] = {}

    @contextmanager
    def listening(self, domain_id: int) -> Iterator[Listener]:
        """Add a listener to a domain while the block runs."""
        listener = Listener()
        self._listeners.setdefault(domain_id, set()).add(listener)
        try:
            yield listener
        finally:
            self._listeners[domain_id].discard(listener)
            if not self._listeners[domain_id]:
                del self._listeners[domain_id]

    def check_sessions(self, domain_id: int | None = None) -> None:
        """Make all listeners, or those of a domain, check whether their session is still open."""
        of_domains = self._listeners.values() if domain_id is None else [self._listeners.get(domain_id, ())]
        for listener in chain.from_iterable(of_domains):
            listener.wake()

    def call_changed(self, domain_id: int, public_id: str, *, recording_only: bool) -> None:
        """Notify the listeners of a domain that a call, or only its recording, has changed."""
        for listener in self._listeners.get(domain_id, ()):
            listener.add(public_id, recording_only=recording_only)

    def missed(self) -> None:
        """Notify all listeners that changes may have been missed."""
        for listener in chain.from_iterable(self._listeners.values()):
            listener.lose()
