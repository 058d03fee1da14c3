"""Claim recording folders with a lock and a rename, among any number of mixers."""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from fonoteka.core.manifest import Failure, Mixed, write_failure, write_mixed
from fonoteka.core.spool import ItemState, Spool, held

# Ten minutes at 8 kHz. A longer recording takes a worker more than a second.
_LONG_LEG_BYTES: Final = 10 * 60 * 16_000


class Backlog:
    """The closed recordings, oldest first: the long ones, or the others.

    `closed/` is listed again when the list is used up.
    """

    def __init__(self, spool: Spool, *, long: bool) -> None:
        self._spool, self._long = spool, long
        self._waiting: deque[Path] = deque()

    @contextmanager
    def claimed(self) -> Iterator[Path | None]:
        """Claim the next recording folder: in `mixing/` and locked while the block runs.

        Yields None if no recording is waiting.
        """
        with ExitStack() as lock:
            yield self._next(lock)

    def _next(self, lock: ExitStack) -> Path | None:
        if not self._waiting:
            self._waiting.extend(item for item in self._spool.items(ItemState.CLOSED) if _is_long(item) is self._long)
        while self._waiting:
            closed = self._waiting.popleft()
            with suppress(FileNotFoundError):  # another mixer claimed it
                if lock.enter_context(held(closed)):
                    return self._spool.move(closed, ItemState.MIXING)
        return None


def _is_long(item: Path) -> bool:
    """Return whether a leg of a recording is long; a folder that is gone has none."""
    with suppress(FileNotFoundError), os.scandir(item) as entries:
        return any(entry.stat(follow_symlinks=False).st_size > _LONG_LEG_BYTES for entry in entries)
    return False


def reclaim_orphans(spool: Spool) -> list[str]:
    """Return recordings to `closed/` whose mixer died, that is, whose lock is free.

    Returns the names of their folders.
    """
    orphans = []
    for folder in spool.items(ItemState.MIXING):
        with suppress(FileNotFoundError), held(folder) as orphaned:
            if orphaned:
                spool.move(folder, ItemState.CLOSED)
                orphans.append(folder.name)
    return orphans


def publish(spool: Spool, folder: Path, mixed: Mixed) -> None:
    """Write `mixed.json` and move the folder to `mixed/`. Everything is on the disk before that."""
    write_mixed(folder, mixed)
    spool.move(folder, ItemState.MIXED)


def set_aside(spool: Spool, folder: Path, failure: Failure) -> None:
    """Write `failure.json` and move the folder to `rejected/`; the legs stay for an operator."""
    write_failure(folder, failure)
    spool.move(folder, ItemState.REJECTED)
