"""`fonoteka migrate`: bring the index to this version, or move it from SQLite to PostgreSQL."""

from typing import TYPE_CHECKING

from fonoteka.cli.progress_bar import progress_bar
from fonoteka.core.config import Configuration

if TYPE_CHECKING:
    from store.transfer.index import Progress


async def upgraded(configuration: Configuration) -> str:
    """Run the migrations that are missing, and return a line. Raises ConfigurationError.

    The parts do it at their start too; here it is a step of its own, before they start.
    """
    from store.database.dialect import address_of
    from store.database.store import Store

    store = await Store.open(configuration.store)
    try:
        return f"the index has the schema of this version: {address_of(store.engine)}"
    finally:
        await store.close()


async def migrated(configuration: Configuration, to: str, *, finish: bool) -> None:
    """Copy the index to another database; with `finish` end the move.

    Prints a line for each table. Raises ConfigurationError and StoreError.
    """
    from store.database.dialect import address_of
    from store.database.store import Store
    from store.transfer import index

    source = await Store.open(configuration.store, moves=True)
    try:
        target = await Store.open(configuration.store.model_copy(update={"database": to}), moves=True)
        try:
            with progress_bar("rows") as show:

                def report(progress: "Progress") -> None:
                    show(progress.done, progress.total)
                    if progress.ended:
                        print(_line(progress), flush=True)

                await (index.finish if finish else index.copy)(source, target, report)
            address = address_of(target.engine)
        finally:
            await target.close()
    finally:
        await source.close()
    if finish:
        print(f"the index is moved: set store.database to {address} and restart the API")
    else:
        print("the index is copied; what comes in from now on is copied by the last step, the same command with --finish")


def _line(progress: "Progress") -> str:
    removed = f", {progress.removed} removed" if progress.removed else ""
    compared = f"; the same in both, SHA-256 {progress.sha256}" if progress.sha256 else ""
    return f"{progress.table}: {progress.total} rows, {progress.written} of them written{removed}{compared}"
