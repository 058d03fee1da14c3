"""Slowing down whoever guesses passwords.

An attempt is counted before the password is looked at, and taken back if it was the right one: a hundred sent at once are
a hundred.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

K = TypeVar("K")

_MOST_KEYS: Final = 100_000
_FORGOTTEN_AFTER: Final = timedelta(minutes=15)
_LONGEST: Final = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Failures:
    count: int
    last: datetime


class Throttle(Generic[K]):
    """After `free_failures` in a row each further attempt must wait 1, 2, 4, … seconds since the last, at most `longest`.

    Memory is bounded: of more keys than can be kept, those that failed longest ago are forgotten.
    """

    def __init__(self, *, free_failures: int, longest: timedelta) -> None:
        self._free = free_failures
        self._longest = longest
        self._failures: OrderedDict[K, _Failures] = OrderedDict()

    def wait(self, key: K, now: datetime) -> timedelta:
        """How long this key has to wait before it may try; zero: it may now."""
        failures = self._failures.get(key)
        if failures is None or now - failures.last > _FORGOTTEN_AFTER or failures.count < self._free:
            return timedelta()
        pause = min(self._longest, timedelta(seconds=2 ** min(failures.count - self._free, 30)))
        return max(timedelta(), failures.last + pause - now)

    def count(self, key: K, now: datetime) -> None:
        """Count an attempt."""
        before = self._failures.pop(key, None)
        fresh = before is None or now - before.last > _FORGOTTEN_AFTER
        self._failures[key] = _Failures(count=1 if fresh or before is None else before.count + 1, last=now)
        while len(self._failures) > _MOST_KEYS:
            self._failures.popitem(last=False)

    def take_back(self, key: K) -> None:
        """One attempt was none: it succeeded. Others' failures stay."""
        failures = self._failures.get(key)
        if failures is not None and failures.count > 1:
            self._failures[key] = replace(failures, count=failures.count - 1)
        else:
            self.forget(key)

    def forget(self, key: K) -> None:
        """Forget what went wrong before."""
        self._failures.pop(key, None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """Somebody at an address says who they are."""

    domain: str
    login: str
    address: str


class LoginThrottle:
    """Strict with one address at one login, looser with the rest, so that a stranger cannot lock anybody out."""

    def __init__(self) -> None:
        self._by_both = Throttle[Attempt](free_failures=10, longest=_LONGEST)
        self._by_login = Throttle[tuple[str, str]](free_failures=100, longest=_LONGEST)
        # An office may share one address: what one colleague mistypes must not lock out the others.
        self._by_address = Throttle[str](free_failures=100, longest=_LONGEST)

    def begin(self, attempt: Attempt, now: datetime) -> timedelta:
        """Zero, and the attempt is counted; or how long it has to wait, and it is not."""
        login = (attempt.domain, attempt.login)
        wait = max(self._by_both.wait(attempt, now), self._by_login.wait(login, now), self._by_address.wait(attempt.address, now))
        if not wait:
            self._by_both.count(attempt, now)
            self._by_login.count(login, now)
            self._by_address.count(attempt.address, now)
        return wait

    def succeeded(self, attempt: Attempt) -> None:
        """The password was right."""
        self._by_both.forget(attempt)
        self._by_login.take_back((attempt.domain, attempt.login))
        self._by_address.take_back(attempt.address)

    def not_tried(self, attempt: Attempt) -> None:
        """The password was not looked at after all."""
        self._by_both.take_back(attempt)
        self._by_login.take_back((attempt.domain, attempt.login))
        self._by_address.take_back(attempt.address)


class WaitingRoom:
    """Room for so many at a time; whoever comes when it is full is sent away instead of waiting without end."""

    def __init__(self, places: int) -> None:
        self._free = places

    @contextmanager
    def entered(self) -> Iterator[bool]:
        """Have a place while the block runs; yields False where there is none."""
        if not self._free:
            yield False
            return
        self._free -= 1
        try:
            yield True
        finally:
            self._free += 1
