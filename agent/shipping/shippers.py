"""Ship calls and recordings to the API. Nothing is deleted without the receipt of the store."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import structlog
from asyncinotify import Inotify, Mask

from agent.shipping.api_client import ApiClient
from fonoteka.core.agent_protocol import CallReceipt
from fonoteka.core.backoff import Backoff
from fonoteka.core.call_report import CallReport, Reason
from fonoteka.core.errors import AlreadyShipped, RetentionOver, ShipError, ShipRefused, SpoolError
from fonoteka.core.manifest import Failure, Manifest, Mixed, read_manifest, read_mixed, write_failure
from fonoteka.core.spool import ItemState, Spool

BATCH = 200
GATHER_S = 0.05  # changes of one moment travel together
RESCAN_S = 5.0
_log = structlog.get_logger()


class CallShipper:
    """Ships the newest report of each changed call. Calls `acknowledged` once the store has it."""

    def __init__(self, api: ApiClient, acknowledged: Callable[[str, int], None]) -> None:
        self._api = api
        self._acknowledged = acknowledged
        self._waiting: dict[str, CallReport] = {}
        self._wakeup = asyncio.Event()

    def send(self, report: CallReport) -> None:
        """Queue a report; a newer report of the same call replaces it."""
        self._waiting[report.linkedid] = report
        self._wakeup.set()

    async def run(self) -> None:
        """Ship until cancelled. The wait grows with each failure."""
        backoff = Backoff()
        while True:
            await self._wakeup.wait()
            await asyncio.sleep(GATHER_S)
            batch = list(self._waiting.values())[:BATCH]
            try:
                receipts = (await self._api.put_calls(batch)).receipts
                if [receipt.linkedid for receipt in receipts] != [report.linkedid for report in batch]:
                    raise ShipError("the API gave receipts for other calls than were sent")
            except ShipError as error:
                wait_s = backoff.next_s()
                _log.warning("calls.ship_failed", calls=len(self._waiting), reason=str(error), retry_in_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)
                continue
            backoff.reset()
            for report, receipt in zip(batch, receipts, strict=True):
                self._take(report, receipt)
            if not self._waiting:
                self._wakeup.clear()

    def _take(self, report: CallReport, receipt: CallReceipt) -> None:
        if self._waiting.get(report.linkedid) is report:
            del self._waiting[report.linkedid]
        if receipt.refused is not None:
            _log.error("call.refused", linkedid=report.linkedid, reason=receipt.refused, kept=receipt.retry)
        if not receipt.retry:
            self._acknowledged(report.linkedid, report.revision)


class RecordingShipper:
    """Ships the recordings in `mixed/`, and reports those in `rejected/`."""

    def __init__(
        self,
        api: ApiClient,
        spool: Spool,
        shipped: Callable[[Path, str], None],
        rejected: Callable[[Path], None],
    ) -> None:
        self._api, self._spool = api, spool
        self._shipped, self._rejected = shipped, rejected
        self._reported: set[str] = set()

    async def run(self) -> None:
        """Ship until cancelled, at each rename by the mixer and every RESCAN_S seconds."""
        backoff = Backoff()
        with Inotify() as inotify:
            for state in (ItemState.MIXED, ItemState.REJECTED):
                inotify.add_watch(self._spool.folder(state), Mask.MOVED_TO | Mask.ONLYDIR)
            while True:
                try:
                    for folder in self._spool.items(ItemState.MIXED):
                        await self._ship(folder)
                except ShipError as error:
                    wait_s = backoff.next_s()
                    _log.warning("recordings.ship_failed", reason=str(error), retry_in_s=round(wait_s, 1))
                    await asyncio.sleep(wait_s)
                else:
                    backoff.reset()
                    await _woken(inotify)
                self._report_rejected()

    def _report_rejected(self) -> None:
        for folder in self._spool.items(ItemState.REJECTED):
            if folder.name not in self._reported:
                self._reported.add(folder.name)
                self._rejected(folder)

    async def _ship(self, folder: Path) -> None:
        """Ship a recording, and remove its folder. Raises ShipError if the API fails.

        A recording that is damaged, or that the API refuses, is moved to `rejected/`. If the API
        has other audio of the recording, the call has its audio: the recording counts as shipped.
        A recording that the API has deleted by its age is deleted here too.
        """
        try:
            manifest, mixed = read_manifest(folder), read_mixed(folder)
            await self._deliver(folder, mixed)
        except AlreadyShipped as error:
            self._reported.add(folder.name)
            self._set_aside(folder, error)
            self._shipped(folder, manifest.call.linkedid)
            return
        except RetentionOver as error:
            _log.warning("recording.expired", segment=folder.name, reason=str(error))
            await self._done(folder, manifest)
            return
        except (SpoolError, ShipRefused, OSError, UnicodeError) as error:
            self._set_aside(folder, error)
            return
        _log.info(
            "recording.shipped",
            linkedid=manifest.call.linkedid,
            segment=folder.name,
            duration_ms=mixed.duration_ms,
            size_bytes=mixed.size_bytes,
        )
        await self._done(folder, manifest)

    async def _done(self, folder: Path, manifest: Manifest) -> None:
        await asyncio.to_thread(shutil.rmtree, folder)
        self._shipped(folder, manifest.call.linkedid)

    def _set_aside(self, folder: Path, error: Exception) -> None:
        _log.error("recording.set_aside", segment=folder.name, reason=str(error))
        write_failure(folder, Failure(reason=Reason.AUDIO_DAMAGED, detail=str(error)))
        self._spool.move(folder, ItemState.REJECTED)

    async def _deliver(self, folder: Path, mixed: Mixed) -> None:
        receipt = await self._api.put_recording(folder, mixed)
        if receipt.sha256 != mixed.sha256:
            raise ShipError(f"the store's receipt for {folder.name} names another SHA-256; the recording is kept and sent again")


async def _woken(inotify: Inotify) -> None:
    """Return at the next rename, or after RESCAN_S."""
    try:
        async with asyncio.timeout(RESCAN_S):
            await inotify.get()
    except TimeoutError:
        return
