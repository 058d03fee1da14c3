"""Writing the audit, in the transaction of the audited action.

The audit is append-only. An entry that grows, such as the parts of a call that were heard, is one
entry and further rows that continue it; `store.audit.read` shows them as one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, or_, select
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


@dataclass(frozen=True, kw_only=True, slots=True)
class NewEntry:
    """An entry to be written. `subject` is a login, a number or a call's public id.

    `continues` is the number of the entry that this one continues. `listening` identifies an entry
    that later requests continue.
    """

    domain_id: int
    at: datetime
    by: Actor
    action: str
    subject: str
    detail: Mapping[str, Any]
    continues: int | None = None
    listening: str | None = None


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


async def open_listening(connection: AsyncConnection, domain_id: int, listening: str, since: datetime) -> int | None:
    """Return the number of the entry of a listening that has a row since then; None if none has."""
    mine = audit.c.domain_id == domain_id
    query = select(audit.c.seq).where(mine, audit.c.listening == listening).order_by(audit.c.seq.desc()).limit(1)
    if (first := (await connection.execute(query)).scalar()) is None:
        return None
    rows = or_(audit.c.seq == first, audit.c.continues == first)
    last = (await connection.execute(select(func.max(audit.c.at, type_=audit.c.at.type)).where(mine, rows))).scalar_one()
    return int(first) if last >= since else None


def _text(value: str) -> str:
    """Replace NUL, which PostgreSQL cannot store; the hash is of the text that is stored."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
