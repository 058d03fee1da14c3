"""Settle calls: keep each in the journal and report it until the store has its last report."""

import asyncio
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call
from agent.monitoring import metrics
from agent.reporting.call_report import report
from agent.reporting.journal import Journal
from agent.rules.directory import Directory
from agent.shipping.call_shipper import CallShipper
from fonoteka.core.call_report import CallReport
from fonoteka.core.domains import DomainSettings

GATHER_S = 0.03  # a burst of events becomes one report
BETWEEN_S = 0.4  # on a busy PBX each report costs CPU (journal, request), and nobody sees the difference
_AT_A_TIME: Final = 8  # calls written to the journal before the next event is processed
_log = structlog.get_logger()


class CallSettlement:
    """The calls that the store does not have in full, and the reports that it has of them.

    `heard_at` is the time of the last event that was taken; `journalled` is called with it once the
    journal has all calls as they were then.
    """

    def __init__(self, calls: CallRegistry, journal: Journal, pbx: str) -> None:
        self._calls, self._journal, self._pbx = calls, journal, pbx
        self._directory = Directory(settings=DomainSettings(version=0))
        self._changed: set[str] = set()
        self._wakeup = asyncio.Event()
        self.heard_at: datetime | None = None
        self.journalled: Callable[[datetime], None] = lambda _: None
        self._sent: dict[str, CallReport] = {}
        self._acknowledged: dict[str, int] = {}
        self._forgotten: set[str] = set()
        self._disk = ThreadPoolExecutor(1, "journal")  # one thread, so that no write follows a removal

    def report(self, call: Call) -> CallReport | None:
        """Return the report of a call, or None while its domain is not known."""
        domain = self._directory.domain_of(call)
        return report(call, domain, self._pbx) if domain is not None else None

    def changed(self, call: Call) -> None:
        """Schedule a call that has changed for the journal and the store."""
        self._changed.add(call.linkedid)
        self._wakeup.set()

    def note_heard(self) -> None:
        """Call `journalled` soon, though no call has changed."""
        self._wakeup.set()

    def directory_changed(self, directory: Directory) -> None:
        """Schedule all calls: the domain of a call, or the store's answer, may be another now."""
        self._directory = directory
        for call in self._calls.calls.values():
            self.changed(call)

    async def run(self, shipper: CallShipper) -> None:
        """Write changed calls to the journal, then hand their reports to the shipper."""
        last = 0.0
        while True:
            await self._wakeup.wait()
            await asyncio.sleep(max(GATHER_S, last + BETWEEN_S - time.monotonic()))
            last = time.monotonic()
            self._wakeup.clear()
            changed, self._changed, heard_at = self._changed, set(), self.heard_at
            try:
                await self._write(changed)
            except BaseException:
                self._changed |= changed
                raise
            if heard_at is not None:
                self.journalled(heard_at)
            for linkedid in changed:
                call = self._calls.calls.get(linkedid)
                if call is not None:
                    self._ship(call, shipper)

    def _ship(self, call: Call, shipper: CallShipper) -> None:
        try:
            current = self.report(call)
        except Exception:  # one bad call never stops the next
            metrics.ERRORS.inc()
            _log.exception("call.report_failed", linkedid=call.linkedid)
            return
        if current is not None and self._is_acknowledged(current):
            self.acknowledged(current.linkedid, current.revision)
        elif current is not None:
            self._sent[current.linkedid] = current
            shipper.send(current)
        elif call.settled and not any(recording.segment for recording in call.recordings):
            _log.info("call.dropped", linkedid=call.linkedid, reason="no domain has such a number or user")
            metrics.NOBODYS_CALLS.inc()
            self._forget(call.linkedid)

    def _is_acknowledged(self, current: CallReport) -> bool:
        """Return whether the store has this report, apart from its revision.

        What happens to a closed recording changes the call's revision, but not its report.
        """
        sent = self._sent.get(current.linkedid)
        if sent is None or sent.revision > self._acknowledged.get(current.linkedid, -1):
            return False
        return replace(current, revision=sent.revision) == sent

    def keep(self, call: Call) -> None:
        """Write a call in progress to the journal now, before an action that outlives this process.

        Waits for no other call and for no disk: the file must survive the process, not the machine.
        """
        current = self._calls.call(call.linkedid)
        if current is not None and current.ended_at is None:
            self._journal.write(current)

    async def close(self) -> None:
        """Write the changed calls to the journal."""
        await self._write(frozenset(self._changed))
        self._disk.shutdown()

    async def _write(self, linkedids: Collection[str]) -> None:
        """Write calls in progress here, between events; a thread flushes ended calls to disk."""
        forgotten, self._forgotten = self._forgotten, set()
        ended = []
        for number, linkedid in enumerate(linkedids, 1):
            call = self._calls.calls.get(linkedid)
            if call is not None and call.ended_at is not None:
                ended.append(call)
            elif call is not None:
                self._journal.write(call)
                if number % _AT_A_TIME == 0:
                    await asyncio.sleep(0)
        if ended or forgotten:
            await asyncio.get_running_loop().run_in_executor(self._disk, self._flush, ended, forgotten)

    def _flush(self, ended: Collection[Call], forgotten: Collection[str]) -> None:
        for linkedid in forgotten:
            self._journal.remove(linkedid)
        for call in ended:
            self._journal.write(call, sync=True)
        self._journal.sync()

    def acknowledged(self, linkedid: str, revision: int) -> None:
        """Note that the store has this revision of the call, or will never take it."""
        call = self._calls.calls.get(linkedid)
        if call is None:
            return
        self._acknowledged[linkedid] = revision
        if call.settled and revision == call.revision:
            self._forget(linkedid)

    def _forget(self, linkedid: str) -> None:
        self._calls.forget(linkedid)
        self._acknowledged.pop(linkedid, None)
        self._sent.pop(linkedid, None)
        self._forgotten.add(linkedid)
        self._wakeup.set()
