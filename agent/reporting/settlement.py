"""Until a call is settled: kept in the journal, told to the store, and forgotten once the store has its last word."""

import asyncio
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import structlog

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call
from agent.monitoring import metrics
from agent.reporting.call_report import report
from agent.reporting.journal import Journal
from agent.rules.directory import Directory
from agent.shipping.shippers import CallShipper
from fonoteka.core.call_report import CallReport
from fonoteka.core.domains import DomainSettings

GATHER_S = 0.03  # a burst of events becomes one report
BETWEEN_S = 0.4  # on a busy PBX each telling costs CPU (journal, request), and nobody sees the difference
_AT_A_TIME: Final = 8  # calls written down before the next event has its turn
_log = structlog.get_logger()


class Settling:
    """What the store knows of the switchboard's calls, and what it must still be told."""

    def __init__(self, calls: CallRegistry, journal: Journal, pbx: str) -> None:
        self._calls, self._journal, self._pbx = calls, journal, pbx
        self._directory = Directory(settings=DomainSettings(version=0))
        self._changed: set[str] = set()
        self._news = asyncio.Event()
        self._sent: dict[str, CallReport] = {}
        self._acknowledged: dict[str, int] = {}
        self._forgotten: set[str] = set()
        self._syncing = ThreadPoolExecutor(1, "journal")  # one, so that a forgotten call does not come back

    def told(self, call: Call) -> CallReport | None:
        """The call's report, or None while no company can be named for it."""
        company = self._directory.domain_of(call)
        return report(call, company, self._pbx) if company is not None else None

    def changed(self, call: Call) -> None:
        """The call is not what it was."""
        self._changed.add(call.linkedid)
        self._news.set()

    def directory_changed(self, directory: Directory) -> None:
        """Another company may now be named for a call, and what the store refused may now be taken."""
        self._directory = directory
        for call in self._calls.calls.values():
            self.changed(call)

    async def run(self, shipper: CallShipper) -> None:
        """Write changed calls to the journal, then hand their reports to the shipper, until cancelled."""
        told_at = 0.0
        while True:
            await self._news.wait()
            await asyncio.sleep(max(GATHER_S, told_at + BETWEEN_S - time.monotonic()))
            told_at = time.monotonic()
            self._news.clear()
            changed, self._changed = self._changed, set()
            try:
                await self._keep_all(changed)
            except BaseException:
                self._changed |= changed
                raise
            for linkedid in changed:
                call = self._calls.calls.get(linkedid)
                if call is not None:
                    self._tell(call, shipper)

    def _tell(self, call: Call, shipper: CallShipper) -> None:
        try:
            told = self.told(call)
        except Exception:  # one bad call never stops the next
            metrics.ERRORS.inc()
            _log.exception("call.not_reported", linkedid=call.linkedid)
            return
        if told is not None and self._is_known(told):
            self.acknowledged(told.linkedid, told.revision)
        elif told is not None:
            self._sent[told.linkedid] = told
            shipper.send(told)
        elif call.settled and not any(known.segment for known in call.recordings):
            _log.info("call.nobodys", linkedid=call.linkedid, hint="no company has such a number or user")
            metrics.NOBODYS_CALLS.inc()
            self._forget(call.linkedid)

    def _is_known(self, told: CallReport) -> bool:
        """Whether the store has just this already: what becomes of a recording once it is closed concerns us alone."""
        sent = self._sent.get(told.linkedid)
        if sent is None or sent.revision > self._acknowledged.get(told.linkedid, -1):
            return False
        return replace(told, revision=sent.revision) == sent

    def keep(self, call: Call) -> None:
        """Make the journal say now what is known of a call that goes on: what is begun next must survive us.

        It waits for no other call and for no disk: what a living call's file needs to survive is this process's death alone.
        """
        now = self._calls.call(call.linkedid)
        if now is not None and now.ended_at is None:
            self._journal.write(now)

    async def close(self) -> None:
        """Write down what is known now."""
        await self._keep_all(frozenset(self._changed))
        self._syncing.shutdown()

    async def _keep_all(self, linkedids: Collection[str]) -> None:
        """Calls that go on are written here, in between events; a thread waits for the disk to have those that are over."""
        forgotten, self._forgotten = self._forgotten, set()
        over = []
        for number, linkedid in enumerate(linkedids, 1):
            call = self._calls.calls.get(linkedid)
            if call is not None and call.ended_at is not None:
                over.append(call)
            elif call is not None:
                self._journal.write(call)
                if number % _AT_A_TIME == 0:
                    await asyncio.sleep(0)
        if over or forgotten:
            await asyncio.get_running_loop().run_in_executor(self._syncing, self._settle_in_journal, over, forgotten)

    def _settle_in_journal(self, over: Collection[Call], forgotten: Collection[str]) -> None:
        for linkedid in forgotten:
            self._journal.remove(linkedid)
        for call in over:
            self._journal.write(call, sync=True)
        self._journal.sync()

    def acknowledged(self, linkedid: str, revision: int) -> None:
        """The store has this revision of the call, or will never take it."""
        if linkedid in self._calls.calls:
            self._acknowledged[linkedid] = revision
            self._settle(linkedid)

    def _settle(self, linkedid: str) -> None:
        call = self._calls.calls[linkedid]
        if call.settled and self._acknowledged.get(linkedid) == call.revision:
            self._forget(linkedid)

    def _forget(self, linkedid: str) -> None:
        self._calls.forget(linkedid)
        self._acknowledged.pop(linkedid, None)
        self._sent.pop(linkedid, None)
        self._forgotten.add(linkedid)
        self._news.set()
