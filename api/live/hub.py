"""Telling the open portals which calls have changed.

Only keys travel here. Whoever listens reads each call anew inside their own scope, so that what may be seen is decided
in one place, and several changes of a call that nobody has read yet become one.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from store.intake.write_calls import CallChange

_MOST_PENDING: Final = 1000


class Listener:
    """The calls of a domain that have changed since they were last taken; `overflowed`: there were too many to name."""

    def __init__(self) -> None:
        self._pending: dict[str, bool] = {}
        self._overflowed = False
        self._some = asyncio.Event()

    def tell(self, public_id: str, *, recording_only: bool) -> None:
        """Note a change. Never waits."""
        if len(self._pending) >= _MOST_PENDING:
            self._pending.clear()
            self._overflowed = True
        self._pending[public_id] = recording_only and self._pending.get(public_id, True)
        self._some.set()

    def wake(self) -> None:
        """Have `take` return, though nothing has changed."""
        self._some.set()

    async def take(self) -> tuple[dict[str, bool], bool]:
        """Wait for changes: public id → whether only the recording changed; and whether some were lost."""
        await self._some.wait()
        self._some.clear()
        taken, overflowed = self._pending, self._overflowed
        self._pending, self._overflowed = {}, False
        return taken, overflowed


class LiveHub:
    """Listeners by domain."""

    def __init__(self) -> None:
        self._listeners: dict[int, set[Listener]] = {}

    @contextmanager
    def listening(self, domain_id: int) -> Iterator[Listener]:
        """Hear of a domain's changes while the block runs."""
        listener = Listener()
        self._listeners.setdefault(domain_id, set()).add(listener)
        try:
            yield listener
        finally:
            self._listeners[domain_id].discard(listener)
            if not self._listeners[domain_id]:
                del self._listeners[domain_id]

    def look_again(self, domain_id: int) -> None:
        """Have everybody of a domain look whether their session still holds."""
        for listener in self._listeners.get(domain_id, ()):
            listener.wake()

    def tell_of(self, domain_id: int, public_id: str) -> None:
        """Pass on that something about a call is other than it was."""
        for listener in self._listeners.get(domain_id, ()):
            listener.tell(public_id, recording_only=False)

    def tell(self, change: CallChange, *, recording_only: bool) -> None:
        """Pass a change on to everybody of its domain; a call that is new is told whole in any case."""
        for listener in self._listeners.get(change.domain_id, ()):
            listener.tell(change.public_id, recording_only=recording_only and not change.is_new)
