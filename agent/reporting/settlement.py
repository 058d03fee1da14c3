"""Settle calls: keep each in the journal and report it until the store has its last report."""

import asyncio
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call
from agent.calls.merge import merged_again
from agent.monitoring import metrics
from agent.reporting.call_report import report
from agent.reporting.journal import Journal, name_of
from agent.rules.companies import as_seen_by, domains_of
from agent.rules.directory import Directory, DomainIndex
from agent.shipping.call_shipper import CallShipper
from agent.shipping.refused_calls import linkedid_of, report_key
from fonoteka.core.call_report import CallReport
from fonoteka.core.domains import DomainSettings

GATHER_S = 0.03  # a burst of events becomes one report
BETWEEN_S = 0.4  # from one writing and reporting of changed calls to the next, at least
PER_CALL_S = 0.05  # for each call that had changed, if that is longer
MOST_BETWEEN_S = 1.5
AGAIN_S: Final = 5.0  # a call that the disk did not take is written again, and the journal read on
MOST_WAITING: Final = 400  # calls in memory that only wait, 6.5 kB each: two requests of reports
_AT_A_TIME: Final = 8  # calls written to the journal, or read, before the next event is processed
_log = structlog.get_logger()


def interval_s(changed: int) -> float:
    """Return the seconds from one writing of changed calls to the next.

    `changed` is how many calls had changed. Each writing and report of a call costs processor time,
    and a call changes five or six times: on a busy PBX, several changes of a call are reported
    together.
    """
    return min(MOST_BETWEEN_S, max(BETWEEN_S, changed * PER_CALL_S))


