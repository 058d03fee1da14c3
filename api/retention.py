"""Delete what has expired: at the start, each night, and soon after a change of the settings.

What domains have beyond their quotas is deleted each hour.

The night of a domain is 03:00 of its clock. If something is due, a process of its own deletes it
(`store.retention.own_process`). Of several replicas one does so at a time; if it dies, another one
goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import structlog

from api.quota_watch import QuotaWatch
from fonoteka.core.clock import WallClock
from store.database.store import Store
from store.provisioning.directory import version_of
from store.retention.due import RetainedDomain, retained_domains
from store.retention.expiry import delete_marked
from store.retention.run import Deleted, Notify, overdue_s
from store.retention.set_aside import expire_set_aside

_EACH_S: Final = 10.0
_JUMP_S: Final = 3600.0
_DOUBT_S: Final = 24 * 3600.0
_NIGHT: Final = timedelta(hours=3)
_COUNT_EACH: Final = timedelta(hours=1)  # a count reads the recordings of users with a period of their own

log = structlog.get_logger()


class DeleteDue(Protocol):
    """`store.retention.run.delete_due` for one store."""

    def __call__(self, now: datetime, *, domain_ids: Collection[int], notify: Notify) -> Awaitable[Deleted]:
        """Delete what is due in some domains. Raises StoreError."""


class RetentionWork:
    """The nightly work of one API.

    `delete` deletes what is due; `notify` is called with each batch, `overdue` with the seconds for
    which the oldest of what is due has been due, and `clean`, in a thread, after each run. While
    signals of changed settings are not heard, they are read every ten seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        delete: DeleteDue,
        notify: Notify,
        overdue: Callable[[float], None],
        clean: Callable[[], None],
        quotas: QuotaWatch,
        clock: WallClock | None = None,
    ) -> None:
        self._store, self._delete, self._clean = store, delete, clean
        self._notify, self._overdue, self._quotas = notify, overdue, quotas
        self._done: dict[int, datetime] = {}  # when the last run of a domain began
        self._version: int | None = None
        self._looks_at = datetime.min.replace(tzinfo=UTC)  # if nothing changes until then
        self._may_have_changed = True
        self._counted: datetime | None = None
        self._clock = clock or WallClock()
        self._doubted_until_s = float("-inf")

    def look(self) -> None:
        """Look soon if something is due: the settings may have changed."""
        self._may_have_changed = True

    async def run(self) -> None:
        """Work until cancelled. Raises StoreError; may then be run again."""
        while True:
            if self.trusts_clock() and self._may_be_due(datetime.now(UTC)):
                await self.work(datetime.now(UTC))
            await asyncio.sleep(_EACH_S)

    def _may_be_due(self, now: datetime) -> bool:
        until_look = self._looks_at - now  # more than was set: the clock was set back
        return not self._store.signals.hears_others or self._may_have_changed or not timedelta() < until_look <= _COUNT_EACH

    def trusts_clock(self) -> bool:
        """Return whether the wall clock has not jumped ahead by an hour within the last day.

        What a wrong clock deletes is gone; what is deleted a day late is not.
        """
        by_s = self._clock.jumped_s()
        if abs(by_s) >= _JUMP_S:
            log.warning("retention.clock_jumped", by_s=round(by_s))
            self._doubted_until_s = self._clock.steady_s() + _DOUBT_S if by_s > 0 else float("-inf")
        return self._clock.steady_s() >= self._doubted_until_s

    async def work(self, now: datetime) -> None:
        """Delete what is due in the domains whose night has come, or whose settings changed.

        Each hour also what domains have beyond their quotas. Does nothing while another replica
        deletes; this one looks again then.
        """
        self._may_have_changed = False
        version = await version_of(self._store)
        if version != self._version:
            self._done = {}
        domains = await retained_domains(self._store)
        is_hourly = version != self._version or self._counted is None or now - self._counted >= _COUNT_EACH
        beyond = await self._quotas.look(domains, now) if is_hourly else set()
        due = beyond | {
            domain.id for domain in domains if self._done.get(domain.id, datetime.min.replace(tzinfo=UTC)) < _night(domain, now)
        }
        if due:
            async with self._store.alone("retention") as is_alone:
                if not is_alone:
                    self.look()
                    return
                await self._delete_due(due, now, beyond)
            self._done |= dict.fromkeys(due, now)
        self._version = version
        if beyond:
            await self._quotas.look(domains, now)
        if due or is_hourly:
            await self._count(now)
        # The next night is an hour nearer if clocks are put forward; each hour is looked at anyway.
        self._looks_at = min([now + _COUNT_EACH, *(_night(domain, now) + timedelta(days=1) for domain in domains)])

    async def _delete_due(self, due: Collection[int], now: datetime, beyond: Collection[int]) -> None:
        await delete_marked(self._store)  # what a run left that was killed
        await expire_set_aside(self._store, now)
        deleted = await self._delete(now, domain_ids=due, notify=self._notify) if beyond or await self._count(now) else {}
        for rule, amount in deleted.items():
            log.info(
                "retention.deleted",
                domain=rule.domain,
                rule=str(rule),
                calls=amount.calls,
                recordings=amount.recordings,
                size_bytes=amount.size_bytes,
            )
        await asyncio.to_thread(self._clean)

    async def _count(self, now: datetime) -> float:
        """Tell, and return, for how many seconds the oldest of what is due has been due."""
        overdue = await overdue_s(self._store, now)
        self._overdue(overdue)
        self._counted = now
        return overdue


def _night(domain: RetainedDomain, now: datetime) -> datetime:
    """Return the last 03:00 of a domain's clock."""
    local = now.astimezone(ZoneInfo(domain.timezone))
    night = local.replace(hour=0, minute=0, second=0, microsecond=0) + _NIGHT
    return (night if night <= local else night - timedelta(days=1)).astimezone(UTC)
