"""Say whether the store takes calls and recordings, for `/readyz`."""

import asyncio
import math
import shutil
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from fonoteka.core.errors import StoreError
from store.database.dialect import index_file
from store.database.object_places import UsedPlace, used_places
from store.database.store import Store
from store.provisioning.directory import lock_settings

_PATIENCE_S: Final = 3.0
# Anybody may ask, and each check takes the write lock: the answer of one serves all for a moment.
_KEPT_S: Final = 1.0
_BUCKETS_KEPT_S: Final = 30.0
LEAST_FREE_BYTES: Final = 100 * 1024**2
log = structlog.get_logger()

Check = Callable[[], Awaitable[None]]


class Readiness:
    """The checks of the store; each runs once at a time, also if it hangs."""

    @property
    def kept_s(self) -> float:
        """For how long an answer serves all who ask."""
        return _KEPT_S

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._running: dict[str, asyncio.Task[None]] = {}
        self._asking = asyncio.Lock()
        self._problems: tuple[str, ...] = ()
        self._checked_at = -math.inf

    async def problems(self) -> tuple[str, ...]:
        """Return what is wrong, by configuration key; nothing if the store is ready."""
        async with self._asking:
            if time.monotonic() - self._checked_at >= self.kept_s:
                self._checks = await self.checks()
                found = await asyncio.gather(*map(self._problem, self._checks))
                self.report(tuple(problem for problem in found if problem is not None))
                self._checked_at = time.monotonic()
            return self._problems

    async def checks(self) -> Mapping[str, Check]:
        """Return the checks, by configuration key. Raises StoreError."""
        return self._checks

    async def _problem(self, name: str) -> str | None:
        task = self._running.get(name)
        if task is None:
            task = self._running[name] = asyncio.ensure_future(self._checks[name]())
        done, _ = await asyncio.wait({task}, timeout=_PATIENCE_S)
        if not done:
            return f"{name}: locked or out of reach, no answer within {_PATIENCE_S:.0f} s"
        del self._running[name]
        error = task.exception()
        if isinstance(error, StoreError):
            return f"{name}: {error}"
        if error is not None:
            raise error
        return None

    def report(self, problems: tuple[str, ...]) -> None:
        """Log what is wrong, if it is something else than before."""
        if problems and problems != self._problems:
            log.error("api.not_ready", reason="; ".join(problems))
        elif self._problems and not problems:
            log.info("api.ready_again")
        self._problems = problems


def readiness_of(store: Store) -> Readiness:
    """Return the checks of a store: index and objects take writes, and their disks have space."""
    return Readiness({"store.database": partial(_check_index, store), "store.objects": partial(_check_objects, store)})


class BucketReadiness(Readiness):
    """The checks of the buckets of domains: of no other domain's recordings they say anything."""

    def __init__(self, store: Store) -> None:
        super().__init__({})
        self._store = store

    @property
    def kept_s(self) -> float:
        """For how long an answer serves all who ask: each check writes into all buckets."""
        return _BUCKETS_KEPT_S

    async def checks(self) -> Mapping[str, Check]:
        """Return a check for each domain with a bucket of its own."""
        async with self._store.reading() as connection:
            used = await used_places(connection)
        return {f"objects of domain {each.domain}": partial(_check_bucket, self._store, each) for each in used}

    def report(self, problems: tuple[str, ...]) -> None:
        """Log nothing: the checks do, as the answer does not say where a bucket is."""
        self._problems = problems


async def _check_bucket(store: Store, used: UsedPlace) -> None:
    try:
        await asyncio.to_thread((await store.objects.at(used.place)).probe)
    except StoreError as error:
        log.warning("objects.out_of_reach", domain=used.domain, reason=str(error.__cause__ or error))
        raise


async def _check_index(store: Store) -> None:
    try:
        await lock_settings(store)
    except StoreError as error:
        raise StoreError(f"takes no writes: {_reason(error)}") from error
    await store.check_place()
    if (file := index_file(store.engine)) is not None:
        await asyncio.to_thread(_check_space, file.parent)


async def _check_objects(store: Store) -> None:
    await asyncio.to_thread(store.objects.probe)
    await asyncio.to_thread(_check_space, store.objects.workspace)


def _check_space(folder: Path) -> None:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise StoreError(f"the folder cannot be read: {error.strerror}") from error
    if free < LEAST_FREE_BYTES:
        raise StoreError(f"the disk is full: {free // 1024**2} MiB are free, at least {LEAST_FREE_BYTES // 1024**2} are needed")


def _reason(error: StoreError) -> str:
    """Return what SQLite says; of a server's error only the kind, as its text has addresses."""
    cause = getattr(error.__cause__, "orig", None) or error.__cause__
    return str(cause) if isinstance(cause, sqlite3.Error) else type(getattr(cause, "__cause__", None) or cause).__name__
