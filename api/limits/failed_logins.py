"""Failed logins on their way into the audit: told soon, and never so many that guessing fills the index.

The first failure of a login from an address is written within seconds, those that follow it as one entry with their count.
Of a domain no more than so many entries are written at a time; what else was tried meanwhile becomes one entry without a login.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from api.limits.login_throttle import Attempt
from fonoteka.core.errors import StoreError
from store.audit.write import Actor, write_entry
from store.database.store import Store
from store.provisioning.directory import domain_id_of
from store.selection.scope import Scope

MANY: Final = "*"  # stands for the logins, and the addresses, of what is too much to be told one by one
_WRITTEN_EACH_S: Final = 20.0
_MOST_ENTRIES: Final = 20

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Failures:
    """So many failures of one login from one address, the first of them at a time."""

    domain_id: int
    by: Actor
    first: datetime
    count: int


@dataclass(slots=True)
class Tally:
    """Failures by domain, login and address, bounded. Pure."""

    _counts: dict[tuple[int, str, str], tuple[datetime, int]] = field(default_factory=dict)
    _entries: dict[int, int] = field(default_factory=dict)

    def count(self, domain_id: int, login: str, address: str, now: datetime, times: int = 1) -> None:
        """Count failures; beyond so many different ones of a domain they count together."""
        key = (domain_id, login, address)
        if key not in self._counts:
            if self._entries.get(domain_id, 0) >= _MOST_ENTRIES:
                key = (domain_id, MANY, MANY)
            else:
                self._entries[domain_id] = self._entries.get(domain_id, 0) + 1
        first, before = self._counts.get(key, (now, 0))
        self._counts[key] = first, before + times

    def __iter__(self) -> Iterator[Failures]:
        """As entries, in the order of their first."""
        for (domain_id, login, address), (first, times) in self._counts.items():
            yield Failures(domain_id=domain_id, by=Actor(login=login, address=address), first=first, count=times)


class FailedLogins:
    """What failed and is not written yet."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tally = Tally()
        self._some = asyncio.Event()

    async def tell(self, attempt: Attempt, now: datetime) -> None:
        """Have a failure written, if there is such a domain: there is nobody to tell of others."""
        # Asked in any case, so that the time it takes tells nothing of the domain.
        domain_id = await domain_id_of(self._store, attempt.domain)
        if domain_id is not None:
            self._tally.count(domain_id, attempt.login, attempt.address, now)
            self._some.set()

    async def write(self) -> None:
        """Write what comes, in batches. Runs until cancelled; raises StoreError where the index fails, to be begun again."""
        while True:
            await self._some.wait()
            await self.flush()
            await asyncio.sleep(_WRITTEN_EACH_S)

    async def close(self) -> None:
        """Write what is left; where that fails, say so: it is lost."""
        try:
            await self.flush()
        except StoreError as error:
            log.error("failed_logins_lost", error=str(error))

    async def flush(self) -> None:
        """Write what is there. Raises StoreError; then it is kept."""
        tally, self._tally = self._tally, Tally()
        self._some.clear()
        try:
            async with self._store.writing() as connection:
                for one in tally:
                    within, by, detail = Scope(domain_id=one.domain_id, login=None), one.by, {"count": one.count}
                    await write_entry(connection, within, by, action="login_failed", subject=by.login, detail=detail, now=one.first)
        except StoreError:
            for one in tally:
                self._tally.count(one.domain_id, one.by.login, one.by.address, one.first, one.count)
            self._some.set()
            raise
