"""Write the audit before the audited bytes: an answer waits until its entry is durable.

Entries that arrive while a transaction is committed share the next one, so that many requests wait
for one sync of the disk.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.errors import StoreError
from store.audit.spans import Span, covers, union
from store.audit.write import AuditWriter, NewEntry, found_listenings
from store.database.store import Store

_ENTRY_WITHIN_S: Final = 5.0  # else the request is refused
_RETRIED_AFTER_S: Final = 1.0
# A listening that pauses for longer is a new entry, so that its time is that of the listening.
_LISTENING_PAUSES: Final = timedelta(hours=1)
_MAX_LISTENINGS: Final = 10_000

log = structlog.get_logger()

ListeningKey = tuple[int, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Listening:
    """An entry that may grow: its number, the time of its last row, and what its rows hold."""

    seq: int
    last: datetime
    heard: tuple[Span, ...] = ()
    seen: frozenset[tuple[str, Any]] = frozenset()

    def goes_on(self, at: datetime) -> bool:
        """Whether an entry of that time is a part of it."""
        return at - self.last <= _LISTENING_PAUSES

    def holds(self, entry: NewEntry) -> bool:
        """Whether its rows hold the entry, so that nothing needs to be written."""
        heard, seen = _content(entry)
        return self.goes_on(entry.at) and seen <= self.seen and (heard is None or covers(self.heard, heard))

    def with_row(self, entry: NewEntry) -> "_Listening":
        """Return the listening after the entry's row."""
        heard, seen = _content(entry)
        parts = self.heard if heard is None else union([*self.heard, heard])
        return _Listening(seq=self.seq, last=entry.at, heard=parts, seen=self.seen | seen)


def _row(entry: NewEntry, continues: int | None) -> NewEntry:
    """Return the entry to be written. Only the first row of a listening is found by its key."""
    return replace(entry, continues=continues, listening=entry.listening if continues is None else None)


def _content(entry: NewEntry) -> tuple[Span | None, frozenset[tuple[str, Any]]]:
    """Return the part that was heard, and the other details."""
    heard = entry.detail.get("heard_ms")
    other = frozenset((key, value) for key, value in entry.detail.items() if key != "heard_ms")
    return None if heard is None else Span(*heard), other


@dataclass(kw_only=True, slots=True, eq=False)
class _Pending:
    """An entry to be written; `written` gets its number, None if no request waits."""

    entry: NewEntry
    written: asyncio.Future[int] | None


@dataclass(slots=True)
class _Batch:
    """The numbers and listenings of a transaction, which count when it is committed."""

    listenings: dict[ListeningKey, _Listening]
    numbers: list[int] = field(default_factory=list)

    def continued(self, entry: NewEntry) -> int | None:
        """Return the number of the entry that the entry continues; None if it begins one."""
        known = None if entry.listening_key is None else self.listenings.get(entry.listening_key)
        return known.seq if known is not None and known.goes_on(entry.at) else None

    def grow(self, entry: NewEntry, seq: int) -> None:
        """Note the row of an entry in its listening."""
        if entry.listening_key is None:
            return
        before = self.listenings.get(entry.listening_key)
        if before is None or before.seq != seq:
            before = _Listening(seq=seq, last=entry.at)
        self.listenings[entry.listening_key] = before.with_row(entry)


class AuditTrail:
    """Writes entries in order. One task writes (`run`), requests wait for it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pending: list[_Pending] = []
        self._has_entries = asyncio.Event()
        self._writing = asyncio.Lock()
        self._listenings: OrderedDict[ListeningKey, _Listening] = OrderedDict()

    async def record(self, entry: NewEntry) -> int:
        """Write an entry, durable on return; return its number.

        An entry that its listening already holds is not written again. Raises StoreError, also if
        the index does not answer in time: then the action must not happen.
        """
        if (known := self._known(entry)) is not None and known.holds(entry):
            return known.seq
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(entry=entry, written=written))
        self._has_entries.set()
        try:
            async with asyncio.timeout(_ENTRY_WITHIN_S):
                return await written
        except TimeoutError:
            raise StoreError(f"the audit could not be written within {_ENTRY_WITHIN_S:.0f} s") from None

    def add(self, entry: NewEntry) -> None:
        """Have an entry written. Never waits; after a failure the entry is written later."""
        self._pending.append(_Pending(entry=entry, written=None))
        self._has_entries.set()

    async def run(self) -> None:
        """Write entries until cancelled."""
        while True:
            try:
                await self.flush()
            except StoreError as error:
                log.error("audit.refused", error=str(error))
                if self._pending:
                    await asyncio.sleep(_RETRIED_AFTER_S)
                    continue
            await self._has_entries.wait()

    async def close(self) -> None:
        """Write the last entries; if that fails, log that they are lost."""
        try:
            await self.flush()
        except StoreError as error:
            log.error("audit.lost", entries=len(self._pending), error=str(error))

    async def flush(self) -> None:
        """Write all pending entries in one transaction.

        Raises StoreError. Requests that wait then get it too; entries without a request are kept.
        """
        async with self._writing:
            self._has_entries.clear()
            self._pending = [item for item in self._pending if item.written is None or not item.written.done()]
            if self._pending:
                await self._write(list(self._pending))

    async def _write(self, items: Sequence[_Pending]) -> None:
        try:
            async with self._store.writing() as connection:
                writer = await AuditWriter.begin(connection, (item.entry.domain_id for item in items))
                batch = _Batch(listenings=await self._open(connection, items))
                for item in items:
                    continues = item.entry.continues or batch.continued(item.entry)
                    batch.numbers.append(writer.append(_row(item.entry, continues)))
                    batch.grow(item.entry, continues or batch.numbers[-1])
                await writer.flush()
        except StoreError as error:
            self._refuse(items, error)
            raise
        del self._pending[: len(items)]
        self._committed(items, batch)

    async def _open(self, connection: AsyncConnection, items: Iterable[_Pending]) -> dict[ListeningKey, _Listening]:
        """Return the listenings of some entries that are known.

        Another replica, or this one before its restart, may have begun one.
        """
        keys = {item.entry.listening_key for item in items if item.entry.listening_key is not None}
        known = {key: self._listenings[key] for key in keys if key in self._listenings}
        found = await found_listenings(connection, keys - known.keys())
        return known | {key: _Listening(seq=seq, last=last) for key, (seq, last) in found.items()}

    def _known(self, entry: NewEntry) -> _Listening | None:
        return None if entry.listening_key is None else self._listenings.get(entry.listening_key)

    def _refuse(self, items: Iterable[_Pending], error: StoreError) -> None:
        """Pass an error to the requests that wait, and forget their entries."""
        for item in items:
            if item.written is not None and not item.written.done():
                item.written.set_exception(StoreError(f"the audit could not be written: {error}"))
        self._pending = [item for item in self._pending if item.written is None or not item.written.done()]

    def _committed(self, items: Iterable[_Pending], batch: _Batch) -> None:
        for item, number in zip(items, batch.numbers, strict=True):
            if item.written is not None and not item.written.done():
                item.written.set_result(number)
        for key, listening in batch.listenings.items():
            self._listenings[key] = listening
            self._listenings.move_to_end(key)
        while len(self._listenings) > _MAX_LISTENINGS:
            self._listenings.popitem(last=False)
