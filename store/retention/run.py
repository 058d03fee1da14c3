"""Deletion of all that is due, in small transactions with rests between them.

Several processes may run it at the same time: each batch is checked again under the lock of its
domain, and written once. A change of the settings meanwhile counts at once. The audit gets one
entry for each run, domain and rule, in the transaction of the first batch; later batches continue
it, with the sums so far and the calls of the batch.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import Any, Final

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import Reason
from store.audit.write import SYSTEM, AuditWriter, NewEntry
from store.database.schema import settings
from store.database.store import Store
from store.provisioning.directory import version_of
from store.retention.due import RetainedDomain, beyond_quota, due_audio, due_calls, retained_domains
from store.retention.expiry import MARKED_AT_A_TIME, Expired, delete_marked, lock_domain, mark_expired
from store.retention.quota import usage_of
from store.retention.removal import remove_calls
from store.retention.set_aside import expire_set_aside
from store.selection.retention_rule import expires_at

AUDIO: Final = "retention_days"
CALLS: Final = "calls_retention_days"
_REST: Final = 2.5  # times the length of a batch: others have five sevenths of the index and the disk
_SHORTEST_REST_S: Final = 0.05
_LOCK_S: Final = 0.03  # wanted: no other writer waits for 100 ms, on a slow machine either
_FEWEST, _MOST = 10, 50  # of each batch; fewer would cost more in all than they save


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A rule of a domain, by its key and value. `user` is the login if it is that user's own."""

    domain: str
    key: str
    value: float
    user: str | None = None

    @property
    def is_of_calls(self) -> bool:
        """Whether it deletes calls with all their data, not only their audio."""
        return self.key == CALLS

    def __str__(self) -> str:
        return f"{self.key} = {self.value:.15g}" + (f" of user {self.user}" if self.user is not None else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Amount:
    """What a rule deletes: calls with all their rows, or recordings, which are of these calls."""

    calls: int = 0
    recordings: int = 0
    size_bytes: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            calls=self.calls + other.calls,
            recordings=self.recordings + other.recordings,
            size_bytes=self.size_bytes + other.size_bytes,
        )


Deleted = dict[Rule, Amount]
Notify = Callable[[Rule, Amount, float], None]
"""Called after each batch, with the seconds for which its transaction held the lock."""

Rest = Callable[[float], Awaitable[None]]
"""Called after each batch with its length in seconds."""


async def rest(batch_s: float) -> None:
    """Leave the index and the disk to others for a while."""
    await asyncio.sleep(max(_SHORTEST_REST_S, _REST * batch_s))


async def what_is_due(store: Store, now: datetime) -> Deleted:
    """Return what a run would delete now."""
    due: Deleted = {}
    for domain in await retained_domains(store):
        last: dict[Rule, str] = {}
        async for rows in due_audio(store, domain, now):
            for row in rows:
                rule = _rule_of(domain, row)
                calls = last.get(rule) != row.public_id  # the segments of a call follow each other
                due[rule] = due.get(rule, Amount()) + Amount(calls=calls, recordings=1, size_bytes=row.size_bytes)
                last[rule] = row.public_id
        if (quota := await _rule_of_quota(store, domain)) is not None:
            async for rows in beyond_quota(store, domain, now):
                amount = Amount(
                    calls=len({row.public_id for row in rows}), recordings=len(rows), size_bytes=sum(row.size_bytes for row in rows)
                )
                due[quota] = due.get(quota, Amount()) + amount
        async for rows in due_calls(store, domain, now):
            rule = _rule_of_calls(domain)
            due[rule] = due.get(rule, Amount()) + Amount(calls=len(rows))
    return due


async def overdue_s(store: Store, now: datetime) -> float:
    """Return for how many seconds the oldest of what is due has been due; 0 if nothing is."""
    longest = 0.0
    for domain in await retained_domains(store):
        async for rows in due_audio(store, domain, now):
            longest = max(longest, *((now - expires_at(row.started_at, row.days)).total_seconds() for row in rows))
            break
        async for rows in due_calls(store, domain, now):
            expired_at = expires_at(rows[0].started_at, domain.calls_retention_days or 0)
            longest = max(longest, (now - expired_at).total_seconds())
            break
    return longest


async def delete_due(
    store: Store,
    now: datetime,
    *,
    domain_ids: Collection[int] | None = None,
    notify: Notify = lambda *_: None,
    rest: Rest = rest,
) -> Deleted:
    """Delete what is due, of some domains or of all, and what an earlier run left unfinished.

    `notify` is called with each batch. Returns the sums. Raises StoreError.
    """
    await delete_marked(store)
    await expire_set_aside(store, now)
    deleted: Deleted = {}
    done: set[int] = set()
    while True:
        version = await version_of(store)
        for domain in await retained_domains(store):
            if domain.id in done or not (domain_ids is None or domain.id in domain_ids):
                continue
            run = _Run(store=store, domain=domain, version=version, now=now, notify=notify, rest=rest)
            try:
                await run.delete_audio()
                await run.delete_beyond_quota()
                await run.delete_calls()
            except _SettingsChanged:
                break  # the periods are read again: they may be longer now
            finally:
                for rule, amount in run.deleted.items():
                    deleted[rule] = deleted.get(rule, Amount()) + amount
            done.add(domain.id)
        else:
            break
    if deleted:
        await store.purge()
    return deleted


class _SettingsChanged(Exception):
    """The settings changed during a run."""


