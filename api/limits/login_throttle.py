"""Slow down the guessing of passwords.

An attempt is counted before the password is checked, and taken back if the password was right:
a hundred attempts sent at once count as a hundred.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Generic, TypeVar

from api.limits.entry import Entry, State
from api.limits.network import network_of
from store.database.schema import instant, milliseconds

K = TypeVar("K")
T = TypeVar("T", bound=tuple[str, ...])

_MAX_KEYS: Final = 100_000
_RESET_AFTER: Final = timedelta(minutes=15)
_MAX_DELAY: Final = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Failures:
    count: int
    last: datetime


class FailureBackoff(Generic[K]):
    """Delays of 1, 2, 4, … seconds, at most `max_delay`, after `free_failures` failures in a row.

    A delay begins with the last failure. Memory is bounded: of too many keys, those that failed
    longest ago are forgotten.
    """

    def __init__(self, *, free_failures: int, max_delay: timedelta) -> None:
        self._free = free_failures
        self._max_delay = max_delay
        self._failures: OrderedDict[K, _Failures] = OrderedDict()

    def remaining_wait(self, key: K, now: datetime) -> timedelta:
        """Return how long a key must wait until its next attempt; zero if it need not wait."""
        failures = self._failures.get(key)
        if failures is None or now - failures.last > _RESET_AFTER or failures.count < self._free:
            return timedelta()
        delay = min(self._max_delay, timedelta(seconds=2 ** min(failures.count - self._free, 30)))
        return max(timedelta(), failures.last + delay - now)

    def count(self, key: K, now: datetime) -> None:
        """Count an attempt as failed."""
        before = self._failures.pop(key, None)
        is_first = before is None or now - before.last > _RESET_AFTER
        self._failures[key] = _Failures(count=1 if is_first or before is None else before.count + 1, last=now)
        while len(self._failures) > _MAX_KEYS:
            self._failures.popitem(last=False)

    def take_back(self, key: K) -> None:
        """Remove one failure: that attempt succeeded. Other failures of the key stay."""
        failures = self._failures.get(key)
        if failures is not None and failures.count > 1:
            self._failures[key] = replace(failures, count=failures.count - 1)
        else:
            self.forget(key)

    def forget(self, key: K) -> None:
        """Remove all failures of a key."""
        self._failures.pop(key, None)

    def state(self, key: K) -> State | None:
        """Return what is remembered of a key."""
        failures = self._failures.get(key)
        return None if failures is None else [failures.count, milliseconds(failures.last)]

    def restore(self, key: K, state: State | None) -> None:
        """Replace what is remembered of a key."""
        self.forget(key)
        if state is not None:
            count, last = state
            self._failures[key] = _Failures(count=count, last=instant(last))


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginAttempt:
    """A login from an address.

    `known` is a device, network or session that belongs to this user already; None for a stranger.
    """

    domain: str
    login: str
    address: str
    known: str | None = None


class LoginThrottle:
    """Strict for one login from one network, looser for each alone.

    Guessing can delay the attempts of strangers by at most a minute. It does not delay a known
    device or network: their attempts are counted by themselves, and so are limited too.
    """

    def __init__(self) -> None:
        self._by_known = FailureBackoff[tuple[str, str, str]](free_failures=10, max_delay=_MAX_DELAY)
        self._by_both = FailureBackoff[tuple[str, str, str]](free_failures=10, max_delay=_MAX_DELAY)
        self._by_login = FailureBackoff[tuple[str, str]](free_failures=100, max_delay=_MAX_DELAY)
        # An office may share one address: the mistakes of one user must not lock out the others.
        self._by_network = FailureBackoff[tuple[str]](free_failures=100, max_delay=_MAX_DELAY)

    def begin(self, attempt: LoginAttempt, now: datetime) -> timedelta:
        """Count the attempt and return zero, or return how long it must wait (then not counted)."""
        counters = self._counters(attempt)
        wait = max(counter.remaining_wait(now) for counter in counters)
        if not wait:
            for counter in counters:
                counter.count(now)
        return wait

    def succeeded(self, attempt: LoginAttempt) -> None:
        """Forget the failures of this login from here; take this attempt back elsewhere."""
        own, *others = self._counters(attempt)
        own.forget()
        for counter in others:
            counter.take_back()

    def not_tried(self, attempt: LoginAttempt) -> None:
        """Take an attempt back whose password was not checked."""
        for counter in self._counters(attempt):
            counter.take_back()

    def entries(self, attempt: LoginAttempt) -> list[Entry]:
        """Return what is remembered about an attempt."""
        return [counter.entry for counter in self._counters(attempt)]

    def _counters(self, attempt: LoginAttempt) -> "list[_Counter]":
        """Return what counts an attempt; the first one counts this login from here alone."""
        domain, login = attempt.domain, attempt.login
        if attempt.known is not None:
            return [_Counter(self._by_known, (domain, login, attempt.known), "known")]
        network = network_of(attempt.address)
        return [
            _Counter(self._by_both, (domain, login, network), "login and network"),
            _Counter(self._by_login, (domain, login), "login"),
            _Counter(self._by_network, (network,), "network"),
        ]


class _Counter:
    """The failures of one key."""

    def __init__(self, backoff: FailureBackoff[T], key: T, name: str) -> None:
        self.remaining_wait: Callable[[datetime], timedelta] = partial(backoff.remaining_wait, key)
        self.count: Callable[[datetime], None] = partial(backoff.count, key)
        self.take_back: Callable[[], None] = partial(backoff.take_back, key)
        self.forget: Callable[[], None] = partial(backoff.forget, key)
        self.entry = Entry(key=(name, *key), read=partial(backoff.state, key), replace=partial(backoff.restore, key))
