"""Put a file under a new name, as a hard link or a copy, and check what was written."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from fonoteka.core.errors import ObjectDamaged, StoreError

_BLOCK_BYTES: Final = 1024 * 1024


class Content(NamedTuple):
    """The bytes of a file, as its SHA-256 and its size."""

    sha256: str
    size_bytes: int


def content_of(path: Path, *, from_disk: bool = False) -> Content:
    """Read a file; with `from_disk` not from the memory that holds what was just written.

    Raises ObjectDamaged if the disk cannot read it, and FileNotFoundError.
    """
    digest, size = hashlib.sha256(), 0
    for block in _blocks(path, from_disk=from_disk):
        digest.update(block)
        size += len(block)
    return Content(digest.hexdigest(), size)


def place(source: Path, draft: Path) -> Content:
    """Make `draft` a hard link to `source`, or on another file system a durable copy of it.

    Objects are replaced and deleted, but never written to, so a link keeps the bytes. A copy is
    read again from the disk. Raises ObjectDamaged if the source cannot be read, FileNotFoundError,
    OSError, and StoreError if the disk kept other bytes than were written.
    """
    draft.unlink(missing_ok=True)
    with suppress(OSError):  # another file system, or one without links
        os.link(source, draft, follow_symlinks=False)
        return content_of(draft)
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", buffering=0) as file:
        for block in _blocks(source):
            digest.update(block)
            size += file.write(block)
        os.fsync(file.fileno())
    written = Content(digest.hexdigest(), size)
    if content_of(draft, from_disk=True) != written:
        raise StoreError(f"the disk of '{draft.parent}' does not keep what is written to it: use another one")
    return written


def _blocks(path: Path, *, from_disk: bool = False) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            if from_disk:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while block := file.read(_BLOCK_BYTES):
                yield block
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ObjectDamaged(f"'{path}' cannot be read: {error.strerror}") from error
