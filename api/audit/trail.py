"""Write audit entries in the background: an answer does not wait for its entry."""

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
class AuditEvent:
    """An action of an actor on a call."""

    at: datetime
    scope: Scope
    by: Actor
    action: str
    call: str
    detail: dict[str, str]


class AuditTrail:
    """Events that are not written yet, in order. After a failure they are written later."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pending: list[AuditEvent] = []
        self._has_events = asyncio.Event()

    def add(self, event: AuditEvent) -> None:
        """Have an event written. Never waits."""
        self._pending.append(event)
        self._has_events.set()

    async def run(self) -> None:
        """Write events until cancelled. Raises StoreError; may then be run again."""
        while True:
            await self.flush()
            await self._has_events.wait()

    async def close(self) -> None:
        """Write the last events; if that fails, log that they are lost."""
        try:
            await self.flush()
        except StoreError as error:
            log.error("audit.lost", entries=len(self._pending), error=str(error))

    async def flush(self) -> None:
        """Write all pending events. Raises StoreError."""
        self._has_events.clear()
        if not (events := list(self._pending)):
            return
        async with self._store.writing() as connection:
            for event in events:
                await write_entry(
                    connection,
                    event.scope,
                    event.by,
                    action=event.action,
                    subject=event.call,
                    detail=event.detail,
                    now=event.at,
                )
        del self._pending[: len(events)]
