"""Compare what domains have with their quotas, and warn before a quota is used up."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

import structlog

from fonoteka.core.config import MailSection
from fonoteka.core.email_address import mailbox_or_none
from fonoteka.core.errors import MailError
from fonoteka.core.mail import connected, send
from store.database.store import Store
from store.provisioning.directory import notify_email_of
from store.retention.due import RetainedDomain
from store.retention.quota import CALM_AT, WARNS_AT, note_warning, usage_of

log = structlog.get_logger()


class QuotaWatch:
    """The quotas of all domains.

    `measured` is called with the name of a domain and the used share of its quota. One letter is
    sent for each time that a quota is nearly used up: to `mail.operator`, with a copy to the
    domain's `notify_email`. A letter that the mail server refuses is sent with a later look of this
    process.
    """

    def __init__(self, store: Store, mail: MailSection, measured: Callable[[str, float], None]) -> None:
        self._store, self._mail, self._measured = store, mail, measured
        self._letters: set[int] = set()  # to be sent, by domain

    async def look(self, domains: Sequence[RetainedDomain], now: datetime) -> set[int]:
        """Return the domains that have more than their quota. Raises StoreError."""
        beyond = set()
        for domain in domains:
            if not domain.quota:
                continue
            usage = await usage_of(self._store, domain.id)
            used = domain.quota.used(usage)
            self._measured(domain.name, used)
            if domain.quota.exceeded(usage) is not None:
                beyond.add(domain.id)
            if used >= WARNS_AT:
                await self._warn(domain, used, now)
            elif used < CALM_AT:
                self._letters.discard(domain.id)
                await note_warning(self._store, domain.id, None)
        return beyond

    async def _warn(self, domain: RetainedDomain, used: float, now: datetime) -> None:
        if await note_warning(self._store, domain.id, now):
            log.warning("quota.nearly_used", domain=domain.name, used_pct=round(100 * used))
            self._letters.add(domain.id)
        if domain.id in self._letters:
            await self._write_letter(domain, used)

    async def _write_letter(self, domain: RetainedDomain, used: float) -> None:
        if self._mail.smtp is None or not self._mail.operator:
            self._letters.discard(domain.id)
            return
        assert self._mail.from_address is not None
        copy_to = mailbox_or_none(await notify_email_of(self._store, domain.name))
        try:
            async with connected(self._mail) as client:
                message = _letter(self._mail.from_address, self._mail.operator, domain.name, round(100 * used))
                await send(client, message, self._mail.from_address, self._mail.operator, copy_to)
            self._letters.discard(domain.id)
        except MailError as error:
            log.error("quota.letter_not_sent", domain=domain.name, reason=str(error))
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError  # asyncio.wait_for of Python 3.11, in aiosmtplib, may swallow it


def _letter(sender: str, recipients: tuple[str, ...], domain: str, used_pct: int) -> EmailMessage:
    mail = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    mail["Subject"] = f"Fonoteka: {domain}: квота записей использована на {used_pct} %"
    mail["From"] = f"Fonoteka <{sender}>"
    mail["To"] = ", ".join(recipients)
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    mail.set_content(
        f"{domain}: квота записей использована на {used_pct} %. Сверх квоты удаляются самые старые записи.\n\n"
        f"{domain}: {used_pct} % of the quota of recordings is used. Beyond it the oldest recordings are deleted.\n"
    )
    return mail
