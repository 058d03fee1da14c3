"""«Нужна помощь» as an e-mail (manual, III). What a stranger wrote is in the body, and cannot become a header."""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from typing import Final

from fonoteka.core.email_address import mailbox_or_none

_SEVEN_BIT: Final = SMTP.clone(cte_type="7bit")  # which any server on the way takes
_LONGEST_NAME_IN_SUBJECT: Final = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class HelpRequest:
    """What somebody asks, and what is known of them: `login` and `domain` only where they are logged in, else what they said."""

    name: str
    contact: str
    message: str
    domain: str | None
    login: str | None
    address: str
    at: datetime


def letter(asked: HelpRequest, *, sender: str, recipients: tuple[str, ...], copy_to: str | None) -> EmailMessage:
    """The e-mail; it can be answered at once where the contact is an address, else the contact stands in the text alone."""
    name = one_line(asked.name)
    mail = EmailMessage(policy=_SEVEN_BIT)
    mail["Subject"] = f"Нужна помощь: {name[:_LONGEST_NAME_IN_SUBJECT]}"
    mail["From"] = Address("Fonoteka", addr_spec=sender)
    mail["To"] = ", ".join(recipients)
    if copy_to is not None:
        mail["Cc"] = copy_to
    if (contact := mailbox_or_none(asked.contact.strip())) is not None:
        mail["Reply-To"] = Address(name, addr_spec=contact)
    mail["Date"] = format_datetime(asked.at)
    mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    mail.set_content(_text(asked, name))
    return mail


def one_line(text: str) -> str:
    """Without line ends and whatever else is no letter to be seen."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _text(asked: HelpRequest, name: str) -> str:
    who = [f"Имя: {name}", f"Контакт: {one_line(asked.contact)}"]
    if asked.login is not None:
        who.append(f"Вошёл как: {one_line(asked.login)}, домен {one_line(asked.domain or '')}")
    elif asked.domain:
        who.append(f"Домен (со слов): {one_line(asked.domain)}")
    who.append(f"Адрес: {asked.address}")
    return "\n".join([*who, "", asked.message.replace("\r\n", "\n").replace("\r", "\n"), ""])
