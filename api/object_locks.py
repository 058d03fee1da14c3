"""Keep the recordings of calls under legal hold locked in a bucket that has object lock.

It is done at the start, right after a hold is set or released, within a minute after a change of
calls or recordings, and each hour. At the start and each day all recordings are locked once more:
the objects may have moved to another bucket, or somebody may have unlocked one. Of several replicas
one does so at a time.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Final

import structlog

from fonoteka.core.errors import StoreError
from store.database.store import Store
from store.retention.object_locks import settle_locks

_EACH_S: Final = 60.0
_ANYWAY_S: Final = 3600.0
_AFRESH_S: Final = 24 * 3600.0

log = structlog.get_logger()


class ObjectLocks:
    """The locks of one store. `unlocked` is called with the recordings that could not be locked."""

    def __init__(self, store: Store, *, unlocked: Callable[[int], None]) -> None:
        self._store, self._unlocked = store, unlocked
        self._hold_changed = asyncio.Event()
        self._may_differ = True
        self._fails = False
        self._looked_s = self._afresh_s = float("-inf")

    def hold_changed(self) -> None:
        """Look at once."""
        self._may_differ = True
        self._hold_changed.set()

    def look(self) -> None:
        """Look within a minute: calls or recordings changed."""
        self._may_differ = True

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._hold_changed.clear()
            if self._may_differ or monotonic() - self._looked_s >= _ANYWAY_S:
                await self.settle()
            with suppress(TimeoutError):
                async with asyncio.timeout(_EACH_S):
                    await self._hold_changed.wait()

    async def settle(self) -> None:
        """Lock and unlock what differs; what fails is tried again in a minute.

        A failure is logged once, until it is over.
        """
        now_s = self._looked_s = monotonic()
        is_afresh, self._may_differ = now_s - self._afresh_s >= _AFRESH_S, False
        try:
            done = await settle_locks(self._store, afresh=is_afresh)
        except StoreError as error:
            self._tell(str(error), 0)
            return
        if done.is_busy:
            self._may_differ = True
            return
        self._unlocked(done.unlocked)
        if (done.locked and not is_afresh) or done.released:
            log.info("objects.locked", locked=done.locked, released=done.released)
        self._tell(done.reason, done.unlocked)
        if is_afresh and not done.failures:
            self._afresh_s = now_s

    def _tell(self, reason: str | None, unlocked: int) -> None:
        if reason is not None and not self._fails:
            log.error("objects.not_locked", reason=reason, recordings=unlocked)
        self._fails = reason is not None
        self._may_differ |= self._fails  # a hold may have changed meanwhile
