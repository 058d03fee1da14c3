"""Limits that count over all replicas: those that guard passwords, and other people's mailboxes.

A limiter is pure and remembers in memory. Where there may be several APIs, a new limiter is created
for each use and filled with its states of the subject, which the index holds. Their rows are locked
until the states are written back. Limits that protect one process (connections, concurrency,
conversions) are its own.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

from api.limits.entry import Entry
from fonoteka.core.clock import steady_now
from store.database.store import Store
from store.limiter_states import held_states

_KEPT: Final = timedelta(hours=1)  # no limit lasts longer

S = TypeVar("S", contravariant=True)


class Limiter(Protocol[S]):
    """A limiter that tells what it remembers of a subject, such as an attempt to log in."""

    def entries(self, subject: S) -> Sequence[Entry]:
        """Return all that the limiter reads and changes for a subject."""


L = TypeVar("L", bound=Limiter)  # type: ignore[type-arg]


class SharedLimiter(Generic[L]):
    """A limiter of all replicas; `make` makes one that remembers nothing yet."""

    def __init__(self, store: Store, make: Callable[[], L]) -> None:
        self._store, self._make = store, make
        self._own = make()

    @asynccontextmanager
    async def holding(self, subject: object) -> AsyncIterator[tuple[L, datetime]]:
        """Yield the limiter for a subject, and the time of its clock. Raises StoreError."""
        if not self._store.has_replicas:
            yield self._own, steady_now()
            return
        limiter = self._make()
        entries = {_name(entry): entry for entry in limiter.entries(subject)}
        async with held_states(self._store, entries, kept=_KEPT) as held:
            for name, entry in entries.items():
                entry.replace(held.states[name])
            yield limiter, held.now
            held.states = {name: entry.read() for name, entry in entries.items()}


def _name(entry: Entry) -> str:
    return hashlib.sha256(json.dumps(entry.key).encode()).hexdigest()
