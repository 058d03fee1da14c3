"""Ship the reports of calls to the API. No report holds up the others."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from agent.shipping.api_client import ApiClient, encoded
from agent.shipping.refused_calls import RefusedCalls, report_key
from fonoteka.core.agent_protocol import CallReceipt
from fonoteka.core.backoff import Backoff
from fonoteka.core.call_report import CallReport
from fonoteka.core.errors import ShipDeferred, ShipError, ShipRefused

BATCH: Final = 200
BATCH_BYTES: Final = 1_000_000  # the API takes 4 MiB, a proxy often no more than 1 MB
GATHER_S: Final = 0.05  # changes of one moment travel together
RESCAN_S: Final = 5.0  # for reports that an operator sends again, and that the disk had no room for
_log = structlog.get_logger()


class CallShipper:
    """Ships the newest report of each changed call. Calls `acknowledged` once the store has it.

    Reports are known by their keys (`report_key`): a call of several domains has several.

    A batch that is refused, or that the API fails on, is halved until the report that is to blame
    travels alone. If the store will never take it, it is kept in `refused/` and acknowledged; else
    the reports behind it go first. If the disk has no room to keep it, it is sent again later.
    """

    def __init__(self, api: ApiClient, refused: RefusedCalls, acknowledged: Callable[[str, int], None]) -> None:
        self._api, self._refused = api, refused
        self._acknowledged = acknowledged
        self._waiting: dict[str, CallReport] = {}
        self._not_set_aside: dict[str, CallReport] = {}
        self._wakeup = asyncio.Event()
        self._most, self._rescan_at = BATCH, 0.0

    def send(self, report: CallReport) -> None:
        """Queue a report; a newer report of the same call and domain replaces it."""
        self._not_set_aside.pop(report_key(report), None)
        self._waiting[report_key(report)] = report
        self._wakeup.set()

    def drop(self, key: str) -> bool:
        """Forget a report. Returns whether it is still to be sent."""
        waiting, not_set_aside = self._waiting.pop(key, None), self._not_set_aside.pop(key, None)
        return waiting is not None or not_set_aside is not None

    def __contains__(self, key: str) -> bool:
        """Whether a report waits."""
        return key in self._waiting

    @property
    def waiting(self) -> int:
        """The number of reports that wait."""
        return len(self._waiting)

    async def run(self) -> None:
        """Ship until cancelled. The wait grows with each failure."""
        backoff = Backoff()
        while True:
            await self._report_is_waiting()
            try:
                await self._ship(self._next_batch())
            except ShipError as error:
                wait_s = backoff.next_s()
                _log.warning("calls.ship_failed", calls=len(self._waiting), reason=str(error), retry_in_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)
            else:
                backoff.reset()

    async def _report_is_waiting(self) -> None:
        while True:
            if time.monotonic() >= self._rescan_at:
                asked_again = await asyncio.to_thread(self._refused.asked_again)
                for report in (*self._not_set_aside.values(), *asked_again):
                    self._waiting.setdefault(report_key(report), report)
                self._not_set_aside.clear()
                self._rescan_at = time.monotonic() + RESCAN_S
            if self._waiting:
                await asyncio.sleep(GATHER_S)
                return
            self._wakeup.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(RESCAN_S):
                    await self._wakeup.wait()

    def _next_batch(self) -> list[tuple[CallReport, bytes]]:
        """Return the oldest reports that fit into a batch, at least one."""
        batch: list[tuple[CallReport, bytes]] = []
        size_bytes = 0
        for report in self._waiting.values():
            content = encoded(report)
            size_bytes += len(content) + 1
            if batch and (len(batch) == self._most or size_bytes > BATCH_BYTES):
                break
            batch.append((report, content))
        return batch

    async def _ship(self, batch: list[tuple[CallReport, bytes]]) -> None:
        """Ship a batch, or find out which report of it is to blame. Raises ShipError."""
        try:
            receipts = (await self._api.put_calls([content for _, content in batch])).receipts
        except (ShipRefused, ShipDeferred) as error:
            if len(batch) > 1:
                self._most = len(batch) // 2
                _log.warning("calls.batch_halved", calls=len(batch), reason=str(error))
                return
            ((report, _),) = batch
            if isinstance(error, ShipDeferred):
                self._put_last(report)
                raise
            receipts = (CallReceipt(linkedid=report.linkedid, revision=report.revision, refused=str(error)),)
        if [receipt.linkedid for receipt in receipts] != [report.linkedid for report, _ in batch]:
            raise ShipError("the API gave receipts for other calls than were sent")
        self._most = min(BATCH, 2 * self._most)
        for (report, _), receipt in zip(batch, receipts, strict=True):
            await self._take(report, receipt)

    def _put_last(self, report: CallReport) -> None:
        if (newest := self._waiting.pop(report_key(report), None)) is not None:
            self._waiting[report_key(report)] = newest

    async def _take(self, report: CallReport, receipt: CallReceipt) -> None:
        key = report_key(report)
        if self._waiting.get(key) is report:
            del self._waiting[key]
        kept = key in self._refused
        if receipt.deleted or receipt.refused is None:
            if kept:
                await asyncio.to_thread(self._refused.remove, key)
        else:
            _log.error("call.refused", linkedid=report.linkedid, reason=receipt.refused, sent_again=receipt.retry)
            if (kept or not receipt.retry) and not await self._keep(report, receipt.refused):
                if key not in self._waiting:
                    self._not_set_aside[key] = report
                return
        if not receipt.retry:
            self._acknowledged(key, report.revision)

    async def _keep(self, report: CallReport, reason: str) -> bool:
        """Keep a refused report. False: the disk is full; the report is sent again later."""
        try:
            await asyncio.to_thread(self._refused.keep, report, reason)
        except OSError as error:
            _log.error("call.not_set_aside", linkedid=report.linkedid, reason=str(error))
            return False
        return True
