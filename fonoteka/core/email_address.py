"""Validate e-mail addresses, so that they are safe in a header and in an SMTP command."""

from typing import Final

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

_OURS_TOO: Final = ("local", "localhost")  # common names of private networks
for _name in _OURS_TOO:
    if _name in SPECIAL_USE_DOMAIN_NAMES:  # as the README of the library describes
        SPECIAL_USE_DOMAIN_NAMES.remove(_name)


def mailbox(text: str) -> str:
    """Return the address in ASCII, with an international domain as `xn--…`. Raises ValueError.

    Names of the local network are accepted, and DNS is not queried. A local part that is not ASCII
    needs a server with SMTPUTF8, so it is refused.
    """
    try:
        checked = validate_email(text, check_deliverability=False, globally_deliverable=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise ValueError(f"must be an e-mail address: {error}") from None
    return checked.ascii_email or checked.normalized


def mailbox_or_none(text: str | None) -> str | None:
    """Return the address in ASCII, or None if the text is no address."""
    try:
        return mailbox(text or "")
    except ValueError:
        return None