class CallSettlement:
    """The calls that the store does not have in full, and the reports that it has of them.

    `heard_at` is the time of the last event that was taken; `journalled` is called with it once the
    journal has all calls as they were then.

    While the store is away, calls gather that only wait for it. Those beyond MOST_WAITING are left
    to the journal. It is read again, in the order of names, as the store takes the reports before;
    `taken_up` is called with each call, as if the agent had just started. `_next` is the name from
    which on the journal may have reports that neither the shipper nor the store has, else None.
    """

    def __init__(self, calls: CallRegistry, journal: Journal, pbx: str) -> None:
        self._calls, self._journal, self._pbx = calls, journal, pbx
        self._directory = Directory(settings=DomainSettings(version=0))
        self._changed: set[str] = set()
        self._unwritten: set[str] = set()
        self._write_again_at = 0.0
        self._next: str | None = None
        self.taken_up: Callable[[Call], None] = lambda _: None
        self._wakeup = asyncio.Event()
        self.heard_at: datetime | None = None
        self.journalled: Callable[[datetime], None] = lambda _: None
        self._sent: dict[str, dict[str, CallReport]] = {}  # of each call by the keys of its reports
        self._acknowledged: dict[str, dict[str, int]] = {}
        self._forgotten: set[str] = set()
        self._disk = ThreadPoolExecutor(1, "journal")  # one thread, so that no write follows a removal

    def restore(self, heard_until: datetime | None) -> None:
        """Read the calls of an earlier run, but for those that only wait: `run` takes these up.

        Calls that have ended after `heard_until` are needed, as the gap begins there. Those before
        have no part that the earlier run has not written as such.
        """
        calls = []
        for call in self._journal.read():
            ended = call.ended_at if call.waits_for_store else None
            if ended is not None and heard_until is not None and ended <= heard_until:
                self._calls.leave(call)
            else:
                calls.append(call)
        self._calls.restore(merged_again(calls))

    def reports(self, call: Call) -> tuple[CallReport, ...]:
        """Return the report of a call for each domain that it concerns, while any is known."""
        first, *others = domains_of(call, self._directory) or (None,)
        if first is None:
            return ()
        further = (replace(self._report(call, domain), further=True) for domain in others)
        return (self._report(call, first), *further)

    def report(self, call: Call, domain: str | None = None) -> CallReport | None:
        """Return the report of a call for a domain (its name); without one for the first.

        None if the call does not concern the domain, and while no domain is known.
        """
        return next((each for each in self.reports(call) if not domain or each.domain == domain), None)

    def _report(self, call: Call, domain: DomainIndex) -> CallReport:
        return report(as_seen_by(call, domain, self._directory), domain, self._pbx)

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
        self._next = ""
        self._wakeup.set()

    async def run(self, shipper: CallShipper) -> None:
        """Write changed calls to the journal, then hand their reports to the shipper."""
        last, between_s = 0.0, BETWEEN_S
        while True:
            await self._woken()
            await asyncio.sleep(max(GATHER_S, last + between_s - time.monotonic()))
            last = time.monotonic()
            self._wakeup.clear()
            changed, self._changed, heard_at = self._changed, set(), self.heard_at
            between_s = interval_s(len(changed))
            again = self._unwritten.copy() if last >= self._write_again_at else set[str]()
            try:
                await self._write(changed | again)
            except BaseException:
                self._changed |= changed | again
                raise
            if heard_at is not None and not self._unwritten:
                self.journalled(heard_at)
            for linkedid in sorted(changed):
                call = self._calls.calls.get(linkedid)
                if call is not None:
                    self._ship(call, shipper)
            self._leave_to_journal(shipper)
            await self._read_on(shipper)

    async def _woken(self) -> None:
        """Return when a call has changed, or after AGAIN_S while something is left to do."""
        with suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_S if self._unwritten or self._next is not None else None):
                await self._wakeup.wait()

    def _leave_to_journal(self, shipper: CallShipper) -> None:
        """Drop calls beyond MOST_WAITING from memory.

        Of those whose reports wait the newest, which are read again; of the others the oldest.
        """
        unwritten = self._changed | self._unwritten
        idle = [call for call in self._calls.calls.values() if call.waits_for_store and call.linkedid not in unwritten]
        waits = {call.linkedid for call in idle if any(key in shipper for key in self._sent.get(call.linkedid, ()))}
        waiting = sorted((call for call in idle if call.linkedid in waits), key=lambda call: name_of(call.linkedid))
        others = [call for call in idle if call.linkedid not in waits]
        for call in (*waiting[MOST_WAITING:], *others[:-MOST_WAITING]):
            dropped = [shipper.drop(key) for key in self._sent.get(call.linkedid, ())]
            if any(dropped):
                name = name_of(call.linkedid)
                self._next = name if self._next is None else min(self._next, name)
            self._calls.leave(call)
            self._acknowledged.pop(call.linkedid, None)
            self._sent.pop(call.linkedid, None)

    async def _read_on(self, shipper: CallShipper) -> None:
        """Take up calls that were left to the journal, once there is room for their reports."""
        since, room = self._next, MOST_WAITING - shipper.waiting
        if since is None or room < MOST_WAITING // 2:
            return
        in_memory = frozenset(map(name_of, self._calls.calls))
        names, calls = await asyncio.get_running_loop().run_in_executor(self._disk, self._read, since, room, in_memory)
        if self._next == since:
            self._next = f"{names[-1]} " if len(names) == room else None  # no name has a space
            self._wakeup.set()
        for number, call in enumerate(calls, 1):
            if call.linkedid not in self._calls.calls and call.linkedid not in self._forgotten:
                self._take_up(call, shipper)
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)

    def _read(self, since: str, most: int, in_memory: Collection[str]) -> tuple[list[str], list[Call]]:
        names = self._journal.names(since, most)
        calls = (self._journal.call(name) for name in names if name not in in_memory)
        return names, [call for call in calls if call is not None]

    def _take_up(self, call: Call, shipper: CallShipper) -> None:
        self._calls.put(call)
        self.taken_up(call)
        if self._calls.calls.get(call.linkedid) is call:  # as the journal has it
            self._changed.discard(call.linkedid)
            self._ship(call, shipper)

    def _ship(self, call: Call, shipper: CallShipper) -> None:
        try:
            reports = self.reports(call)
        except Exception:  # one bad call never stops the next
            metrics.ERRORS.inc()
            _log.exception("call.report_failed", linkedid=call.linkedid)
            return
        for current in reports:
            if self._is_acknowledged(current):
                self.acknowledged(report_key(current), current.revision)
            else:
                self._sent.setdefault(call.linkedid, {})[report_key(current)] = current
                shipper.send(current)
        if not reports and call.settled and not any(recording.segment for recording in call.recordings):
            _log.info("call.dropped", linkedid=call.linkedid, reason="no domain has such a number or user")
            metrics.NOBODYS_CALLS.inc()
            self._forget(call.linkedid)

    def _is_acknowledged(self, current: CallReport) -> bool:
        """Return whether the store has this report, apart from its revision.

        What happens to a closed recording changes the call's revision, but not its report.
        """
        key = report_key(current)
        sent = self._sent.get(current.linkedid, {}).get(key)
        if sent is None or sent.revision > self._acknowledged.get(current.linkedid, {}).get(key, -1):
            return False
        return replace(current, revision=sent.revision) == sent

    def keep(self, call: Call) -> None:
        """Write a call in progress to the journal now, before an action that outlives this process.

        Waits for no other call and for no disk: the file must survive the process, not the machine.
        """
        current = self._calls.call(call.linkedid)
        if current is not None and current.ended_at is None and not self._journal.write(current):
            self._unwritten.add(current.linkedid)
            self._wakeup.set()

    async def write_changed(self) -> None:
        """Write the changed calls to the journal now."""
        await self._write(self._changed | self._unwritten)

    async def close(self) -> None:
        """Write the changed calls to the journal, and write nothing afterwards."""
        await self.write_changed()
        self._disk.shutdown()

    async def _write(self, linkedids: Collection[str]) -> None:
        """Write calls in progress here, between events; a thread flushes ended calls to disk.

        Those that the disk does not take are then in `_unwritten`.
        """
        self._unwritten.difference_update(linkedids)
        forgotten, self._forgotten = self._forgotten - self._calls.calls.keys(), set()
        ended, failed = [], set[str]()
        for number, linkedid in enumerate(linkedids, 1):
            call = self._calls.calls.get(linkedid)
            if call is not None and call.ended_at is not None:
                ended.append(call)
            elif call is not None:
                if not self._journal.write(call):
                    failed.add(linkedid)
                if number % _AT_A_TIME == 0:
                    await asyncio.sleep(0)
        if ended or forgotten:
            # A call before its parts: with a part alone, a restarted agent would not find the call.
            ended.sort(key=lambda call: call.merged_into != "")
            failed |= await asyncio.get_running_loop().run_in_executor(self._disk, self._flush, ended, forgotten)
        self._unwritten |= failed & self._calls.calls.keys()
        if failed:
            self._write_again_at = time.monotonic() + AGAIN_S

    def _flush(self, ended: Collection[Call], forgotten: Collection[str]) -> set[str]:
        """Returns the calls that could not be written."""
        for linkedid in forgotten:
            self._journal.remove(linkedid)
        failed = {call.linkedid for call in ended if not self._journal.write(call, sync=True)}
        self._journal.sync()
        return failed

    def acknowledged(self, key: str, revision: int) -> None:
        """Note that the store has this revision of a report (its key), or will never take it.

        The call is settled once that is so for each domain that it concerns.
        """
        linkedid = linkedid_of(key)
        if self._next is not None:
            self._wakeup.set()
        call = self._calls.calls.get(linkedid)
        if call is None:
            return
        stored = self._acknowledged.setdefault(linkedid, {})
        stored[key] = revision
        keys = self._sent.get(linkedid, {key: None})
        if call.settled and all(stored.get(each) == call.revision for each in keys):
            self._forget(linkedid)

    def _forget(self, linkedid: str) -> None:
        self._calls.forget(linkedid)
        self._acknowledged.pop(linkedid, None)
        self._sent.pop(linkedid, None)
        self._unwritten.discard(linkedid)
        self._forgotten.add(linkedid)
        self._wakeup.set()
