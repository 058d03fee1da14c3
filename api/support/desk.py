"""Taking «Нужна помощь» to support: so many an hour, a few at a time, and said to be sent only when it was."""

from datetime import datetime, timedelta
from typing import Final

from api.limits.login_throttle import WaitingRoom
from api.limits.rate_limit import RateLimit
from api.support.request import HelpRequest, letter
from fonoteka.core.config import MailSection
from fonoteka.core.email_address import mailbox_or_none
from fonoteka.core.mail import connected, send

_EACH_ADDRESS: Final = 5
_ALL: Final = 60
_WITHIN: Final = timedelta(hours=1)
_AT_ONCE: Final = 4


class HelpDesk:
    """The way to support, and who has gone it lately."""

    def __init__(self, mail: MailSection) -> None:
        self._mail = mail
        self._by_address = RateLimit[str](most=_EACH_ADDRESS, within=_WITHIN)
        self._all = RateLimit[None](most=_ALL, within=_WITHIN)
        self._room = WaitingRoom(_AT_ONCE)

    @property
    def is_open(self) -> bool:
        """Whether anything can be sent at all."""
        return self._mail.smtp is not None

    def wait(self, address: str, now: datetime) -> timedelta:
        """How long who asks from an address must wait; zero: not at all."""
        return max(self._by_address.wait(address, now), self._all.wait(None, now))

    async def send(self, asked: HelpRequest, notify_email: str | None) -> bool:
        """Have it taken by the mail server; False where too many are being sent. Raises MailError: it was not sent, nor counted.

        The domain's copy goes the same way: that takes no longer, so nobody learns whether there is such a domain.
        """
        with self._room.entered() as inside:
            if not inside:
                return False
            self._by_address.count(asked.address, asked.at)  # before the wait: a hundred sent at once are a hundred
            self._all.count(None, asked.at)
            try:
                await self._deliver(asked, mailbox_or_none(notify_email))
            except BaseException:
                self._by_address.take_back(asked.address)
                self._all.take_back(None)
                raise
            return True

    async def _deliver(self, asked: HelpRequest, copy_to: str | None) -> None:
        assert self._mail.from_address is not None
        mail = letter(asked, sender=self._mail.from_address, recipients=self._mail.support, copy_to=copy_to)
        async with connected(self._mail) as client:
            await send(client, mail, self._mail.from_address, self._mail.support, copy_to)
