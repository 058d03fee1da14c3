"""The lock of a spool: the file `agent`, whose maker works on the spool and keeps it locked.

A free lock shows that this process has ended, if it ran on the kernel that asks: locks of network
file systems may expire before. An agent that takes the spool over from a process that seems to live
replaces the file (docs/decisions/0044-standby.md). The other one finds it replaced as soon as it
runs again, and does nothing more.
"""

import fcntl
import os
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from uuid import uuid4

from fonoteka.core.errors import SpoolTaken
from fonoteka.core.plain_file import read_plain

FILE: Final = "agent"
LOOK_EVERY_S: Final = 0.5
_MODE: Final = 0o660
# The owner is the open file, as with flock(); over NFS, flock() of two kernels may not conflict.
_WHOLE_FILE: Final = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def locked(descriptor: int) -> bool:
    """Lock a file, open for writing, until it is closed. Returns False if another has the lock."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _WHOLE_FILE)
    except (BlockingIOError, PermissionError):
        return False
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """The process that made a lock, as its file names it; empty if it names none."""

    kernel: str = ""
    host: str = ""
    pid: int = 0

    @classmethod
    def own(cls) -> Self:
        """Return this process."""
        kernel = ""
        with suppress(OSError):
            kernel = _BOOT_ID.read_text(encoding="ascii").strip()
        return cls(kernel=kernel, host=socket.gethostname(), pid=os.getpid())

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read the file of a lock."""
        with suppress(OSError, ValueError):
            kernel, pid, host = read_plain(path).decode().split(" ", 2)
            return cls(kernel=kernel, host=host, pid=int(pid))
        return cls()

    @property
    def is_here(self) -> bool:
        """Whether it ran on this kernel, or never did: then a free lock shows that it has ended."""
        return not self.pid or self.kernel == Holder.own().kernel

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        return f"process {self.pid}" + ("" if self.is_here else f" on {self.host}")

    def write(self, descriptor: int) -> None:
        """Write the file of a lock; a full disk costs only the name."""
        with suppress(OSError):
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{self.kernel} {self.pid} {self.host}".encode(), 0)


class SpoolLock:
    """The lock that this process holds, until another process takes the spool over."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self.descriptor = path, descriptor
        self._replaced = False
        self._looked_at = time.monotonic()

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Take a free lock; None if another process holds it. Raises OSError."""
        while True:
            descriptor = _opened(path, os.O_CREAT)
            if not locked(descriptor):
                os.close(descriptor)
                return None
            if _is_same(path, descriptor):
                Holder.own().write(descriptor)
                return cls(path, descriptor)
            os.close(descriptor)  # replaced since it was opened

    @classmethod
    def replace(cls, path: Path) -> Self:
        """Take the lock, whoever holds it. Raises OSError."""
        draft = path.with_name(f".{path.name}.{uuid4().hex}")
        descriptor = _opened(draft, os.O_CREAT | os.O_EXCL)
        try:
            locked(descriptor)
            Holder.own().write(descriptor)
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    @classmethod
    def inherit(cls, path: Path, descriptor: int) -> Self | None:
        """Return the lock that a parent has passed on; None if the descriptor is none of it."""
        try:
            return cls(path, os.dup(descriptor)) if _is_same(path, descriptor) and locked(descriptor) else None
        except OSError:  # no such descriptor
            return None

    def is_held(self) -> bool:
        """Return whether no other process has taken the spool over, as of LOOK_EVERY_S ago.

        A process that stood still looks at once. A file that cannot be read changes nothing.
        """
        now = time.monotonic()
        if not self._replaced and now - self._looked_at > LOOK_EVERY_S:
            with suppress(OSError):
                self._replaced = not _is_same(self._path, self.descriptor)
            self._looked_at = now
        return not self._replaced

    def check(self) -> None:
        """Raise SpoolTaken if another process has taken the spool over."""
        if not self.is_held():
            raise SpoolTaken(f"pbx.spool = {str(self._path.parent)!r}: {Holder.of(self._path)} has taken over from this agent")

    def close(self) -> None:
        """Release the lock."""
        os.close(self.descriptor)


def _opened(path: Path, flags: int) -> int:
    return os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, _MODE)


def _is_same(path: Path, descriptor: int) -> bool:
    """Return whether a file is still the one of its path, as the server of the files has it.

    A file that was removed and not replaced counts as the same.
    """
    try:
        there = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)  # NFS asks its server when a file is opened
    except FileNotFoundError:
        return True
    try:
        return os.path.samestat(os.fstat(there), os.fstat(descriptor))
    finally:
        os.close(there)
