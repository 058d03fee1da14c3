"""Run `encrypt_existing` or `rotate` and die by SIGKILL at one of its steps.

Usage: `python -m tests.store.killed_rekeying FOLDER encrypt_existing|rotate STEP`. A step is
before a file is synced, exchanged or deleted, and before a commit.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from fonoteka.core.atomic_file import sync_folder
from store import rekeying
from store.database.store import Store
from store.objects import folder
from store.objects.exchange import exchange
from tests.data import seed


class Steps:
    """Counts steps, and dies at one of them; 0: at none."""

    def __init__(self, dies_at: int = 0) -> None:
        self.taken, self._dies_at = 0, dies_at

    def step(self, *_: object) -> None:
        self.taken += 1
        if self.taken == self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            self.step()
            return function(*given, **named)

        return counted

    def install(self, patch: Callable[[object, str, Any], None]) -> None:
        patch(folder, "exchange", self.before(exchange))
        patch(folder, "sync_folder", self.before(sync_folder))
        patch(folder, "_sync", self.before(folder._sync))
        patch(Path, "unlink", self.before(Path.unlink))
        event.listen(Engine, "commit", self.step)

    def remove(self) -> None:
        event.remove(Engine, "commit", self.step)


async def run(place: Path, work: str) -> int:
    """Run the work to its end; return how many recordings could not be read."""
    store = await Store.open(seed.section(place))
    try:
        if work == "rotate":
            return await rekeying.rotate(store, lambda _: None, old_keys_stay_s=0)
        return await rekeying.encrypt_existing(store, lambda _: None)
    finally:
        await store.close()


if __name__ == "__main__":
    Steps(int(sys.argv[3])).install(setattr)
    sys.exit(asyncio.run(run(Path(sys.argv[1]), sys.argv[2])))
