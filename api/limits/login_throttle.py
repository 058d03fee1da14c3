"""Slow down the guessing of passwords.

An attempt is counted before the password is checked, and taken back if the password was right:
a hundred attempts sent at once count as a hundred.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

K = TypeVar("K")

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


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginAttempt:
    """A login from an address."""

    domain: str
    login: str
    address: str


class LoginThrottle:
    """Strict for one login from one address, looser for each alone.

    Guessing can delay the attempts of a user by at most a minute, never lock the user out.
    """

    def __init__(self) -> None:
        self._by_both = FailureBackoff[LoginAttempt](free_failures=10, max_delay=_MAX_DELAY)
        self._by_login = FailureBackoff[tuple[str, str]](free_failures=100, max_delay=_MAX_DELAY)
        # An office may share one address: the mistakes of one user must not lock out the others.
        self._by_address = FailureBackoff[str](free_failures=100, max_delay=_MAX_DELAY)

    def begin(self, attempt: LoginAttempt, now: datetime) -> timedelta:
        """Count the attempt and return zero, or return how long it must wait (then not counted)."""
        login = (attempt.domain, attempt.login)
        waits = (
            self._by_both.remaining_wait(attempt, now),
            self._by_login.remaining_wait(login, now),
            self._by_address.remaining_wait(attempt.address, now),
        )
        wait = max(waits)
        if not wait:
            self._by_both.count(attempt, now)
            self._by_login.count(login, now)
            self._by_address.count(attempt.address, now)
        return wait

    def succeeded(self, attempt: LoginAttempt) -> None:
        """Forget the failures of this login from this address; take this attempt back elsewhere."""
        self._by_both.forget(attempt)
        self._by_login.take_back((attempt.domain, attempt.login))
        self._by_address.take_back(attempt.address)

    def not_tried(self, attempt: LoginAttempt) -> None:
        """Take an attempt back whose password was not checked."""
        self._by_both.take_back(attempt)
        self._by_login.take_back((attempt.domain, attempt.login))
        self._by_address.take_back(attempt.address)
