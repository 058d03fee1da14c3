"""The layout of an evidence package: a ZIP in which every byte follows from its files. Pure.

Files are stored without compression, names are ASCII, times are 1980-01-01, and nothing is between
the files or after the end (APPNOTE.TXT 6.3.10, 4.3). So the reader can compare every byte, and a
package cannot hide or unpack anything.
"""

import re
import struct
from dataclasses import dataclass
from typing import Final

from fonoteka.core.errors import EvidenceRefused

LOCAL_SIZE: Final = 30
MOST_BYTES: Final = 2**32 - 2  # beyond, a ZIP has another layout
MOST_FILES: Final = 1100  # a call has at most 1000 segments
_LOCAL: Final = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL: Final = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END: Final = struct.Struct("<4sHHHHIIH")
_LOCAL_MAGIC: Final = b"PK\x03\x04"
_CENTRAL_MAGIC: Final = b"PK\x01\x02"
_VERSION: Final = 20
_MADE_BY: Final = 3 << 8 | _VERSION  # Unix
_DATE: Final = 1 << 5 | 1  # 1980-01-01
_MODE: Final = 0o100600 << 16
_NAME: Final = re.compile(r"(audio/)?[A-Za-z0-9_-][A-Za-z0-9_.-]{0,150}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A file of the package: its name, CRC-32 and size."""

    name: str
    crc: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Announced:
    """What a header announces, before the content is read."""

    name_size: int
    size: int


def local_header(member: Member) -> bytes:
    """Return the header before the content of a file."""
    name = member.name.encode("ascii")
    head = _LOCAL.pack(_LOCAL_MAGIC, _VERSION, 0, 0, 0, _DATE, member.crc, member.size, member.size, len(name), 0)
    return head + name


def directory(members: list[Member]) -> bytes:
    """Return everything after the content of the last file."""
    entries, offset = b"", 0
    for member in members:
        name = member.name.encode("ascii")
        versions = (_MADE_BY, _VERSION)
        sizes = (member.crc, member.size, member.size, len(name))
        entries += _CENTRAL.pack(_CENTRAL_MAGIC, *versions, 0, 0, 0, _DATE, *sizes, 0, 0, 0, 0, _MODE, offset) + name
        offset += LOCAL_SIZE + len(name) + member.size
    return entries + _END.pack(b"PK\x05\x06", 0, 0, len(members), len(members), len(entries), offset, 0)


def is_directory(head: bytes) -> bool:
    """Whether the directory begins here."""
    return head.startswith(_CENTRAL_MAGIC)


def announced(head: bytes, place: int) -> Announced:
    """Read a header. Raises EvidenceRefused for what a package never has."""
    if len(head) < LOCAL_SIZE or not head.startswith(_LOCAL_MAGIC):
        raise EvidenceRefused(
            f"byte {place}: no file begins here, and no directory: this is no evidence package, or it was altered"
        )
    _, _, flags, method, _, _, _, packed, size, name_size, extra_size = _LOCAL.unpack(head)
    if flags & 1:
        raise EvidenceRefused(f"byte {place}: an encrypted file; an evidence package has none")
    if method != 0 or packed != size:
        raise EvidenceRefused(f"byte {place}: a compressed file; an evidence package has none, so nothing is unpacked")
    if flags or extra_size:
        raise EvidenceRefused(f"byte {place}: fields that an evidence package does not have")
    return Announced(name_size=name_size, size=size)


def checked_name(content: bytes, place: int, before: list[Member]) -> str:
    """Return the name of a file. Raises EvidenceRefused for a name that a package never has."""
    name = content.decode("ascii", errors="replace")
    if not _NAME.fullmatch(name):
        raise EvidenceRefused(f"byte {place}: a file with the name {name!r}; an evidence package has no such names")
    if any(member.name == name for member in before):
        raise EvidenceRefused(f"byte {place}: a second file with the name {name!r}")
    return name
