"""Who mixes which item: a lock on the item's folder, then a rename. Any number of mixers agree by it."""

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from fonoteka.core.manifest import Failure, Mixed, write_failure, write_mixed
from fonoteka.core.spool import ItemState, Spool, held


class Backlog:
    """The closed items, oldest first; the folder is read again only when all that were seen are gone through."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._seen: deque[Path] = deque()

    @contextmanager
    def claimed(self) -> Iterator[Path | None]:
        """Take the next item: in `mixing/` and ours while the block runs. None if there is none to take."""
        with ExitStack() as hold:
            yield self._next(hold)

    def _next(self, hold: ExitStack) -> Path | None:
        self._seen = self._seen or deque(self._spool.items(ItemState.CLOSED))
        while self._seen:
            closed = self._seen.popleft()
            with suppress(FileNotFoundError):  # another mixer was quicker
                if hold.enter_context(held(closed)):
                    return self._spool.move(closed, ItemState.MIXING)
        return None


def take_back_orphans(spool: Spool) -> list[str]:
    """Return to `closed/` what a mixer that died had claimed, told by its lock being free. Gives the items' names."""
    orphans = []
    for item in spool.items(ItemState.MIXING):
        with suppress(FileNotFoundError), held(item) as orphaned:
            if orphaned:
                spool.move(item, ItemState.CLOSED)
                orphans.append(item.name)
    return orphans


def publish(spool: Spool, item: Path, mixed: Mixed) -> None:
    """Say what was made of an item and hand it on to be shipped; all of it is on the disk before the rename."""
    write_mixed(item, mixed)
    spool.move(item, ItemState.MIXED)


def set_aside(spool: Spool, item: Path, failure: Failure) -> None:
    """Say why nothing came of an item; its legs stay for a human to look at."""
    write_failure(item, failure)
    spool.move(item, ItemState.REJECTED)
