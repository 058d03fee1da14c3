"""Send «Нужна помощь» to support, within limits; it counts as sent when the mail server took it."""

from datetime import datetime, timedelta
from typing import Final

from api.limits.concurrency_limit import ConcurrencyLimit
from api.limits.rate_limit import RateLimit
from api.support.request import HelpRequest, message_of
from fonoteka.core.config import MailSection
from fonoteka.core.email_address import mailbox_or_none
from fonoteka.core.mail import connected, send

_REQUESTS_OF_AN_ADDRESS: Final = 5
_REQUESTS: Final = 60
_WINDOW: Final = timedelta(hours=1)
_DELIVERIES: Final = 4


class SupportDesk:
    """The e-mail addresses of support, and the limits of requests to them."""

    def __init__(self, mail: MailSection) -> None:
        self._mail = mail
        self._by_address = RateLimit[str](limit=_REQUESTS_OF_AN_ADDRESS, window=_WINDOW)
        self._all = RateLimit[None](limit=_REQUESTS, window=_WINDOW)
        self._deliveries = ConcurrencyLimit[None](_DELIVERIES)

    @property
    def is_open(self) -> bool:
        """Whether a mail server is configured."""
        return self._mail.smtp is not None

    def remaining_wait(self, address: str, now: datetime) -> timedelta:
        """Return how long an address must wait; zero if it need not wait."""
        return max(self._by_address.remaining_wait(address, now), self._all.remaining_wait(None, now))

    async def send(self, request: HelpRequest, notify_email: str | None) -> bool:
        """Deliver a request to the mail server; return False if too many are being delivered.

        The copy for the domain goes in the same delivery: the time does not tell if the domain
        exists. Raises MailError; the request is then neither sent nor counted.
        """
        async with self._deliveries.try_enter(None) as entered:
            if not entered:
                return False
            self._by_address.hit(request.address, request.at)  # before the delivery, as others may come meanwhile
            self._all.hit(None, request.at)
            try:
                await self._deliver(request, mailbox_or_none(notify_email))
            except BaseException:
                self._by_address.take_back(request.address)
                self._all.take_back(None)
                raise
            return True

    async def _deliver(self, request: HelpRequest, copy_to: str | None) -> None:
        assert self._mail.from_address is not None
        mail = message_of(request, sender=self._mail.from_address, recipients=self._mail.support, copy_to=copy_to)
        async with connected(self._mail) as client:
            await send(client, mail, self._mail.from_address, self._mail.support, copy_to)
