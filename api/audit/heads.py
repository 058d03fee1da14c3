"""Log the signed head of each domain's chain, at the start and each hour."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy import select

from store.audit.chain import head_of
from store.audit.signing import AuditKey, SignedHead
from store.database.schema import domains
from store.database.store import Store

_EACH_S: Final = 3600.0

log = structlog.get_logger()


class AuditHeads:
    """Signs and logs the heads."""

    def __init__(self, store: Store, key: AuditKey) -> None:
        self._store, self._key = store, key

    async def run(self) -> None:
        """Log the heads each hour until cancelled. Raises StoreError; may then be run again."""
        while True:
            for signed in await self.signed(datetime.now(UTC)):
                log.info(
                    "audit.head",
                    domain=signed.domain,
                    entries=signed.head.seq,
                    hash=signed.head.hash,
                    at=signed.at.isoformat(timespec="milliseconds"),
                    key=signed.key,
                    signature=signed.signature,
                )
            await asyncio.sleep(_EACH_S)

    async def signed(self, now: datetime) -> list[SignedHead]:
        """Return the signed heads of all domains that have entries. Raises StoreError."""
        heads = []
        async with self._store.reading() as connection:
            for row in (await connection.execute(select(domains.c.id, domains.c.name).order_by(domains.c.id))).all():
                head = await head_of(connection, row.id)
                if head.seq:
                    heads.append(self._key.sign(row.name, head, now))
        return heads
