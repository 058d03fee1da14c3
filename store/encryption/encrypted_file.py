"""The format of encrypted objects: a header, then chunks of AES-256-GCM.

    header   magic and format (8 bytes), domain and version of its key (8 and 4), salt (16)
    chunk    64 KiB of plain content, the last one less or nothing; then the tag (16 bytes)

Each object has a key of its own: HKDF-SHA256 of the data key, the salt and the object's name. The
nonce of a chunk is its number and whether it is the last one; the header is authenticated with each
chunk. So a chunk is refused elsewhere than at its place, in another object or under another name,
and a file that was cut is refused at its new end. A range is read by the chunks that it touches.
The construction is STREAM (Hoang et al., 2015).
"""

import os
import struct
from io import BufferedReader
from typing import BinaryIO, Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fonoteka.core.errors import ObjectDamaged
from store.encryption.content import Content, StoredBytes
from store.encryption.data_key import KEY_BYTES, DataKey

CHUNK_BYTES: Final = 64 * 1024
_TAG_BYTES: Final = 16
_SALT_BYTES: Final = 16
_SEALED_BYTES: Final = CHUNK_BYTES + _TAG_BYTES
_MAGIC: Final = b"FNTKENC\x01"  # the last byte is the version of the format
_HEADER: Final = struct.Struct(f">8sQI{_SALT_BYTES}s")
_NONCE: Final = struct.Struct(">3xQ?")
_PURPOSE: Final = b"fonoteka object 1\0"
HEADER_BYTES: Final = _HEADER.size


class Header(NamedTuple):
    """The beginning of an encrypted object."""

    domain_id: int
    version: int
    salt: bytes
    content: bytes

    def is_under(self, key: DataKey) -> bool:
        """Whether the object is encrypted under this version of a domain's key."""
        return (self.domain_id, self.version) == (key.domain_id, key.version)


def parse_header(beginning: bytes) -> Header | None:
    """Return the header of an encrypted object; None for a plain one, which begins otherwise."""
    if not beginning.startswith(_MAGIC) or len(beginning) < HEADER_BYTES:
        return None
    content = beginning[:HEADER_BYTES]
    _, domain_id, version, salt = _HEADER.unpack(content)
    return Header(domain_id=domain_id, version=version, salt=salt, content=content)


class EncryptingWriter:
    """Encrypts what is written into a file. `finish` writes the last chunk."""

    def __init__(self, file: BinaryIO, key: DataKey, name: str) -> None:
        salt = os.urandom(_SALT_BYTES)
        self._header = _HEADER.pack(_MAGIC, key.domain_id, key.version, salt)
        self._cipher, self._file = _cipher(key, salt, name), file
        self._plain, self._number = bytearray(), 0
        file.write(self._header)

    def write(self, content: bytes) -> None:
        """Encrypt content; up to a chunk is held back, as it may be the last one."""
        self._plain += content
        while len(self._plain) > CHUNK_BYTES:
            self._seal(bytes(self._plain[:CHUNK_BYTES]), is_last=False)
            del self._plain[:CHUNK_BYTES]

    def finish(self) -> None:
        """Write the last chunk."""
        self._seal(bytes(self._plain), is_last=True)

    def _seal(self, content: bytes, *, is_last: bool) -> None:
        self._file.write(self._cipher.encrypt(_NONCE.pack(self._number, is_last), content, self._header))
        self._number += 1


class _DecryptedContent(Content):
    """The plain content of an encrypted object; decrypts the chunks that are read."""

    def __init__(self, stored: StoredBytes, header: Header, key: DataKey, name: str) -> None:
        self._stored, self._header, self._name = stored, header.content, name
        self._cipher = _cipher(key, header.salt, name)
        sealed = stored.size - HEADER_BYTES
        self._chunks = -(-sealed // _SEALED_BYTES)
        super().__init__(sealed - self._chunks * _TAG_BYTES, stored.status)
        if self._chunks == 0 or self._size <= (self._chunks - 1) * CHUNK_BYTES - (self._chunks == 1):
            raise ObjectDamaged(f"object {name} was cut: its last chunk is not complete")
        self._has_end = False
        self._read_number, self._read = -1, bytearray()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read at most to the end of a chunk. Raises ObjectDamaged."""
        if self._place >= self._size:
            if not self._has_end:  # a file that was cut must not look like a shorter one
                self._chunk(self._chunks - 1)
            return 0
        number, start = divmod(self._place, CHUNK_BYTES)
        size = min(CHUNK_BYTES, self._size - number * CHUNK_BYTES) - start
        if start == 0 and len(buffer) >= size:
            self._decrypt(number, memoryview(buffer)[:size])
        else:
            size = min(size, len(buffer))
            buffer[:size] = memoryview(self._chunk(number))[start : start + size]
        self._place += size
        return size

    def close(self) -> None:
        self._stored.close()
        super().close()

    def _chunk(self, number: int) -> bytearray:
        """Return a chunk, which is kept for the next read."""
        if number != self._read_number:
            content = bytearray(min(CHUNK_BYTES, self._size - number * CHUNK_BYTES))
            self._decrypt(number, content)
            self._read_number, self._read = number, content
        return self._read

    def _decrypt(self, number: int, target: bytearray | memoryview) -> None:
        sealed = self._stored.read_at(HEADER_BYTES + number * _SEALED_BYTES, len(target) + _TAG_BYTES)
        is_last = number == self._chunks - 1
        try:
            self._cipher.decrypt_into(_NONCE.pack(number, is_last), sealed, self._header, target)
        except (InvalidTag, ValueError) as error:  # ValueError: the file was cut since it was opened
            raise ObjectDamaged(f"object {self._name} was altered: chunk {number} does not fit") from error
        self._has_end |= is_last


def decrypted(stored: StoredBytes, header: Header, key: DataKey, name: str) -> BufferedReader:
    """Return the plain content of an open encrypted object, which is closed with it.

    `name` is the name under which it was encrypted. Raises ObjectDamaged, also when it is read.
    """
    return BufferedReader(_DecryptedContent(stored, header, key, name), CHUNK_BYTES)


def is_decrypted(file: BufferedReader) -> bool:
    """Whether an open file is one that `decrypted` returned."""
    return isinstance(file.raw, _DecryptedContent)


def _cipher(key: DataKey, salt: bytes, name: str) -> AESGCM:
    derivation = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=_PURPOSE + name.encode())
    return AESGCM(derivation.derive(key.secret))
