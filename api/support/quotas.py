"""How many requests for help are sent: strangers cannot use up what others may send."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from api.limits.entry import Entry
from api.limits.network import network_of
from api.limits.rate_limit import RateLimit
from api.support.request import HelpRequest

K = TypeVar("K")

_WINDOW: Final = timedelta(hours=1)
_OF_A_SENDER: Final = 5  # a user who is logged in; else an address
_OF_A_DOMAIN: Final = 30
# From here on, an address that has sent a request already must wait: many requests from some
# addresses leave room for the first one from another.
_MANY_OF_STRANGERS: Final = 30
_OF_STRANGERS: Final = 120


class SupportQuotas:
    """Requests within an hour: with a session of the user and the domain, else of the address."""

    def __init__(self) -> None:
        self._senders = RateLimit[tuple[str, ...]](limit=_OF_A_SENDER, window=_WINDOW)
        self._domains = RateLimit[str](limit=_OF_A_DOMAIN, window=_WINDOW)
        self._firsts = RateLimit[tuple[str, ...]](limit=1, window=_WINDOW)
        self._many = RateLimit[None](limit=_MANY_OF_STRANGERS, window=_WINDOW)
        self._strangers = RateLimit[None](limit=_OF_STRANGERS, window=_WINDOW)

    def remaining_wait(self, request: HelpRequest, at: datetime) -> timedelta:
        """Return how long the sender must wait; zero if the request may be sent."""
        sender = _sender(request)
        wait = self._senders.remaining_wait(sender, at)
        if request.login is not None:
            return max(wait, self._domains.remaining_wait(request.domain or "", at))
        again_while_many = min(self._firsts.remaining_wait(sender, at), self._many.remaining_wait(None, at))
        return max(wait, self._strangers.remaining_wait(None, at), again_while_many)

    def count(self, request: HelpRequest, at: datetime) -> None:
        """Count a request that is being sent."""
        self._senders.hit(_sender(request), at)
        if request.login is not None:
            self._domains.hit(request.domain or "", at)
            return
        self._firsts.hit(_sender(request), at)
        self._many.hit(None, at)
        self._strangers.hit(None, at)

    def entries(self, request: HelpRequest) -> list[Entry]:
        """Return what is remembered about a request."""
        sender, domain = _sender(request), request.domain or ""
        own = _entry("sender", self._senders, sender, *sender)
        if request.login is not None:
            return [own, _entry("domain", self._domains, domain, domain)]
        of_strangers = (_entry("many", self._many, None), _entry("strangers", self._strangers, None))
        return [own, _entry("first", self._firsts, sender, *sender), *of_strangers]

    def take_back(self, request: HelpRequest) -> None:
        """Remove a request that was not sent."""
        self._senders.take_back(_sender(request))
        if request.login is not None:
            self._domains.take_back(request.domain or "")
            return
        self._firsts.take_back(_sender(request))
        self._many.take_back(None)
        self._strangers.take_back(None)


def _entry(name: str, limit: RateLimit[K], key: K, *texts: str) -> Entry:
    return Entry(key=("help", name, *texts), read=partial(limit.state, key), replace=partial(limit.restore, key))


def _sender(request: HelpRequest) -> tuple[str, ...]:
    if request.login is not None:
        return (request.domain or "", request.login)
    return (network_of(request.address),)
