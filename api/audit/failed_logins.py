"""Write failed logins: to the log each one, to the audit by whether the account exists.

Those at a real account are kept one by one: the throttle bounds their number. Those at unknown
logins are counted, in one entry of a domain for each batch, so that junk neither fills the index
nor hides guesses at a real account. `deploy/fail2ban` reads the lines of the log.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from api.audit.trail import AuditTrail
from api.limits.login_throttle import LoginAttempt
from store.audit.write import Actor, NewEntry
from store.database.store import Store
from store.people.accounts import domain_and_user_exist

ANY: Final = "*"  # replaces the login, and the address if there are several, in the entry of unknown logins
_BATCH_EACH_S: Final = 60.0
_MAX_ADDRESSES: Final = 1000

log = structlog.get_logger()


@dataclass(slots=True)
class UnknownLogins:
    """The failures at unknown logins of one domain since `first`. Pure."""

    first: datetime
    count: int = 0
    addresses: set[str] = field(default_factory=set)

    def add(self, address: str) -> None:
        """Count a failure; of very many addresses only some are counted."""
        self.count += 1
        if len(self.addresses) < _MAX_ADDRESSES:
            self.addresses.add(address)

    def event(self, domain_id: int) -> NewEntry:
        """Return the event of these failures."""
        address = next(iter(self.addresses)) if len(self.addresses) == 1 else ANY
        detail = {"count": self.count, "addresses": len(self.addresses)}
        return _event(domain_id, Actor(login=ANY, address=address), detail, self.first)


class FailedLogins:
    """Failed logins; those at unknown logins wait for the next batch."""

    def __init__(self, store: Store, audit: AuditTrail) -> None:
        self._store, self._audit = store, audit
        self._unknown: dict[int, UnknownLogins] = {}
        self._has_unknown = asyncio.Event()

    async def add(self, attempt: LoginAttempt, now: datetime) -> None:
        """Log a failure, and have it written if its domain exists."""
        # Looked up in any case and written later, so that the time of the answer does not tell if
        # the account exists.
        domain_id, is_real = await domain_and_user_exist(self._store, attempt.domain, attempt.login)
        # Text that was tried is not logged: it may be a password, or made to forge a line.
        account = {"account": f"{attempt.domain}/{attempt.login}"} if is_real else {}
        log.warning("login.failed", address=attempt.address, **account)
        if domain_id is None:
            return
        if is_real:
            self._audit.add(_event(domain_id, Actor(login=attempt.login, address=attempt.address), {"count": 1}, now))
        else:
            self._unknown.setdefault(domain_id, UnknownLogins(first=now)).add(attempt.address)
            self._has_unknown.set()

    async def run(self) -> None:
        """Pass batches on until cancelled."""
        while True:
            await self._has_unknown.wait()
            self.flush()
            await asyncio.sleep(_BATCH_EACH_S)

    def flush(self) -> None:
        """Have the failures at unknown logins written that were counted so far."""
        batch, self._unknown = self._unknown, {}
        self._has_unknown.clear()
        for domain_id, failures in batch.items():
            self._audit.add(failures.event(domain_id))


def _event(domain_id: int, by: Actor, detail: dict[str, int], at: datetime) -> NewEntry:
    return NewEntry(at=at, domain_id=domain_id, by=by, action="login_failed", subject=by.login, detail=detail)
