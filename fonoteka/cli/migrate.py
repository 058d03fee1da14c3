"""`fonoteka migrate`: move the index from SQLite to PostgreSQL."""

import time
from typing import TYPE_CHECKING, Final

from fonoteka.core.config import Configuration

if TYPE_CHECKING:
    from store.transfer.index import Progress

_LINE_EVERY_S: Final = 1.0


async def migrated(configuration: Configuration, to: str, *, finish: bool) -> None:
    """Copy the index to another database; with `finish` end the move.

    Raises ConfigurationError and StoreError.
    """
    from store.database.dialect import address_of
    from store.database.store import Store
    from store.transfer import index

    source = await Store.open(configuration.store, moves=True)
    try:
        target = await Store.open(configuration.store.model_copy(update={"database": to}), moves=True)
        try:
            await (index.finish if finish else index.copy)(source, target, _Printer())
            address = address_of(target.engine)
        finally:
            await target.close()
    finally:
        await source.close()
    if finish:
        print(f"the index is moved: set store.database to {address} and restart the API")
    else:
        print("the index is copied; calls that come in are copied by the last step: fonoteka migrate --finish")


class _Printer:
    """Prints progress: a line a second, and the last one of a table."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, progress: "Progress") -> None:
        ended = progress.done == progress.total
        if not ended and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LINE_EVERY_S
        compared = f", the same in both: sha256 {progress.sha256}" if progress.sha256 else ""
        removed = f", {progress.removed} removed" if progress.removed else ""
        print(
            f"{progress.table}: {progress.done} of {progress.total} rows, {progress.written} written{removed}{compared}", flush=True
        )
