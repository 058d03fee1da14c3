"""The work of a child process that is killed: a module of its own, as the child imports it."""

from datetime import datetime
from unittest.mock import patch

from store.database.store import Store
from store.retention import due
from store.retention.run import delete_due

NOW = datetime.fromisoformat("2026-11-22T17:00:00Z")


async def retain(store: Store) -> None:
    """Delete what is due, two recordings or calls at a time."""
    with patch.object(due, "SEGMENTS_AT_A_TIME", 2), patch.object(due, "CALLS_AT_A_TIME", 2):
        await delete_due(store, NOW, rest=no_rest)


async def no_rest(_: float) -> None:
    """Go on at once."""
