"""Claim recording folders with a lock on the folder and a rename, among any number of mixers."""

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from fonoteka.core.manifest import Failure, Mixed, write_failure, write_mixed
from fonoteka.core.spool import ItemState, Spool, held


class Backlog:
    """The closed recordings, oldest first. `closed/` is listed again when the list is used up."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._waiting: deque[Path] = deque()

    @contextmanager
    def claimed(self) -> Iterator[Path | None]:
        """Claim the next recording folder: in `mixing/` and locked while the block runs.

        Yields None if no recording is waiting.
        """
        with ExitStack() as lock:
            yield self._next(lock)

    def _next(self, lock: ExitStack) -> Path | None:
        self._waiting = self._waiting or deque(self._spool.items(ItemState.CLOSED))
        while self._waiting:
            closed = self._waiting.popleft()
            with suppress(FileNotFoundError):  # another mixer claimed it
                if lock.enter_context(held(closed)):
                    return self._spool.move(closed, ItemState.MIXING)
        return None


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
