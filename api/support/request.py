"""«Нужна помощь» as an e-mail (manual, III). Text of a stranger cannot become a header."""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from typing import Final

from fonoteka.core.email_address import mailbox_or_none

_SEVEN_BIT: Final = SMTP.clone(cte_type="7bit")  # accepted by every mail server
_MAX_LENGTH_IN_SUBJECT: Final = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class HelpRequest:
    """A request for help; `login` is set, and `domain` verified, only with a session.

    `at` dates the e-mail; the quotas have a clock of their own.
    """

    name: str
    contact: str
    message: str
    domain: str | None
    login: str | None
    address: str
    at: datetime


def message_of(request: HelpRequest, *, sender: str, recipients: tuple[str, ...], copy_to: str | None) -> EmailMessage:
    """Return the e-mail; it has Reply-To if the contact is an e-mail address."""
    name = one_line(request.name)
    mail = EmailMessage(policy=_SEVEN_BIT)
    mail["Subject"] = f"Нужна помощь: {name[:_MAX_LENGTH_IN_SUBJECT]}"
    mail["From"] = Address("Fonoteka", addr_spec=sender)
    mail["To"] = ", ".join(recipients)
    if copy_to is not None:
        mail["Cc"] = copy_to
    if (contact := mailbox_or_none(request.contact.strip())) is not None:
        mail["Reply-To"] = Address(name, addr_spec=contact)
    mail["Date"] = format_datetime(request.at)
    mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    mail.set_content(_text(request, name))
    return mail


def one_line(text: str) -> str:
    """Replace line ends and other unprintable characters with spaces."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _text(request: HelpRequest, name: str) -> str:
    sender = [f"Имя: {name}", f"Контакт: {one_line(request.contact)}"]
    if request.login is not None:
        sender.append(f"Вошёл как: {one_line(request.login)}, домен {one_line(request.domain or '')}")
    elif request.domain:
        sender.append(f"Домен (со слов): {one_line(request.domain)}")
    sender.append(f"Адрес: {request.address}")
    return "\n".join([*sender, "", request.message.replace("\r\n", "\n").replace("\r", "\n"), ""])
