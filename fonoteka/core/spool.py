"""The spool: the folder that is the only thing between agent and mixer.

    calls/      one file per call whose end the store has not received
    recording/  items whose legs Asterisk is writing
    closed/     items with both legs complete, to be mixed
    mixing/     items that a mixer holds (by a lock on the folder)
    mixed/      items with their encoded file, to be shipped
    rejected/   items that were set aside, each with its failure.json

An item is a recording folder. One rename moves it from state to state, so a crash leaves it in
exactly one state.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

from fonoteka.core.errors import SpoolError

_SHARED: Final = 0o2770


class ItemState(StrEnum):
    """The states of an item, in order."""

    RECORDING = "recording"
    CLOSED = "closed"
    MIXING = "mixing"
    MIXED = "mixed"
    REJECTED = "rejected"


def share_with_group(folder: Path) -> None:
    """Let the group of the spool, which includes Asterisk, write in a new folder.

    The umask may have reduced mkdir's mode. Nothing is set that the folder has: it inherits the
    set-group-ID bit, and RestrictSUIDSGID of systemd forbids to set the bit.
    """
    if stat.S_IMODE(folder.stat().st_mode) != _SHARED:
        folder.chmod(_SHARED)


class Spool:
    """The folders of one spool. Asterisk must be able to write below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls = root / "calls"
        self._folders = {state: root / state for state in ItemState}

    def prepare(self) -> None:
        """Make the folders and check that they are writable. Raises SpoolError with advice."""
        try:
            for folder in (self.root, self.calls, *self._folders.values()):
                if not folder.is_dir():
                    folder.mkdir(parents=True, exist_ok=True)
                    share_with_group(folder)
            probe = self.root / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.rename(probe.with_suffix(".moved"))
            probe.with_suffix(".moved").unlink()
        except OSError as error:
            raise SpoolError(
                f"pbx.spool = {str(self.root)!r} cannot be written: {error.strerror}; "
                f"create the folder and give it to the user that runs Fonoteka (uid {os.getuid()})"
            ) from error

    def folder(self, state: ItemState) -> Path:
        """Return the folder of one state."""
        return self._folders[state]

    def items(self, state: ItemState) -> list[Path]:
        """Return the items of a state, oldest first; an item that moves meanwhile is left out."""
        found = []
        with os.scandir(self.folder(state)) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        found.append((entry.stat().st_mtime_ns, Path(entry.path)))
        return [path for _, path in sorted(found)]

    def move(self, item: Path, state: ItemState) -> Path:
        """Move an item to another state and return its new path.

        Raises FileNotFoundError if another process moved it before.
        """
        there = self.folder(state) / item.name
        item.rename(there)
        return there


@contextmanager
def held(item: Path) -> Iterator[bool]:
    """Lock an item while the block runs; yields False if another process holds the lock."""
    descriptor = os.open(item, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
