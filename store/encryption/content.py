"""Content of objects that is not a plain file: decrypted, or read from a server."""

import os
from collections.abc import Hashable
from io import BufferedReader, RawIOBase
from typing import NamedTuple, Protocol


class ContentStatus(NamedTuple):
    """What changes if the stored bytes change, and the time of their last change (Unix).

    `is_fixed`: reading fails as soon as the stored bytes are others than when they were opened.
    """

    identity: Hashable
    modified_at: float
    is_fixed: bool


class StoredBytes(Protocol):
    """The bytes of an open object, as they are stored."""

    @property
    def size(self) -> int:
        """The number of bytes."""

    @property
    def status(self) -> ContentStatus:
        """The status when it was opened."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Read bytes; fewer at the end. Raises StoreError."""

    def close(self) -> None:
        """Close it."""


class Content(RawIOBase):
    """The base of content that knows its size and status."""

    def __init__(self, size: int, status: ContentStatus) -> None:
        self._size, self._status, self._place = size, status, 0

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self._size

    @property
    def status(self) -> ContentStatus:
        """The status when it was opened."""
        return self._status

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def seekable(self) -> bool:
        """Whether it can be read from any place."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Choose the next byte."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._place = base + offset
        return self._place


class FileBytes:
    """The bytes of an open file."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        found = os.fstat(file.fileno())
        self.size, self.status = found.st_size, _status(found)

    def read_at(self, offset: int, size: int) -> bytes:
        """Read bytes; fewer at the end."""
        return os.pread(self._file.fileno(), size, offset)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def status_of(file: BufferedReader) -> ContentStatus:
    """Return the status of an open object."""
    return file.raw.status if isinstance(file.raw, Content) else _status(os.fstat(file.fileno()))


def _status(found: os.stat_result) -> ContentStatus:
    identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return ContentStatus(identity=identity, modified_at=found.st_mtime, is_fixed=False)
