"""Sending e-mail through the operator's SMTP server. What is said to be sent was taken by it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from typing import Final

import structlog
from aiosmtplib import SMTP, SMTPException, SMTPRecipientRefused, SMTPRecipientsRefused, SMTPResponseException

from fonoteka.core.config import MailSection, MailSecurity, split_address
from fonoteka.core.errors import MailRefused, MailUnreachable

_GOODBYE_S: Final = 1.0
_log = structlog.get_logger()


@asynccontextmanager
async def connected(section: MailSection) -> AsyncIterator[SMTP]:
    """A session with `mail.smtp`: greeted, encrypted and logged in as configured. `mail.timeout` is for all that the block does.

    Raises MailUnreachable and MailRefused, also for what goes wrong in the block.
    """
    assert section.smtp is not None
    host, port = split_address(section.smtp)
    client = SMTP(
        hostname=host,
        port=port,
        username=section.user or None,
        password=section.password.get_secret_value() if section.password else None,
        timeout=section.timeout,
        use_tls=section.security is MailSecurity.TLS,
        start_tls=section.security is MailSecurity.STARTTLS,
        tls_context=None if section.security is MailSecurity.NONE else _tls(section),
    )
    try:
        async with asyncio.timeout(section.timeout):
            await client.connect()
            yield client
    except TimeoutError as error:  # aiosmtplib's own are kinds of it
        raise MailUnreachable(f"{section.smtp}: no answer within {section.timeout:g} s") from error
    except SMTPResponseException as error:
        raise MailRefused(_told(section, error)) from error
    except OSError as error:  # also aiosmtplib's ConnectionErrors
        raise MailUnreachable(_told(section, error)) from error
    except SMTPException as error:
        raise MailRefused(_told(section, error)) from error
    finally:
        # What was taken stays taken, whether or not the server still answers to this.
        with suppress(SMTPException, OSError, TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await client.quit()
        client.close()


async def send(client: SMTP, message: EmailMessage, sender: str, recipients: tuple[str, ...], copy_to: str | None = None) -> None:
    """Have a message taken for at least one of `recipients`; that `copy_to` is refused is only logged.

    Raises what `connected` makes MailRefused or MailUnreachable of.
    """
    await client.mail(sender)
    refusals = []
    for recipient in recipients:
        try:
            await client.rcpt(recipient)
        except SMTPRecipientRefused as refusal:
            refusals.append(refusal)
    if len(refusals) == len(recipients):
        raise SMTPRecipientsRefused(refusals)
    if refusals:
        _log.warning("mail.recipients_refused", refused=[str(one) for one in refusals])
    if copy_to is not None:
        try:
            await client.rcpt(copy_to)
        except SMTPRecipientRefused as refusal:
            _log.warning("mail.copy_refused", refused=str(refusal))
    await client.data(message.as_bytes())


def _told(section: MailSection, error: Exception) -> str:
    return f"{section.smtp}: {' '.join(str(error).split())[:300] or type(error).__name__}"


def _tls(section: MailSection) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=section.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise MailUnreachable(f"mail.ca_file = {str(section.ca_file)!r}: {error}") from error
