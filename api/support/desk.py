"""Send «Нужна помощь» to support, within limits; it counts as sent when the mail server took it."""

from datetime import timedelta
from typing import Final

from api.limits.concurrency_limit import ConcurrencyLimit
from api.support.quotas import SupportQuotas
from api.support.request import HelpRequest, message_of
from fonoteka.core.config import MailSection
from fonoteka.core.email_address import mailbox_or_none
from fonoteka.core.mail import connected, send

_DELIVERIES: Final = 4


class SupportDesk:
    """The e-mail addresses of support, and the limits of requests to them."""

    def __init__(self, mail: MailSection) -> None:
        self._mail = mail
        self._quotas = SupportQuotas()
        # Strangers do not take the places of users who are logged in.
        self._deliveries = ConcurrencyLimit[bool](_DELIVERIES)

    @property
    def is_open(self) -> bool:
        """Whether a mail server is configured."""
        return self._mail.smtp is not None

    def remaining_wait(self, request: HelpRequest) -> timedelta:
        """Return how long the sender must wait; zero if the request may be sent."""
        return self._quotas.remaining_wait(request)

    async def send(self, request: HelpRequest, notify_email: str | None) -> bool:
        """Deliver a request to the mail server; return False if too many are being delivered.

        The copy for the domain goes in the same delivery. Raises MailError; the request is then
        neither sent nor counted.
        """
        async with self._deliveries.try_enter(request.login is not None) as entered:
            if not entered:
                return False
            self._quotas.count(request)  # before the delivery, as others may come meanwhile
            try:
                await self._deliver(request, mailbox_or_none(notify_email))
            except BaseException:
                self._quotas.take_back(request)
                raise
            return True

    async def _deliver(self, request: HelpRequest, copy_to: str | None) -> None:
        assert self._mail.from_address is not None
        mail = message_of(request, sender=self._mail.from_address, recipients=self._mail.support, copy_to=copy_to)
        async with connected(self._mail) as client:
            await send(client, mail, self._mail.from_address, self._mail.support, copy_to)
