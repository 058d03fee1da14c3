"""Send e-mail through the operator's SMTP server."""

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
    """Open a session with `mail.smtp`: connected, encrypted and logged in as configured.

    `mail.timeout` limits the time of the whole block. Raises MailUnreachable and MailRefused, also
    for errors of the block.
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
    except TimeoutError as error:  # aiosmtplib's timeouts are subclasses
        raise MailUnreachable(f"{section.smtp}: no answer within {section.timeout:g} s") from error
    except SMTPResponseException as error:
        raise MailRefused(_described(section, error)) from error
    except OSError as error:  # also aiosmtplib's ConnectionErrors
        raise MailUnreachable(_described(section, error)) from error
    except SMTPException as error:
        raise MailRefused(_described(section, error)) from error
    finally:
        # The server has accepted the message before, even if it does not answer QUIT.
        with suppress(SMTPException, OSError, TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await client.quit()
        client.close()


async def send(client: SMTP, message: EmailMessage, sender: str, recipients: tuple[str, ...], copy_to: str | None = None) -> None:
    """Send a message to `recipients` and `copy_to`; return when the server has accepted it.

    At least one of `recipients` must be accepted; other refusals are only logged. Raises errors of
    aiosmtplib, which `connected` turns into MailRefused or MailUnreachable.
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
        _log.warning("mail.recipients_refused", reason=[str(refusal) for refusal in refusals])
    if copy_to is not None:
        try:
            await client.rcpt(copy_to)
        except SMTPRecipientRefused as refusal:
            _log.warning("mail.copy_refused", reason=str(refusal))
    await client.data(message.as_bytes())


def _described(section: MailSection, error: Exception) -> str:
    return f"{section.smtp}: {' '.join(str(error).split())[:300] or type(error).__name__}"


def _tls(section: MailSection) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=section.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise MailUnreachable(f"mail.ca_file = {str(section.ca_file)!r}: {error}") from error
