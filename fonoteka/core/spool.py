"""The spool: the folder that is the only thing between agent and mixer.

    calls/      one file per call whose end the store has not received
    recording/  items whose legs Asterisk is writing
    closed/     items with both legs complete, to be mixed
    mixing/     items that a mixer holds (by a lock on the manifest)
    mixed/      items with their encoded file, to be shipped
    rejected/   items that were set aside, each with its failure.json
    refused/    reports of calls that the store refused for good, each with the reason
    identity    what distinguishes this spool from others (agent/recording/pbx_claim.py)
    agent       the lock of the agent that works on the spool (spool_lock.py)

An item is a recording folder. One rename moves it from state to state, so a crash leaves it in
exactly one state.
"""

import fcntl
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

from fonoteka.core.atomic_file import write_atomically
from fonoteka.core.errors import SpoolError
from fonoteka.core.manifest import MANIFEST_FILE
from fonoteka.core.plain_file import open_plain, read_plain
from fonoteka.core.spool_lock import FILE, Holder, SpoolLock, locked

_SHARED: Final = 0o2770
SPOOL_LOCK: Final = "FONOTEKA_SPOOL_LOCK"  # the descriptor of the lock that `up` passes on
# After a SIGKILL of `up`, its agent still holds the lock while it ends.
PATIENCE_S: Final = 5.0
_TOKEN: Final = re.compile(r"[0-9a-f]{16}")


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
        self.refused = root / "refused"
        self.lock_file = root / FILE
        self._folders = {state: root / state for state in ItemState}

    def prepare(self) -> None:
        """Make the folders and check that they are writable. Raises SpoolError with advice."""
        with self._writing():
            for folder in (self.root, self.calls, self.refused, *self._folders.values()):
                _make(folder)
            probe = self.root / f".probe-{secrets.token_hex(8)}"  # several containers may have the same pid
            probe.write_bytes(b"")
            probe.rename(probe.with_suffix(".moved"))
            probe.with_suffix(".moved").unlink()

    @contextmanager
    def alone(self, inherited: int | None = None, *, patience_s: float = PATIENCE_S) -> Iterator[SpoolLock]:
        """Hold the spool's lock while the block runs: one agent may use a spool.

        A child may inherit the lock's descriptor; it then holds the same lock, with `inherited`.
        Raises SpoolError if another process holds the lock.
        """
        with self._writing():
            _make(self.root)
        lock = SpoolLock.inherit(self.lock_file, inherited) if inherited is not None else None
        if lock is None:
            lock = self._take(patience_s)
        try:
            yield lock
        finally:
            lock.close()

    def _take(self, patience_s: float) -> SpoolLock:
        deadline = time.monotonic() + patience_s
        while True:
            with self._writing():
                lock = SpoolLock.take(self.lock_file)
            if lock is not None:
                return lock
            if time.monotonic() > deadline:
                raise SpoolError(
                    f"pbx.spool = {str(self.root)!r} is in use by {Holder.of(self.lock_file)}: "
                    "only one `fonoteka up` or `fonoteka agent` may use a spool"
                )
            time.sleep(0.1)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SpoolError(
                f"pbx.spool = {str(self.root)!r} cannot be written: {error.strerror}; "
                f"create the folder and give it to the user that runs Fonoteka (uid {os.getuid()})"
            ) from error

    def identity(self, *, make: bool = False) -> str:
        """Return what distinguishes this spool from every other, and from a copy of it.

        A file of the spool keeps it. Without the file it is made, if `make` is set, else empty; on
        a full disk it is that of this process alone.
        """
        path = self.root / "identity"
        try:
            token = read_plain(path).decode("ascii")
        except (OSError, ValueError):
            token = ""
        if not _TOKEN.fullmatch(token):
            if not make:
                return ""
            token = secrets.token_hex(8)
            with suppress(OSError):
                write_atomically(path, token.encode(), sync=True)
        return f"{token}-{self.root.stat().st_ino}"

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


def inherited_lock() -> int | None:
    """Return the descriptor of the lock that `fonoteka up` passed to this process, if it did."""
    return int(os.environ[SPOOL_LOCK]) if SPOOL_LOCK in os.environ else None


def _make(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        share_with_group(folder)


@contextmanager
def held(item: Path) -> Iterator[bool]:
    """Lock an item while the block runs; yields False if another process holds the lock.

    The manifest is locked: over NFS a folder cannot be, and a mixer of another machine would not
    see the lock. An item without one, which is set aside, has the lock of its folder. Raises
    FileNotFoundError if the item is gone.
    """
    with ExitStack() as opened:
        try:
            manifest = opened.enter_context(open_plain(item / MANIFEST_FILE, writable=True))
            is_ours = locked(manifest.fileno())
        except OSError:
            folder = os.open(item, os.O_RDONLY | os.O_DIRECTORY)
            opened.callback(os.close, folder)
            is_ours = _folder_locked(folder)
        yield is_ours


def _folder_locked(descriptor: int) -> bool:
    """Lock an open folder; return False if another process of this machine holds the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
