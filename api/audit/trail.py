"""Who listened and who downloaded: written down beside the answer, which does not wait for it."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

import structlog

from fonoteka.core.errors import StoreError
from store.audit.write import Actor, write_entry
from store.database.store import Store
from store.selection.scope import Scope

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """Somebody did something to a call."""

    at: datetime
    scope: Scope
    by: Actor
    action: str
    call: str
    detail: dict[str, str]


class AuditTrail:
    """Entries on their way into the index, in order. What cannot be written now is kept and tried again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pending: list[Entry] = []
        self._some = asyncio.Event()

    def tell(self, entry: Entry) -> None:
        """Have an entry written. Never waits."""
        self._pending.append(entry)
        self._some.set()

    async def write(self) -> None:
        """Write whatever comes. Runs until cancelled; raises StoreError where the index fails, to be begun again."""
        while True:
            await self.flush()
            await self._some.wait()

    async def close(self) -> None:
        """Write what is left; where that fails, say so: it is lost."""
        try:
            await self.flush()
        except StoreError as error:
            log.error("audit_lost", entries=len(self._pending), error=str(error))

    async def flush(self) -> None:
        """Write what is there. Raises StoreError."""
        self._some.clear()
        if not (entries := list(self._pending)):
            return
        async with self._store.writing() as connection:
            for one in entries:
                await write_entry(connection, one.scope, one.by, action=one.action, subject=one.call, detail=one.detail, now=one.at)
        del self._pending[: len(entries)]
