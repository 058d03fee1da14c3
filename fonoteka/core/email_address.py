"""What an e-mail address is, for Fonoteka: one that any server takes, and that can stand in a header and in an SMTP command."""

from typing import Final

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

_OURS_TOO: Final = ("local", "localhost")  # many a company's own network is called so
for _name in _OURS_TOO:
    if _name in SPECIAL_USE_DOMAIN_NAMES:  # as the library's README has it for who may use one
        SPECIAL_USE_DOMAIN_NAMES.remove(_name)


def mailbox(text: str) -> str:
    """The address in ASCII (a domain in other letters as `xn--…`). Raises ValueError.

    A name of the local network is as good as one of the internet, and no DNS is asked. A local part in other letters would need a
    server with SMTPUTF8, so it is refused.
    """
    try:
        checked = validate_email(text, check_deliverability=False, globally_deliverable=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise ValueError(f"must be an e-mail address: {error}") from None
    return checked.ascii_email or checked.normalized


def mailbox_or_none(text: str | None) -> str | None:
    """The same, None for what is no address."""
    try:
        return mailbox(text or "")
    except ValueError:
        return None
