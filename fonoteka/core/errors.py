"""The one exception tree of Fonoteka.

    FonotekaError
    ├── ConfigurationError   wrong file, key or value            → exit 2, one line on stderr
    ├── SpoolError           the spool cannot be used            → exit 2 at start, a retry later
    ├── AmiError             the PBX cannot be talked to
    │   ├── AmiUnreachable   no such host, refused, timed out    → retried, with the reason logged
    │   ├── AmiRefused       the login was turned down           → exit 2 at first start, retried later
    │   ├── AmiActionFailed  Asterisk answered an action with an error
    │   ├── AmiTimeout       an action was not answered in time
    │   └── AmiUnsafe        a header would have injected another action (CR, LF, NUL, over-long)
    ├── AudioError           legs cannot be made into a recording; carries a `Reason`
    ├── StoreError           index or objects refuse
    │   ├── ChecksumWrong    the bytes that arrived are not those announced
    │   ├── ObjectsFull      no space is left for objects    → 507
    │   ├── ObjectMissing    an object is not where the index says
    │   ├── ObjectDamaged    an object is not what the index says
    │   ├── IntakeRefused    a report or recording will never be accepted     → 422
    │   └── IntakeDeferred   a report or recording may be accepted later      → 409
    ├── ConversionAbandoned  nobody waits for a converted recording any more
    ├── TooManyConversions   one account waits for too many conversions       → 429
    ├── SessionEnded         the session that asked for an export has ended
    ├── MailError            an e-mail was not sent
    │   ├── MailUnreachable  no answer from the mail server
    │   └── MailRefused      it answered and said no
    └── ShipError            the API did not take a call or a recording → kept in the spool, retried
        └── ShipRefused      and never will                   → set aside

Raise them anywhere; they are mapped once: to exit codes in `fonoteka.cli.main`, to problem documents in `api.http.problems`.
"""

from fonoteka.core.call_report import Reason


class FonotekaError(Exception):
    """Anything Fonoteka can say about itself; `str()` is one line an operator can act on."""


class ConfigurationError(FonotekaError):
    """A wrong configuration: names the file, the key and the value (never a secret's)."""


class SpoolError(FonotekaError):
    """The spool is missing, not writable, or holds something that is not ours."""


class AmiError(FonotekaError):
    """The PBX cannot be talked to over AMI."""


class AmiUnreachable(AmiError):
    """No such host, connection refused, or no answer: the PBX may come back."""


class AmiRefused(AmiError):
    """Asterisk answered and said no: wrong user, secret or address."""


class AmiActionFailed(AmiError):
    """Asterisk answered an action with `Response: Error`; the text is its `Message`."""


class AmiTimeout(AmiError):
    """An action was sent and not answered before its deadline; it is never sent again by itself."""


class AmiUnsafe(AmiError):
    """A header's text holds CR, LF or NUL, or is too long: sending it could inject another action."""


class AudioError(FonotekaError):
    """Legs that cannot become a recording."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StoreError(FonotekaError):
    """The index or the objects cannot be read or written."""


class ChecksumWrong(StoreError):
    """The bytes that arrived are not those announced."""


class ObjectsFull(StoreError):
    """No space is left for objects."""


class ObjectMissing(StoreError):
    """An object is not where the index says."""


class ObjectDamaged(StoreError):
    """An object is not what the index says."""


class IntakeRefused(StoreError):
    """A report or recording can never be accepted, however often it is sent; the text says why."""


class IntakeDeferred(StoreError):
    """A report or recording cannot be accepted now, but may be when it is sent again; the text says why."""


class ConversionAbandoned(FonotekaError):
    """Nobody waits for a converted recording any more."""


class TooManyConversions(FonotekaError):
    """One account already waits for as many converted recordings as it may."""


class SessionEnded(FonotekaError):
    """The session that asked for an export has ended, so the export breaks off."""


class MailError(FonotekaError):
    """An e-mail was not sent."""


class MailUnreachable(MailError):
    """No such mail server, connection refused, no trust in its certificate, or no answer in time."""


class MailRefused(MailError):
    """The mail server said no: to the login, the sender, the recipients or the message."""


class ShipError(FonotekaError):
    """The API did not take what was shipped; it stays in the spool and is tried again."""


class ShipRefused(ShipError):
    """The API will never take this, however often it is sent; it is set aside for a human."""
