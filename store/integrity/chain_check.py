"""Whether the chains of the audit are whole, and still have the heads that were logged."""

import re
import shlex
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import select

from fonoteka.core.errors import ConfigurationError
from store.audit.chain import Head, broken_links, has_entry
from store.audit.signing import SignedHead, is_genuine
from store.database.schema import domains
from store.database.store import Store
from store.integrity.findings import Finding, Kind, Position, Step

_MOST_OF_A_DOMAIN: Final = 100
_WORDS: Final = {"missing": "entries before it are missing", "changed": "the entry, or one before it, was changed"}
_HEAD_LINE: Final = re.compile(r"\bevent=audit\.head\b")


class DomainKey(NamedTuple):
    """The key and the name of a domain."""

    id: int
    name: str


async def all_domains(store: Store) -> list[DomainKey]:
    """Return the keys and names of all domains, removed ones too, in order."""
    async with store.reading() as connection:
        rows = await connection.execute(select(domains.c.id, domains.c.name).order_by(domains.c.id))
        return [DomainKey(row.id, row.name) for row in rows]


async def chain_steps(store: Store, after: Position) -> AsyncIterator[Step]:
    """Check the chain of one domain after another."""
    for domain in await all_domains(store):
        if isinstance(after, int) and domain.id <= after:
            continue
        found = []
        async for link in broken_links(store, domain.id):
            detail = _WORDS[link.reason]
            found.append(Finding(kind=Kind.CHAIN, domain=domain.name, subject=f"entry {link.seq}", detail=detail))
            if len(found) == _MOST_OF_A_DOMAIN:
                break
        yield Step(position=domain.id, looked_at=1, found=found)


async def head_steps(store: Store, logged: Path, key: str, after: Position) -> AsyncIterator[Step]:
    """Check the heads in a log, signed with a public key, against the chains of their domains."""
    last = after if isinstance(after, int) else 0
    ids: dict[str, list[int]] = {}
    for domain in await all_domains(store):
        ids.setdefault(domain.name, []).append(domain.id)
    for place, signed in enumerate(_heads_in(logged), 1):
        if place <= last:
            continue
        detail = None
        if signed is None:
            detail = "a line `audit.head` of the log cannot be read"
        elif not is_genuine(signed):
            detail = f"the head of {signed.at.isoformat()} has a signature that is not of its key"
        elif signed.key != key:
            detail = f"the head of {signed.at.isoformat()} is signed by another key than store.audit_key"
        elif not [each for each in ids.get(signed.domain, []) if await has_entry(store, each, signed.head)]:
            detail = f"the chain had this entry at {signed.at.isoformat()} and has it no longer"
        name, subject = (signed.domain, f"entry {signed.head.seq}") if signed else ("", logged.name)
        found = [Finding(kind=Kind.HEAD, domain=name, subject=subject, detail=detail)] if detail else []
        yield Step(position=place, looked_at=1, found=found)


def _heads_in(logged: Path) -> Iterator[SignedHead | None]:
    """Yield the signed heads in a log, None for a line that cannot be read."""
    try:
        with logged.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if _HEAD_LINE.search(line):
                    yield _head_in(line)
    except OSError as error:
        raise ConfigurationError(f"the log {str(logged)!r} cannot be read: {error.strerror}") from error


def _head_in(line: str) -> SignedHead | None:
    try:
        values = dict(word.split("=", 1) for word in shlex.split(line) if "=" in word)
        head = Head(seq=int(values["entries"]), hash=values["hash"])
        at = datetime.fromisoformat(values["at"])
        return SignedHead(domain=values["domain"], head=head, at=at, key=values["key"], signature=values["signature"])
    except (KeyError, ValueError):
        return None
