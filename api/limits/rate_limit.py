"""So many times within so long, and no more."""

from collections import OrderedDict, deque
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

K = TypeVar("K")

_MOST_KEYS: Final = 10_000


class RateLimit(Generic[K]):
    """At most `most` times `within` any such stretch of time, for each key. Of too many keys the oldest are forgotten."""

    def __init__(self, *, most: int, within: timedelta) -> None:
        self._most, self._within = most, within
        self._times: OrderedDict[K, deque[datetime]] = OrderedDict()

    def wait(self, key: K, now: datetime) -> timedelta:
        """How long until this key may again; zero: it may now."""
        times = self._times.get(key, deque())
        while times and times[0] <= now - self._within:
            times.popleft()
        return times[0] + self._within - now if len(times) >= self._most else timedelta()

    def count(self, key: K, now: datetime) -> None:
        """Count one time."""
        self._times.setdefault(key, deque()).append(now)
        self._times.move_to_end(key)
        while len(self._times) > _MOST_KEYS:
            self._times.popitem(last=False)

    def take_back(self, key: K) -> None:
        """The last time was none after all."""
        times = self._times.get(key)
        if times:
            times.pop()
        if not times:
            self._times.pop(key, None)
