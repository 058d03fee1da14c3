"""The one exception tree of Fonoteka.

    FonotekaError
    ├── ConfigurationError   wrong file, key or value            → exit 2, one line on stderr
    ├── SpoolError           the spool cannot be used            → exit 2 at start, a retry later
    ├── AmiError             the PBX cannot be talked to
    │   ├── AmiUnreachable   no such host, refused, timed out    → retried, with the reason logged
    │   ├── AmiRefused       the login was turned down           → exit 2 at start, else retried
    │   ├── AmiActionFailed  Asterisk answered an action with an error
    │   ├── AmiTimeout       an action was not answered in time
    │   └── AmiUnsafe        a header could inject another action (CR, LF, NUL, too long)
    ├── PbxTaken             another agent records the calls of this Asterisk   → exit 2
    ├── SpoolTaken           another agent of the spool has taken over   → exit 2, or waits again
    ├── AudioError           legs cannot be made into a recording; carries a `Reason`
    ├── StoreError           index or objects refuse
    │   ├── ChecksumWrong    the received bytes are not the announced bytes
    │   ├── ObjectsFull      no space is left for objects    → 507
    │   ├── ObjectMissing    an object of the index does not exist    → 502
    │   ├── ObjectDamaged    an object differs from its entry in the index    → 502
    │   ├── IntakeRefused    a report or recording will never be accepted     → 422
    │   │   ├── DomainNotServed      its domain is not one of the PBX
    │   │   ├── DomainChanged        its call is of another domain
    │   │   ├── SegmentOfOtherCall   it names a segment of a call that it may not change
    │   │   ├── CallHeld             its call is under legal hold
    │   │   └── RetentionEnded       its call or audio was deleted            → 410
    │   ├── AudioStored      a segment has other audio already → 409
    │   └── IntakeDeferred   a report or recording may be accepted later      → 409
    ├── EvidenceRefused      a file is no evidence package, or was altered    → exit 1
    ├── ConversionAbandoned  the client of a converted recording has gone
    ├── TooManyConversions   one account waits for too many conversions       → 429
    ├── SessionEnded         the session that asked for an export has ended
    ├── MailError            an e-mail was not sent
    │   ├── MailUnreachable  no answer from the mail server
    │   └── MailRefused      the mail server refused
    └── ShipError            the API did not accept a call or recording → kept, sent again
        ├── ShipDeferred     the API refused it now, but may accept others → others go first
        └── ShipRefused      the API will never accept it     → set aside
            ├── AlreadyShipped   the API has other audio of the recording
            └── RetentionOver    the API has deleted it by its age     → deleted here too

They are mapped once: to exit codes in `fonoteka.cli.main`, to problem documents in
`api.http.problems`.
"""

from typing import ClassVar

from fonoteka.core.call_report import Reason


class FonotekaError(Exception):
    """The base of all errors; `str()` is one line that tells an operator what to do."""


class ConfigurationError(FonotekaError):
    """A wrong configuration: names the file, the key and the value (never of a secret)."""


class SpoolError(FonotekaError):
    """The spool is missing or not writable, or holds an unreadable file."""


class AmiError(FonotekaError):
    """The PBX cannot be talked to over AMI."""


class AmiUnreachable(AmiError):
    """No such host, connection refused, or no answer: the PBX may come back."""


class AmiRefused(AmiError):
    """Asterisk refused the login (wrong user, secret or address), or its certificate is refused."""


class AmiActionFailed(AmiError):
    """Asterisk answered an action with `Response: Error`; the text is its `Message`."""


class AmiTimeout(AmiError):
    """An action was not answered before its deadline; it is not sent again automatically."""


class AmiUnsafe(AmiError):
    """A header contains CR, LF or NUL, or is too long: it could inject another action."""


class PbxTaken(FonotekaError):
    """Another agent records the calls of this Asterisk; the text says where it runs."""


class SpoolTaken(FonotekaError):
    """Another agent of the same spool has taken over; nothing more may be done on the spool."""


class AudioError(FonotekaError):
    """The legs cannot become a recording; `reason` says why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StoreError(FonotekaError):
    """The index or the objects cannot be read or written."""


class ChecksumWrong(StoreError):
    """The received bytes do not have the announced checksum or size."""


class ObjectsFull(StoreError):
    """No space is left for objects."""


class BucketAway(StoreError):
    """The bucket of one domain cannot be used now; the recordings of others can be stored."""


class ObjectMissing(StoreError):
    """An object of the index does not exist."""


class ObjectDamaged(StoreError):
    """An object differs from its entry in the index."""


class IntakeRefused(StoreError):
    """A report or recording can never be accepted; the text says why.

    `counted_as` is the label `reason` of the metric `fonoteka_agent_refused_total`.
    """

    counted_as: ClassVar[str] = "invalid"


class DomainNotServed(IntakeRefused):
    """The domain of a report, recording or command is not one of the PBX."""

    counted_as: ClassVar[str] = "domain_not_served"


class DomainChanged(IntakeRefused):
    """A report names another domain than the stored call has: a call never changes its domain."""

    counted_as: ClassVar[str] = "domain_changed"


class SegmentOfOtherCall(IntakeRefused):
    """A report names a segment of a call of another domain, or of a held call; it stays there."""

    counted_as: ClassVar[str] = "segment_of_other_call"


class CallHeld(IntakeRefused):
    """A report or recording would change a call under legal hold."""

    counted_as: ClassVar[str] = "legal_hold"


class RetentionEnded(IntakeRefused):
    """A call, or the audio of a segment, was deleted: it was erased, or its retention ended."""

    counted_as: ClassVar[str] = "retention"


class AudioStored(StoreError):
    """The segment has other audio already: stored audio never changes."""

    counted_as: ClassVar[str] = "audio_stored"


class IntakeDeferred(StoreError):
    """A report or recording is not accepted now, but may be when it is sent again."""


class EvidenceRefused(FonotekaError):
    """A file is no evidence package, or its structure was altered; the text says where."""


class ConversionAbandoned(FonotekaError):
    """The client that asked for a converted recording has gone."""


class TooManyConversions(FonotekaError):
    """An account already waits for the maximum number of converted recordings."""


class SessionEnded(FonotekaError):
    """The session that asked for an export has ended, so the export is aborted."""


class MailError(FonotekaError):
    """An e-mail was not sent."""


class MailUnreachable(MailError):
    """The mail server was not found, refused the connection, is not trusted or did not answer."""


class MailRefused(MailError):
    """The mail server refused the login, the sender, the recipients or the message."""


class ShipError(FonotekaError):
    """The API did not accept a call or recording; it stays in the spool and is sent again."""


class ShipDeferred(ShipError):
    """The API did not accept this call or recording now; it may accept others."""


class ShipBucketAway(ShipDeferred):
    """The bucket of the recording's domain is out of reach; it is sent again until it is stored."""


class ShipRefused(ShipError):
    """The API will never accept this call or recording; it is set aside for an operator."""


class AlreadyShipped(ShipRefused):
    """The store has other audio of this recording, which stays: stored audio never changes."""


class RetentionOver(ShipRefused):
    """The store has deleted this recording by its age, so the copy of the PBX is deleted too."""
