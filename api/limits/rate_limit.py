"""Limit how often something happens within a moving window."""

from collections import OrderedDict, deque
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from api.limits.entry import State
from store.database.schema import instant, milliseconds

K = TypeVar("K")

_MAX_KEYS: Final = 10_000


class RateLimit(Generic[K]):
    """At most `limit` hits within any `window` for each key. The number of keys is bounded.

    The `limits` package does not fit: it reads `time.time()` itself, so that a test would have to
    sleep; a hit cannot be taken back when the action fails; its memory is not bounded by the number
    of keys; and it starts a thread for each sweep.
    """

    def __init__(self, *, limit: int, window: timedelta) -> None:
        self._limit, self._window = limit, window
        self._hits: OrderedDict[K, deque[datetime]] = OrderedDict()

    def remaining_wait(self, key: K, now: datetime) -> timedelta:
        """Return how long a key must wait until its next hit; zero if it need not wait."""
        hits = self._hits.get(key, deque())
        while hits and hits[0] <= now - self._window:
            hits.popleft()
        return hits[0] + self._window - now if len(hits) >= self._limit else timedelta()

    def hit(self, key: K, now: datetime) -> None:
        """Count a hit."""
        self._hits.setdefault(key, deque()).append(now)
        self._hits.move_to_end(key)
        while len(self._hits) > _MAX_KEYS:
            self._hits.popitem(last=False)

    def state(self, key: K) -> State | None:
        """Return what is remembered of a key."""
        return [milliseconds(hit) for hit in self._hits[key]] if key in self._hits else None

    def restore(self, key: K, state: State | None) -> None:
        """Replace what is remembered of a key."""
        self._hits.pop(key, None)
        if state:
            self._hits[key] = deque(map(instant, state))

    def take_back(self, key: K) -> None:
        """Remove the last hit of a key: the action failed."""
        hits = self._hits.get(key)
        if hits:
            hits.pop()
        if not hits:
            self._hits.pop(key, None)