@dataclass(kw_only=True, slots=True)
class _Run:
    """The deletion of what is due in a domain.

    By rule: the sums, the number of the audit's entry, the last call, and the sums of the batch.
    `lock_s` is for how long the last transaction held the lock, and decides how many rows the
    next one takes at `most`.
    """

    store: Store
    domain: RetainedDomain
    version: int
    now: datetime
    notify: Notify
    rest: Rest
    deleted: Deleted = field(default_factory=dict)
    entries: dict[Rule, int] = field(default_factory=dict)
    last: dict[Rule, str] = field(default_factory=dict)
    batch: Deleted = field(default_factory=dict)
    lock_s: float = 0
    most: int = _FEWEST

    async def delete_audio(self) -> None:
        """Delete the audio that is due by its age."""
        rows = due_audio(self.store, self.domain, self.now, lambda: self.most)
        await self._delete_audio(rows, partial(_rule_of, self.domain), Reason.RETENTION)

    async def delete_beyond_quota(self) -> None:
        """Delete the oldest audio that the domain has beyond its quota."""
        rule = await _rule_of_quota(self.store, self.domain)
        if rule is not None:
            rows = beyond_quota(self.store, self.domain, self.now, lambda: self.most)
            await self._delete_audio(rows, lambda _: rule, Reason.QUOTA)

    async def _delete_audio(
        self, batches: AsyncIterator[Sequence[Row[Any]]], rule_of: Callable[[Row[Any]], Rule], reason: Reason
    ) -> None:
        """Delete batches of audio. The objects of several batches are deleted together."""
        marked = 0
        async for rows in batches:
            begun = perf_counter()
            rules = {row.id: rule_of(row) for row in rows}
            async with self._writing() as connection:
                expired = await mark_expired(connection, self.domain.id, list(rules), self.now, reason)
                writer = await AuditWriter.begin(connection, [self.domain.id])
                for rule in dict.fromkeys(rules.values()):
                    of_rule = Expired(segments=tuple(segment for segment in expired.segments if rules[segment.id] == rule))
                    self._write(writer, rule, self._amount(rule, of_rule), of_rule.calls)
                await writer.flush()
            self._notify()
            marked += expired.recordings
            if marked >= MARKED_AT_A_TIME:
                await delete_marked(self.store)
                marked = 0
            await self.rest(perf_counter() - begun)
        await delete_marked(self.store)

    async def delete_calls(self) -> None:
        """Delete the calls that are due."""
        async for rows in due_calls(self.store, self.domain, self.now, lambda: self.most):
            begun = perf_counter()
            async with self._writing() as connection:
                removed = await remove_calls(connection, self.domain.id, [row.id for row in rows], self.now)
                writer = await AuditWriter.begin(connection, [self.domain.id])
                listed = sum(row.public_id in removed for row in rows)  # without calls that are merged into them
                self._write(writer, _rule_of_calls(self.domain), Amount(calls=listed), removed)
                await writer.flush()
            self._notify()
            await self.rest(perf_counter() - begun)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        async with self.store.writing() as connection:
            await lock_domain(connection, self.domain.id)
            begun = perf_counter()
            if (await connection.execute(select(settings.c.version))).scalar_one() != self.version:
                raise _SettingsChanged
            yield connection
        self.lock_s = perf_counter() - begun
        self.most = _next_batch(self.most, self.lock_s)

    def _amount(self, rule: Rule, expired: Expired) -> Amount:
        """Return what was expired, without a call that an earlier batch has counted."""
        calls = [call for call in expired.calls if call != self.last.get(rule)]
        if expired.calls:
            self.last[rule] = expired.calls[-1]
        return Amount(calls=len(calls), recordings=expired.recordings, size_bytes=expired.size_bytes)

    def _write(self, writer: AuditWriter, rule: Rule, amount: Amount, ids: Sequence[str]) -> None:
        """Add what a rule deleted to the sums and to the audit. `ids` are the calls' public ids."""
        if not ids:
            return
        total = self.deleted[rule] = self.deleted.get(rule, Amount()) + amount
        audio = {} if rule.is_of_calls else {"recordings": total.recordings, "size_bytes": total.size_bytes}
        detail = {rule.key: rule.value, "calls": total.calls, **audio, "ids": list(ids)}
        entry = NewEntry(
            domain_id=self.domain.id,
            at=self.now,
            by=SYSTEM,
            action="calls_expired" if rule.is_of_calls else "recordings_expired",
            subject=rule.user or "",
            detail=detail,
            continues=self.entries.get(rule),
        )
        self.entries.setdefault(rule, writer.append(entry))
        self.batch[rule] = amount

    def _notify(self) -> None:
        for rule, amount in self.batch.items():
            self.notify(rule, amount, self.lock_s)
        self.batch = {}


def _next_batch(most: int, lock_s: float) -> int:
    """Return how many rows the next batch may have, so that it holds the lock for _LOCK_S. Pure."""
    return min(_MOST, max(_FEWEST, round(most * min(2.0, _LOCK_S / max(lock_s, 0.001)))))


def _rule_of(domain: RetainedDomain, row: Row[Any]) -> Rule:
    """Return the rule by which the audio of a segment is due."""
    return Rule(domain=domain.name, key=AUDIO, value=row.days, user=row.user if row.of_user else None)


def _rule_of_calls(domain: RetainedDomain) -> Rule:
    return Rule(domain=domain.name, key=CALLS, value=domain.calls_retention_days or 0)


async def _rule_of_quota(store: Store, domain: RetainedDomain) -> Rule | None:
    """Return the limit of its quota that a domain exceeds; None if it exceeds none."""
    exceeded = domain.quota.exceeded(await usage_of(store, domain.id)) if domain.quota else None
    return Rule(domain=domain.name, key=exceeded[0], value=exceeded[1]) if exceeded is not None else None
