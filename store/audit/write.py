"""Writing the audit, in the transaction of the audited action.

The audit is append-only. An entry that grows, such as the parts of a call that were heard, is one
entry and further rows that continue it; `store.audit.read` shows them as one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audit.chain import Head, entry_hash, head_of
from store.database.dialect import lock_audit
from store.database.schema import LONGEST_LOGIN, audit
from store.selection.scope import Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """The user of an action, or the login that was tried, and the network address."""

    login: str
    address: str


OPERATOR: Final = Actor(login="", address="")  # the command line, on the machine itself
SYSTEM: Final = Actor(login="system", address="")  # the journal's name for what the clock does


@dataclass(frozen=True, kw_only=True, slots=True)
class NewEntry:
    """An entry to be written. `subject` is a login, a number or a call's public id.

    `continues` is the number of the entry that this one continues. `listening` identifies the
    session, the call and the address: entries that have it in common are parts of one.
    """

    domain_id: int
    at: datetime
    by: Actor
    action: str
    subject: str
    detail: Mapping[str, Any]
    continues: int | None = None
    listening: str | None = None

    @property
    def listening_key(self) -> tuple[int, str] | None:
        """The key of the listening in all domains."""
        return None if self.listening is None else (self.domain_id, self.listening)


class AuditWriter:
    """Appends entries to the chains of domains, in the caller's transaction.

    On PostgreSQL the chains are locked until the transaction ends, so entries are written last in
    it: a transaction that waits for a row of another one must not hold the lock of a chain.
    """

    def __init__(self, connection: AsyncConnection, heads: dict[int, Head]) -> None:
        self._connection, self._heads = connection, heads
        self._rows: list[dict[str, Any]] = []

    @classmethod
    async def begin(cls, connection: AsyncConnection, domain_ids: Iterable[int]) -> "AuditWriter":
        """Lock the chains of some domains, and read their heads."""
        heads = {}
        for domain_id in sorted(set(domain_ids)):
            await lock_audit(connection, domain_id)
            heads[domain_id] = await head_of(connection, domain_id)
        return cls(connection, heads)

    def append(self, entry: NewEntry) -> int:
        """Add an entry and return its number; `flush` writes it."""
        head = self._heads[entry.domain_id]
        values: dict[str, Any] = {
            "domain_id": entry.domain_id,
            "seq": head.seq + 1,
            "at": entry.at,
            "login": _text(entry.by.login)[:LONGEST_LOGIN],
            "address": _text(entry.by.address)[:64],
            "action": entry.action,
            "subject": _text(entry.subject),
            "detail": dict(entry.detail),
            "continues": entry.continues,
            "listening": entry.listening,
        }
        values["hash"] = entry_hash(head.hash, values)
        self._rows.append(values)
        self._heads[entry.domain_id] = Head(seq=values["seq"], hash=values["hash"])
        return head.seq + 1

    async def flush(self) -> None:
        """Write the entries that were appended."""
        if self._rows:
            await self._connection.execute(audit.insert(), self._rows)
            self._rows = []


async def write_entry(
    connection: AsyncConnection, scope: Scope, by: Actor, *, action: str, subject: str, detail: Mapping[str, Any], now: datetime
) -> None:
    """Write an entry in the caller's transaction, as its last statement (see `AuditWriter`)."""
    new = NewEntry(domain_id=scope.domain_id, at=now, by=by, action=action, subject=subject, detail=detail)
    await write_entries(connection, [new])


async def write_entries(connection: AsyncConnection, entries: Iterable[NewEntry]) -> None:
    """Write entries in the caller's transaction, as its last statements (see `AuditWriter`)."""
    entries = list(entries)
    writer = await AuditWriter.begin(connection, (entry.domain_id for entry in entries))
    for entry in entries:
        writer.append(entry)
    await writer.flush()


async def found_listenings(
    connection: AsyncConnection, keys: Iterable[tuple[int, str]]
) -> dict[tuple[int, str], tuple[int, datetime]]:
    """Return the newest entry of each listening: its number, and the time of its last row.

    A listening is identified by the domain and the value of `listening`.
    """
    if not (keys := set(keys)):
        return {}
    row = audit.alias("row")
    last = func.max(row.c.at, type_=audit.c.at.type)
    last_row = select(last).where(row.c.domain_id == audit.c.domain_id, row.c.continues == audit.c.seq).scalar_subquery()
    query = select(audit.c.domain_id, audit.c.listening, audit.c.seq, audit.c.at, last_row.label("last"))
    query = query.where(audit.c.domain_id.in_({key[0] for key in keys}), audit.c.listening.in_({key[1] for key in keys}))
    rows = await connection.execute(query.order_by(audit.c.seq))
    return {(row.domain_id, row.listening): (row.seq, row.last or row.at) for row in rows}


def _text(value: str) -> str:
    """Replace NUL, which PostgreSQL cannot store; the hash is of the text that is stored."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
