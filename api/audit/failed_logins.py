"""Write failed logins to the audit, within seconds, without letting guesses fill the index.

The first failure of a login from an address is written at once, those that follow as one entry
with their count. Each batch has at most `_MAX_ENTRIES` entries of a domain; further failures are
counted together, in one entry without a login.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from api.limits.login_throttle import LoginAttempt
from fonoteka.core.errors import StoreError
from store.audit.write import Actor, write_entry
from store.database.store import Store
from store.provisioning.directory import domain_id_of
from store.selection.scope import Scope

ANY: Final = "*"  # replaces the login and the address in the entry for further failures
_BATCH_EACH_S: Final = 20.0
_MAX_ENTRIES: Final = 20

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginFailures:
    """The failures of one login from one address, and the time of the first."""

    domain_id: int
    by: Actor
    first: datetime
    count: int


@dataclass(slots=True)
class FailureCounts:
    """Failures by domain, login and address, bounded. Pure."""

    _counts: dict[tuple[int, str, str], tuple[datetime, int]] = field(default_factory=dict)
    _entries: dict[int, int] = field(default_factory=dict)

    def count(self, domain_id: int, login: str, address: str, now: datetime, times: int = 1) -> None:
        """Count failures, separately or, beyond `_MAX_ENTRIES` of a domain, together."""
        key = (domain_id, login, address)
        if key not in self._counts:
            if self._entries.get(domain_id, 0) >= _MAX_ENTRIES:
                key = (domain_id, ANY, ANY)
            else:
                self._entries[domain_id] = self._entries.get(domain_id, 0) + 1
        first, before = self._counts.get(key, (now, 0))
        self._counts[key] = first, before + times

    def __iter__(self) -> Iterator[LoginFailures]:
        """Iterate over the entries, in the order of their first failure."""
        for (domain_id, login, address), (first, times) in self._counts.items():
            yield LoginFailures(domain_id=domain_id, by=Actor(login=login, address=address), first=first, count=times)


class FailedLogins:
    """Failed logins that are not written yet."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts = FailureCounts()
        self._has_entries = asyncio.Event()

    async def add(self, attempt: LoginAttempt, now: datetime) -> None:
        """Have a failure written, if its domain exists."""
        # Looked up in any case, so that the time of the answer does not tell if the domain exists.
        domain_id = await domain_id_of(self._store, attempt.domain)
        if domain_id is not None:
            self._counts.count(domain_id, attempt.login, attempt.address, now)
            self._has_entries.set()

    async def run(self) -> None:
        """Write batches until cancelled. Raises StoreError; may then be run again."""
        while True:
            await self._has_entries.wait()
            await self.flush()
            await asyncio.sleep(_BATCH_EACH_S)

    async def close(self) -> None:
        """Write the last batch; if that fails, log that it is lost."""
        try:
            await self.flush()
        except StoreError as error:
            log.error("failed_logins.lost", error=str(error))

    async def flush(self) -> None:
        """Write one batch. Raises StoreError; the batch is then kept."""
        batch, self._counts = self._counts, FailureCounts()
        self._has_entries.clear()
        try:
            async with self._store.writing() as connection:
                for failures in batch:
                    scope, by = Scope(domain_id=failures.domain_id, login=None), failures.by
                    detail = {"count": failures.count}
                    await write_entry(
                        connection, scope, by, action="login_failed", subject=by.login, detail=detail, now=failures.first
                    )
        except StoreError:
            for failures in batch:
                self._counts.count(failures.domain_id, failures.by.login, failures.by.address, failures.first, failures.count)
            self._has_entries.set()
            raise
