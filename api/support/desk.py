"""Send «Нужна помощь» to support, within limits; it counts as sent when the mail server took it."""

from datetime import timedelta
from typing import Final

from api.limits.concurrency_limit import ConcurrencyLimit
from api.limits.shared_limiter import SharedLimiter
from api.support.quotas import SupportQuotas
from api.support.request import HelpRequest, message_of
from fonoteka.core.config import MailSection
from fonoteka.core.email_address import mailbox_or_none
from fonoteka.core.mail import connected, send
from store.database.store import Store

_DELIVERIES: Final = 4


class SupportDesk:
    """The e-mail addresses of support, and the limits of requests to them."""

    def __init__(self, mail: MailSection, store: Store) -> None:
        self._mail = mail
        self._quotas = SharedLimiter(store, SupportQuotas)
        # Strangers do not take the places of users who are logged in.
        self._deliveries = ConcurrencyLimit[bool](_DELIVERIES)

    @property
    def is_open(self) -> bool:
        """Whether a mail server is configured."""
        return self._mail.smtp is not None

    async def begin(self, request: HelpRequest) -> timedelta:
        """Count the request and return zero, or return how long the sender must wait.

        It is counted before the delivery, as others may come meanwhile. Raises StoreError.
        """
        async with self._quotas.holding(request) as (quotas, now):
            if not (wait := quotas.remaining_wait(request, now)):
                quotas.count(request, now)
            return wait

    async def send(self, request: HelpRequest, notify_email: str | None) -> bool:
        """Deliver a counted request to the mail server; return False if too many are delivered.

        The copy for the domain goes in the same delivery. Raises MailError and StoreError. A
        request that is not sent is no longer counted.
        """
        sent = False
        try:
            async with self._deliveries.try_enter(request.login is not None) as entered:
                if entered:
                    await self._deliver(request, mailbox_or_none(notify_email))
                    sent = True
        finally:
            if not sent:
                async with self._quotas.holding(request) as (quotas, _):
                    quotas.take_back(request)
        return sent

    async def _deliver(self, request: HelpRequest, copy_to: str | None) -> None:
        assert self._mail.from_address is not None
        mail = message_of(request, sender=self._mail.from_address, recipients=self._mail.support, copy_to=copy_to)
        async with connected(self._mail) as client:
            await send(client, mail, self._mail.from_address, self._mail.support, copy_to)
