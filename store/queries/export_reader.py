"""A whole selection, however long, in stretches: no list of it is ever held, and no connection between two stretches.

One long query would keep SQLite's write-ahead log from being folded back, and PostgreSQL from cleaning up, for as long as a
slow client takes to save the file.
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
    """The calls of a selection in stretches of so many, in order, without gap or repeat whatever calls come meanwhile.

    `now` is what a call that goes on is measured to. Raises StoreError.
    """
    after = None
    while True:
        seen, after = await calls_after(store, scope, selection, sort=sort, after=after, limit=stretch, now=now)
        if seen:
            yield seen
        if after is None:
            return
