"""All calls of a selection in batches, without a connection between two batches.

A single query would prevent SQLite's checkpoints and PostgreSQL's vacuum while a slow client
downloads.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

from store.database.store import Store
from store.queries.calls import SeenCall, calls_after
from store.selection.scope import Scope
from store.selection.selection import Selection, Sort

STRETCH: Final = 500


async def all_calls(
    store: Store, scope: Scope, selection: Selection, *, sort: Sort, now: datetime, stretch: int = STRETCH
) -> AsyncIterator[tuple[SeenCall, ...]]:
    """Yield the calls of a selection in batches of `stretch`, without gaps and repeats.

    Calls in progress last until `now`. Raises StoreError.
    """
    after = None
    while True:
        seen, after = await calls_after(store, scope, selection, sort=sort, after=after, limit=stretch, now=now)
        if seen:
            yield seen
        if after is None:
            return
