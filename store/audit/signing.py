"""Signatures of the audit's heads (Ed25519), and the file of the key.

A head is signed and logged, so that a later change of the index does not fit the log: the log may
be on another machine, and a line of it proves that this installation wrote it.
"""

import base64
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fonoteka.core.atomic_file import create_private
from fonoteka.core.errors import ConfigurationError
from store.audit.chain import Head
from store.database.schema import milliseconds


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedHead:
    """A head as it is logged; `key` and `signature` are base64."""

    domain: str
    head: Head
    at: datetime
    key: str
    signature: str


class AuditKey:
    """The key that signs heads."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = _encoded(private.public_key().public_bytes_raw())

    @classmethod
    def load(cls, path: Path) -> "AuditKey":
        """Read the key, and make it first if there is none. Raises ConfigurationError."""
        try:
            if not path.exists():
                _make(path)
            if path.stat().st_mode & 0o077:
                raise ConfigurationError(f"store.audit_key = '{path}' can be read by other users; run: chmod 600 '{path}'")
            return cls(Ed25519PrivateKey.from_private_bytes(base64.b64decode(path.read_bytes().strip(), validate=True)))
        except OSError as error:
            raise ConfigurationError(f"store.audit_key = '{path}' cannot be read or made: {error.strerror}") from error
        except ValueError as error:
            raise ConfigurationError(f"store.audit_key = '{path}' is not a key that Fonoteka made; restore it") from error

    def sign(self, domain: str, head: Head, at: datetime) -> SignedHead:
        """Sign the head of a domain's chain."""
        signature = self.sign_bytes(_message(domain, head, at))
        return SignedHead(domain=domain, head=head, at=at, key=self.public, signature=signature)

    def sign_bytes(self, message: bytes) -> str:
        """Return the signature in base64. A message begins with a line that says what it is."""
        return _encoded(self._private.sign(message))


def key_file(configured: Path | None, objects: Path) -> Path:
    """Return the file of the key: `store.audit_key`, by default beside the folder of objects."""
    return configured or objects.with_name(objects.name + "-audit.key")


def is_genuine(signed: SignedHead) -> bool:
    """Whether the signature of a logged head is of its key."""
    with suppress(InvalidSignature, ValueError):
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(signed.key, validate=True))
        key.verify(base64.b64decode(signed.signature, validate=True), _message(signed.domain, signed.head, signed.at))
        return True
    return False


def _message(domain: str, head: Head, at: datetime) -> bytes:
    """Return the bytes that are signed: lines, so that other programs can check them too."""
    return f"fonoteka audit head 1\n{domain}\n{head.seq}\n{head.hash}\n{milliseconds(at)}\n".encode()


def _make(path: Path) -> None:
    """Write a new key under its name, complete, once: another replica may do the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    create_private(path, base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()) + b"\n")


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
