"""The spool: the folder that is the only thing between agent and mixer.

    calls/      one file per call that the store has not yet seen the end of
    recording/  items whose legs Asterisk is writing
    closed/     items with both legs complete, to be mixed
    mixing/     items a mixer holds (by a lock on the item's folder)
    mixed/      items with their encoded file, to be shipped
    rejected/   items set aside, each with its failure.json

An item is a folder; it goes from state to state by one rename, so a crash leaves it in exactly one of them.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

from fonoteka.core.errors import SpoolError


class ItemState(StrEnum):
    """The states of an item, in the order of its way."""

    RECORDING = "recording"
    CLOSED = "closed"
    MIXING = "mixing"
    MIXED = "mixed"
    REJECTED = "rejected"


class Spool:
    """The folders of one spool. `root` must exist or be creatable; Asterisk must be able to write below it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls = root / "calls"
        self._folders = {state: root / state for state in ItemState}

    def prepare(self) -> None:
        """Make the folders and prove they can be written. Raises SpoolError with what to do."""
        try:
            for folder in (self.root, self.calls, *self._folders.values()):
                if not folder.is_dir():
                    folder.mkdir(parents=True, exist_ok=True)
                    folder.chmod(0o2770)  # Asterisk and Fonoteka share it by group; mkdir's mode would yield to the umask
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
        """The folder of one state."""
        return self._folders[state]

    def items(self, state: ItemState) -> list[Path]:
        """The items of a state, oldest first; one that moves on while we look is left out."""
        found = []
        with os.scandir(self.folder(state)) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        found.append((entry.stat().st_mtime_ns, Path(entry.path)))
        return [path for _, path in sorted(found)]

    def move(self, item: Path, state: ItemState) -> Path:
        """Move an item to another state in one step; returns where it is now. Raises FileNotFoundError if another took it."""
        there = self.folder(state) / item.name
        item.rename(there)
        return there


@contextmanager
def held(item: Path) -> Iterator[bool]:
    """Hold an item's folder against other processes while the block runs; yields False if another holds it."""
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
