"""Catch up after a gap in the connection to Asterisk, from the CEL journal.

A gap lasts from the last event that the agent has taken to the next login. First the calls that go
on, or that the agent knows, get the events that they lack: before the agent takes the next live
event. Then the calls that began and ended in the gap are folded in the background, some at a time.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import structlog
from pydantic import TypeAdapter

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call
from agent.calls.events import BridgeEntered, ChannelStarted, HoldingEntered
from agent.cel.journal import DISORDER, CelJournal, CelRow
from agent.cel.past_calls import PastCall, PastFold, missed_calls, related_ids, with_past
from agent.monitoring import metrics
from agent.recording.coordinator import RecordingCoordinator
from agent.recording.plan_past import plan_ended, plan_present
from agent.reporting.settlement import CallSettlement
from fonoteka.core.atomic_file import write_atomically
from fonoteka.core.plain_file import read_plain

AT_A_TIME: Final = 50  # events folded, or calls taken, before the next live event
MOST_UNSETTLED: Final = 500  # calls from the journal that the store has not acknowledged
MOST_GAPS: Final = 100
WRITTEN_WITHIN_S: Final = 0.05  # Asterisk writes the journal from a queue of its own
_STEP_S: Final = 0.1
PAUSE_S: Final = 0.05
_NOT_CONFIGURED: Final = "set pbx.cel_journal (asterisk_conf/cel.conf, cel_custom.conf): calls of this time are missing"
_SECONDS: Final = re.compile(r"(\d{9,11})\.\d+$")  # in a uniqueid, after the name of the system
_T = TypeVar("_T")
_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """A time in which the agent heard nothing. `known` are the ids that it followed itself."""

    since: datetime
    until: datetime
    read_until: datetime
    known: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Login:
    """What is known of Asterisk at a login: since when it was not heard, and its channels."""

    since: datetime | None
    until: datetime
    alive: frozenset[str]


_GAPS: Final = TypeAdapter(list[Gap])


class GapFolder:
    """Folds what happened in gaps. `pending` is the file that keeps gaps until they are folded."""

    def __init__(
        self,
        journal: CelJournal | None,
        pending: Path,
        registry: CallRegistry,
        coordinator: RecordingCoordinator,
        settling: CallSettlement,
    ) -> None:
        self._journal, self._pending = journal, pending
        self._registry, self._coordinator, self._settling = registry, coordinator, settling
        self._gaps = self._read()
        self._wakeup = asyncio.Event()
        self._writing = asyncio.Lock()

    async def go_on(
        self, since: datetime | None, until: datetime, listed: Iterable[ChannelStarted | HoldingEntered | BridgeEntered]
    ) -> None:
        """Bring known calls, and those that Asterisk lists, to their state at `until`.

        `since` is None where this agent has never heard this Asterisk.
        """
        alive = [event for event in listed if isinstance(event, ChannelStarted)]
        if self._journal is None:
            if since is not None:
                _log.warning("journal.not_configured", since=since, until=until, hint=_NOT_CONFIGURED)
            return
        login = _Login(since=since, until=until, alive=frozenset(event.uniqueid for event in alive))
        known = _ids(self._registry.calls.values()) | {each for event in alive for each in (event.uniqueid, event.linkedid)}
        begins = [_began_at(event) for event in alive if self._registry.call_of_channel(event.uniqueid) is None]
        begins += [call.started_at for call in self._registry.calls.values() if call.ended_at is None]
        await asyncio.sleep(WRITTEN_WITHIN_S)
        try:
            if begins:
                known = await self._fold_living(self._journal, min(begins) - DISORDER, login, known)
        except OSError as error:
            _log.error("journal.not_read", file=str(self._journal.path), reason=str(error))
        if since is not None:
            gap = Gap(since=since, until=until, read_until=datetime.now(UTC), known=known)
            if len(self._gaps) >= MOST_GAPS:
                lost = self._gaps[0]
                _log.error("gap.dropped", since=lost.since, until=lost.until, reason=f"more than {MOST_GAPS} gaps wait")
            await self._keep([*self._gaps, gap][-MOST_GAPS:])
            self._wakeup.set()

    async def _fold_living(self, journal: CelJournal, begin: datetime, login: _Login, known: frozenset[str]) -> frozenset[str]:
        """Fold the rows of known channels and calls. Returns their ids, and those related."""
        async for found in _in_steps(related_ids(journal.rows(begin, login.until), known)):
            known = found[-1] if found else known
        for past in await self._folded_calls(journal, begin, login.until, known):
            try:
                self._put(past, login)
            except Exception:  # one bad call never stops the next, nor the agent
                metrics.ERRORS.inc()
                _log.exception("journal.call_failed", linkedid=past.call.linkedid)
        return known

    async def _folded_calls(
        self, journal: CelJournal, begin: datetime, until: datetime, known: frozenset[str]
    ) -> Iterator[PastCall]:
        """Fold rows into calls; again if the settings, which decide on calls, come meanwhile."""
        while True:
            directory = self._coordinator.directory
            fold = PastFold(directory)
            async for _ in _in_steps(_folded(fold, journal.rows(begin, until), known)):
                pass
            if directory is self._coordinator.directory:
                return fold.calls()

    def _put(self, past: PastCall, login: _Login) -> None:
        """Give a call its state in the journal, unless the agent knows more of it."""
        linkedids = (past.call.linkedid, *(part.linkedid for part in past.parts))
        of_channels = (self._registry.call_of_channel(uniqueid) for uniqueid in _own(past.call))
        found = (*(self._registry.calls.get(linkedid) for linkedid in linkedids), *of_channels)
        known = [*{call.linkedid: call for call in found if call is not None}.values()]
        is_over = past.call.ended_at is not None and (login.since is None or past.call.ended_at <= login.since)
        if (not known and is_over) or (known and all(call.ended_at is not None for call in known)):
            return
        if not all(_own(call) <= _own(past.call) for call in known if not call.merged_into):
            _log.warning("journal.incomplete", linkedid=past.call.linkedid, hint="the call has channels that began before it")
            return
        call = with_past(known, past.call) if known else past.call
        for each in (*past.parts, call):
            self._registry.put(each)
            self._settling.changed(each)
        own = {recording.segment for each in known for recording in each.recordings}
        unrecorded = frozenset(recording.segment for recording in call.recordings) - own
        call = self._coordinator.adopt(call, unrecorded)
        effects = (*plan_ended(known, call), *plan_present(call, unrecorded, login.alive, login.until))
        self._coordinator.perform_all(call, effects, login.until)

    def settings_changed(self) -> None:
        """Try the gaps again that wait for settings."""
        self._wakeup.set()

    async def run(self) -> None:
        """Fold the calls that began and ended in each gap, until cancelled."""
        while True:
            self._wakeup.clear()
            await self.fold_missed()
            await self._wakeup.wait()

    async def fold_missed(self) -> None:
        """Fold the gaps there are; one that cannot be folded now waits."""
        for gap in list(self._gaps):
            if self._journal is not None and await self._fold_gap(self._journal, gap):
                await self._keep([other for other in self._gaps if other is not gap])

    async def _fold_gap(self, journal: CelJournal, gap: Gap) -> bool:
        """Return False without settings, or without a readable journal: the gap waits."""
        directory = self._coordinator.directory
        if not directory.settings.version:
            return False
        rows = journal.rows(gap.since - DISORDER, gap.read_until)
        calls = missed_calls(rows, since=gap.since, until=gap.until, known=gap.known, directory=directory)
        taken: set[str] = set()
        folded = 0
        try:
            async for batch in _in_steps(calls):
                for call in (call for past in batch for call in (*past.parts, past.call)):
                    if not self._registry.knows(call.linkedid):
                        taken.add(call.linkedid)
                        self._add(call)
                folded += len(batch)
                # The store is away: the calls are in the journal of CEL as well.
                while len(taken := taken & self._registry.calls.keys()) > MOST_UNSETTLED:  # noqa: ASYNC110
                    await asyncio.sleep(PAUSE_S)
        except OSError as error:
            _log.error("journal.not_read", file=str(journal.path), reason=str(error))
            return False
        _log.info("journal.folded", since=gap.since, until=gap.until, calls=folded, damaged_lines=journal.damaged)
        return True

    def _add(self, call: Call) -> None:
        """Add a call that began and ended in a gap. An error in a call does not stop others."""
        self._registry.put(call)
        self._settling.changed(call)
        try:
            self._coordinator.adopt(call)
        except Exception:
            metrics.ERRORS.inc()
            _log.exception("journal.call_failed", linkedid=call.linkedid)

    def _read(self) -> list[Gap]:
        try:
            return _GAPS.validate_json(read_plain(self._pending))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            _log.error("gaps.not_read", file=str(self._pending), reason=str(error))
            return []

    async def _keep(self, gaps: list[Gap]) -> None:
        self._gaps = gaps
        async with self._writing:
            await asyncio.to_thread(self._write, _GAPS.dump_json(self._gaps))

    def _write(self, data: bytes) -> None:
        try:
            write_atomically(self._pending, data, sync=True)
        except OSError as error:
            _log.error("gaps.not_written", file=str(self._pending), reason=str(error))


def _began_at(event: ChannelStarted) -> datetime:
    """Return when the call of a channel began: the first channel, now ended or not, names it."""
    named = _SECONDS.search(event.linkedid)
    return min(event.at, datetime.fromtimestamp(int(named[1]), UTC)) if named else event.at


def _own(call: Call) -> set[str]:
    return {channel.uniqueid for channel in call.own}


def _ids(calls: Iterable[Call]) -> frozenset[str]:
    return frozenset(each for call in calls for each in (call.linkedid, *call.channels))


def _folded(fold: PastFold, rows: Iterable[CelRow], known: frozenset[str]) -> Iterator[None]:
    for row in rows:
        yield None
        if row.linkedid in known or row.uniqueid in known:
            fold.take(row)


async def _in_steps(items: Iterator[_T | None]) -> AsyncIterator[list[_T]]:
    """Run a generator in a thread, a moment at a time, so that events and the end do not wait."""
    over = False
    while not over:
        step: tuple[list[_T], bool] = await asyncio.to_thread(_step, items)
        found, over = step
        yield found
        await asyncio.sleep(0 if over else PAUSE_S)


def _step(items: Iterator[_T | None]) -> tuple[list[_T], bool]:
    """Return the next items, and whether these were the last."""
    found: list[_T] = []
    deadline = time.monotonic() + _STEP_S
    for item in items:
        if item is not None:
            found.append(item)
        if len(found) >= AT_A_TIME or time.monotonic() > deadline:
            return found, False
    return found, True
