"""Shipping: calls as they change, recordings as the mixer finishes them. Nothing is deleted without the store's receipt."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import structlog
from asyncinotify import Inotify, Mask

from agent.shipping.api_client import Api
from fonoteka.core.agent_protocol import CallReceipt
from fonoteka.core.backoff import Backoff
from fonoteka.core.call_report import CallReport, Reason
from fonoteka.core.errors import ShipError, ShipRefused, SpoolError
from fonoteka.core.manifest import Failure, Mixed, read_manifest, read_mixed, write_failure
from fonoteka.core.spool import ItemState, Spool

BATCH = 200
GATHER_S = 0.05  # changes of one moment travel together
RESCAN_S = 5.0
_log = structlog.get_logger()


class CallShipper:
    """Ships the newest report of every call that changed. `acknowledged` is called once the store has a report."""

    def __init__(self, api: Api, acknowledged: Callable[[str, int], None]) -> None:
        self._api = api
        self._acknowledged = acknowledged
        self._waiting: dict[str, CallReport] = {}
        self._news = asyncio.Event()

    def send(self, report: CallReport) -> None:
        """Take a report; a newer one of the same call replaces it."""
        self._waiting[report.linkedid] = report
        self._news.set()

    async def run(self) -> None:
        """Ship until cancelled, waiting longer after each failure."""
        backoff = Backoff()
        while True:
            await self._news.wait()
            await asyncio.sleep(GATHER_S)
            batch = list(self._waiting.values())[:BATCH]
            try:
                answer = await self._api.put_calls(batch)
                if [receipt.linkedid for receipt in answer.receipts] != [report.linkedid for report in batch]:
                    raise ShipError("the API gave receipts for other calls than were sent")
            except ShipError as error:
                wait_s = backoff.next_s()
                _log.warning("calls.not_shipped", calls=len(self._waiting), error=str(error), retry_in_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)
                continue
            backoff.reset()
            for report, receipt in zip(batch, answer.receipts, strict=True):
                self._take(report, receipt)
            if not self._waiting:
                self._news.clear()

    def _take(self, report: CallReport, receipt: CallReceipt) -> None:
        if self._waiting.get(report.linkedid) is report:
            del self._waiting[report.linkedid]
        if receipt.refused is not None:
            _log.error("call.refused", linkedid=report.linkedid, why=receipt.refused, kept=receipt.retry)
        if not receipt.retry:
            self._acknowledged(report.linkedid, report.revision)


class RecordingShipper:
    """Ships what lies in `mixed/` and tells of what lies in `rejected/`."""

    def __init__(
        self,
        api: Api,
        spool: Spool,
        shipped: Callable[[Path, str], None],
        rejected: Callable[[Path], None],
    ) -> None:
        self._api, self._spool = api, spool
        self._shipped, self._rejected = shipped, rejected
        self._told: set[str] = set()

    async def run(self) -> None:
        """Ship until cancelled; woken by the mixer's renames, and by a look around every few seconds."""
        backoff = Backoff()
        with Inotify() as inotify:
            for state in (ItemState.MIXED, ItemState.REJECTED):
                inotify.add_watch(self._spool.folder(state), Mask.MOVED_TO | Mask.ONLYDIR)
            while True:
                try:
                    for item in self._spool.items(ItemState.MIXED):
                        await self._ship(item)
                except ShipError as error:
                    wait_s = backoff.next_s()
                    _log.warning("recordings.not_shipped", error=str(error), retry_in_s=round(wait_s, 1))
                    await asyncio.sleep(wait_s)
                else:
                    backoff.reset()
                    await _woken(inotify)
                self._tell_rejected()

    def _tell_rejected(self) -> None:
        for item in self._spool.items(ItemState.REJECTED):
            if item.name not in self._told:
                self._told.add(item.name)
                self._rejected(item)

    async def _ship(self, item: Path) -> None:
        """Ship one item; what is wrong with the item itself sets it aside, what is wrong with the API is raised."""
        try:
            manifest, mixed = read_manifest(item), read_mixed(item)
            await self._deliver(item, mixed)
        except (SpoolError, ShipRefused, OSError, UnicodeError) as error:
            _log.error("recording.set_aside", segment=item.name, error=str(error))
            write_failure(item, Failure(reason=Reason.AUDIO_DAMAGED, detail=str(error)))
            self._spool.move(item, ItemState.REJECTED)
            return
        _log.info(
            "recording.shipped",
            linkedid=manifest.call.linkedid,
            segment=item.name,
            duration_ms=mixed.duration_ms,
            size_bytes=mixed.size_bytes,
        )
        await asyncio.to_thread(shutil.rmtree, item)
        self._shipped(item, manifest.call.linkedid)

    async def _deliver(self, item: Path, mixed: Mixed) -> None:
        receipt = await self._api.put_recording(item, mixed)
        if receipt.sha256 != mixed.sha256:
            raise ShipError(f"the store's receipt for {item.name} names another SHA-256; the recording is kept and sent again")


async def _woken(inotify: Inotify) -> None:
    """Return at the next rename, or after RESCAN_S."""
    try:
        async with asyncio.timeout(RESCAN_S):
            await inotify.get()
    except TimeoutError:
        return
