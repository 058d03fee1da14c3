"""Read files of the spool, in which Asterisk and its group write too: regular files alone.

A FIFO would hold the reader for ever, opening a device may do something, and a link leads
elsewhere.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

MOST_BYTES: Final = 16 * 1024**2  # of a document; the largest real one has a tenth of that
_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class NotAFile(OSError):
    """Something else than a regular file is under the name of a file."""


def open_plain(path: Path, *, writable: bool = False) -> BinaryIO:
    """Open a regular file for reading, or for both. Raises NotAFile, and OSError."""
    _require_regular(path, path.lstat())  # before it is opened
    descriptor = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _require_regular(path, os.fstat(descriptor))  # it may have been replaced meanwhile
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "r+b" if writable else "rb")


def read_plain(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the content of a regular file. Raises NotAFile, and OSError; also if it is larger."""
    with open_plain(path) as file:
        size_bytes = os.fstat(file.fileno()).st_size  # read() allocates as much as it may return
        if size_bytes > most_bytes:
            raise OSError(f"{path.name} has more than {most_bytes} bytes")
        return file.read(size_bytes)


def _require_regular(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotAFile(f"{path.name} is {_KINDS.get(stat.S_IFMT(found.st_mode), 'no file')}, not a file")
