"""How many requests for help are sent: strangers cannot use up what others may send."""

from datetime import timedelta
from typing import Final

from api.limits.network import network_of
from api.limits.rate_limit import RateLimit
from api.support.request import HelpRequest

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

    def remaining_wait(self, request: HelpRequest) -> timedelta:
        """Return how long the sender must wait; zero if the request may be sent."""
        at, sender = request.counted_at, _sender(request)
        wait = self._senders.remaining_wait(sender, at)
        if request.login is not None:
            return max(wait, self._domains.remaining_wait(request.domain or "", at))
        again_while_many = min(self._firsts.remaining_wait(sender, at), self._many.remaining_wait(None, at))
        return max(wait, self._strangers.remaining_wait(None, at), again_while_many)

    def count(self, request: HelpRequest) -> None:
        """Count a request that is being sent."""
        self._senders.hit(_sender(request), request.counted_at)
        if request.login is not None:
            self._domains.hit(request.domain or "", request.counted_at)
            return
        self._firsts.hit(_sender(request), request.counted_at)
        self._many.hit(None, request.counted_at)
        self._strangers.hit(None, request.counted_at)

    def take_back(self, request: HelpRequest) -> None:
        """Remove a request that was not sent."""
        self._senders.take_back(_sender(request))
        if request.login is not None:
            self._domains.take_back(request.domain or "")
            return
        self._firsts.take_back(_sender(request))
        self._many.take_back(None)
        self._strangers.take_back(None)


def _sender(request: HelpRequest) -> tuple[str, ...]:
    if request.login is not None:
        return (request.domain or "", request.login)
    return (network_of(request.address),)
