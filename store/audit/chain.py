"""The chain of a domain's entries: each entry has a number and the hash of all entries before it.

An entry that is changed, removed or inserted later breaks the chain at its place. The removal of
the last entries does not: the signed heads in the log show it (`store.audit.signing`).
"""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store.database.schema import audit, milliseconds
from store.database.store import Store

ORIGIN: Final = "0" * 64  # the hash before the first entry
_VERSION: Final = 1
_BATCH: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The last entry of a domain's chain; `seq` is 0 if there is none."""

    seq: int
    hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokenLink:
    """A place where the chain is broken: the number of the entry, and how."""

    seq: int
    reason: str


def entry_hash(previous: str, values: Mapping[Any, Any]) -> str:
    """Return the SHA-256 of an entry and the hash before it; `values` are the columns. Pure."""
    content = [
        _VERSION,
        previous,
        values["domain_id"],
        values["seq"],
        milliseconds(values["at"]),
        values["login"],
        values["address"],
        values["action"],
        values["subject"],
        values["detail"],
        values["continues"],
        values["listening"],
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


async def head_of(connection: AsyncConnection, domain_id: int) -> Head:
    """Return the head of a domain's chain."""
    query = select(audit.c.seq, audit.c.hash).where(audit.c.domain_id == domain_id).order_by(audit.c.seq.desc()).limit(1)
    row = (await connection.execute(query)).first()
    return Head(seq=row.seq, hash=row.hash) if row else Head(seq=0, hash=ORIGIN)


async def broken_links(store: Store, domain_id: int) -> AsyncIterator[BrokenLink]:
    """Yield the places where the chain of a domain is broken, in order.

    Reads some hundreds of entries at a time; no connection is held between two of them.
    """
    seq, previous = 0, ORIGIN
    while rows := await _rows_after(store, domain_id, seq):
        for row in rows:
            if row.seq != seq + 1:
                yield BrokenLink(seq=seq + 1, reason="missing")
            elif row.hash != entry_hash(previous, row._mapping):
                yield BrokenLink(seq=row.seq, reason="changed")
            seq, previous = row.seq, row.hash


async def has_entry(store: Store, domain_id: int, head: Head) -> bool:
    """Whether the chain still has a head that was logged earlier."""
    query = select(audit.c.hash).where(audit.c.domain_id == domain_id, audit.c.seq == head.seq)
    async with store.reading() as connection:
        return (await connection.execute(query)).scalar() == head.hash


async def _rows_after(store: Store, domain_id: int, seq: int) -> list[Row[Any]]:
    query = select(audit).where(audit.c.domain_id == domain_id, audit.c.seq > seq).order_by(audit.c.seq).limit(_BATCH)
    async with store.reading() as connection:
        return list((await connection.execute(query)).all())
