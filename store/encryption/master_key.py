"""The master key: it wraps the data keys of domains, and is kept apart from the index.

A key service (KMS) takes part by two functions, `wrap` and `unwrap`: see `MasterKey`. Fonoteka has
the key of a file or of the environment only; decision 25 says why.
"""

import base64
import hashlib
import os
import secrets
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fonoteka.core.atomic_file import create_private
from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError, StoreError
from store.encryption.data_key import KEY_BYTES

_NONCE_BYTES: Final = 12
_FILE: Final = "master.key"


class MasterKey(Protocol):
    """A key that wraps data keys: of a file, or in a key service."""

    @property
    def id(self) -> str:
        """Identify the key, without revealing it; at most 64 characters."""

    async def wrap(self, secret: bytes, associated: bytes) -> bytes:
        """Encrypt a data key; `associated` is authenticated with it."""

    async def unwrap(self, wrapped: bytes, associated: bytes) -> bytes:
        """Decrypt a data key. Raises StoreError."""


class LocalMasterKey:
    """A master key of 256 bits in the memory of this process."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes")
        self._cipher, self._secret = AESGCM(secret), secret
        self.id = hashlib.sha256(b"fonoteka master key\0" + secret).hexdigest()[:16]

    @classmethod
    def generate(cls) -> "LocalMasterKey":
        """Return a new key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> "LocalMasterKey":
        """Return the key of a text as `text` returns it. Raises ValueError."""
        return cls(base64.b64decode(text.strip(), validate=True))

    @property
    def text(self) -> str:
        """The key itself, in base64, as it is in the file."""
        return base64.b64encode(self._secret).decode()

    async def wrap(self, secret: bytes, associated: bytes) -> bytes:
        """Encrypt a data key."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, associated)

    async def unwrap(self, wrapped: bytes, associated: bytes) -> bytes:
        """Decrypt a data key. Raises StoreError."""
        try:
            return self._cipher.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], associated)
        except InvalidTag as error:
            raise StoreError("a key of the index does not fit the master key") from error


class MasterKeySource:
    """Where the master key is: the setting `store.master_key`, else a file."""

    def __init__(self, section: StoreSection, objects: Path) -> None:
        self._text = section.master_key.get_secret_value() if section.master_key is not None else None
        self.file = section.master_key_file or objects.with_name(_FILE)

    @property
    def is_file(self) -> bool:
        """Whether the key is in a file."""
        return self._text is None

    def __str__(self) -> str:
        return f"store.master_key_file = '{self.file}'" if self.is_file else "store.master_key"

    def load(self, wanted_id: str) -> LocalMasterKey:
        """Return the key with an id. Raises ConfigurationError if it is missing or another one.

        A rotation that was killed may have left the new key in its draft: it is put into place.
        """
        key = self._read(self.file)
        if key is not None and key.id == wanted_id:
            return key
        if self.is_file and (new := self._read(self.draft)) is not None and new.id == wanted_id:
            self.publish_draft()
            return new
        problem = f"is another key ({key.id})" if key is not None else "is missing"
        raise ConfigurationError(
            f"{self} {problem}; the recordings are encrypted under master key {wanted_id}: restore it from its backup"
        )

    def load_or_make(self) -> LocalMasterKey:
        """Return the key; make its file if there is none. Raises ConfigurationError."""
        if (key := self._read(self.file)) is None:
            self._write(self.file, LocalMasterKey.generate())
            key = self._read(self.file)
        assert key is not None
        return key

    @property
    def draft(self) -> Path:
        """The file of a new key until it is in use."""
        return self.file.with_name(f"{self.file.name}.new")

    def make_draft(self) -> LocalMasterKey:
        """Return the key of the draft; make it if there is none. Raises ConfigurationError."""
        if not self.is_file:
            raise ConfigurationError("store.master_key cannot be replaced here: put the key into store.master_key_file first")
        if (key := self._read(self.draft)) is None:
            self._write(self.draft, LocalMasterKey.generate())
            key = self._read(self.draft)
        assert key is not None
        return key

    def publish_draft(self) -> None:
        """Replace the key's file by the draft. Raises ConfigurationError."""
        try:
            self.draft.replace(self.file)
        except OSError as error:
            raise ConfigurationError(f"{self} cannot be replaced: {error.strerror}") from error

    def _read(self, path: Path) -> LocalMasterKey | None:
        try:
            if self._text is not None:
                return LocalMasterKey.parse(self._text)
            if path.stat().st_mode & 0o077:
                raise ConfigurationError(f"store.master_key_file = '{path}' can be read by other users; run: chmod 600 '{path}'")
            return LocalMasterKey.parse(path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(f"store.master_key_file = '{path}' cannot be read: {error.strerror}") from error
        except ValueError as error:  # of base64, of ASCII or of the length: never with the content
            where = self if self._text is not None else f"store.master_key_file = '{path}'"
            raise ConfigurationError(f"{where} is not a master key: {KEY_BYTES} bytes in base64") from error

    def _write(self, path: Path, key: LocalMasterKey) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            create_private(path, f"{key.text}\n".encode())
        except OSError as error:
            raise ConfigurationError(f"store.master_key_file = '{path}' cannot be made: {error.strerror}") from error
