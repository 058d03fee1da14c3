"""Catch up after a gap in the connection to Asterisk, from the CEL journal.

A gap lasts from the last event that the agent has taken to the next login. First the calls that go
on, or that the agent knows, get the events that they lack: before the agent takes the next live
event. Then the calls that began and ended in the gap are folded in the background, some at a time.
"""

import asyncio
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
from agent.calls.events import BridgeEntered, ChannelStarted, Event
from agent.cel.events import CelEvents
from agent.cel.journal import DISORDER, CelJournal
from agent.cel.missed_calls import missed_calls
from agent.recording.coordinator import RecordingCoordinator
from agent.recording.plan_past import PastPlan
from agent.reporting.settlement import CallSettlement
from fonoteka.core.atomic_file import write_atomically

AT_A_TIME: Final = 50  # events folded, or calls taken, before the next live event
MOST_UNSETTLED: Final = 500  # calls from the journal that the store has not acknowledged
MOST_GAPS: Final = 100
WRITTEN_WITHIN_S: Final = 0.05  # Asterisk writes the journal from a queue of its own
_STEP_S: Final = 0.1
_PAUSE_S: Final = 0.05
_NOT_CONFIGURED: Final = "set pbx.cel_journal (asterisk_conf/cel.conf, cel_custom.conf): calls of this time are missing"
_T = TypeVar("_T")
_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """A time in which the agent heard nothing. `known` are the ids that it followed itself."""

    since: datetime
    until: datetime
    read_until: datetime
    known: frozenset[str]


_GAPS: Final = TypeAdapter(list[Gap])


class GapFolder:
    """Folds what happened in gaps. `pending` is the file that keeps gaps until they are folded."""

    def __init__(
        self,
        journal: Path | None,
        pending: Path,
        registry: CallRegistry,
        coordinator: RecordingCoordinator,
        settling: CallSettlement,
    ) -> None:
        self._journal, self._pending = journal, pending
        self._registry, self._coordinator, self._settling = registry, coordinator, settling
        self._gaps = self._read()
        self._wakeup = asyncio.Event()

    async def go_on(self, since: datetime | None, until: datetime, listed: Iterable[ChannelStarted | BridgeEntered]) -> None:
        """Fold what known calls, and those that Asterisk lists, lack. Returns when that is done.

        `since` is None where this agent has never heard this Asterisk.
        """
        if self._journal is None:
            if since is not None:
                _log.warning("journal.not_configured", since=since, until=until, hint=_NOT_CONFIGURED)
            return
        alive = [event for event in listed if isinstance(event, ChannelStarted)]
        known = _ids(self._registry.calls.values()) | {each for event in alive for each in (event.uniqueid, event.linkedid)}
        await asyncio.sleep(WRITTEN_WITHIN_S)
        try:
            await self._fold_living(CelJournal(path=self._journal), since, until, alive, known)
        except OSError as error:
            _log.error("journal.not_read", file=str(self._journal), reason=str(error))
        if since is not None:
            self._gaps.append(Gap(since=since, until=until, read_until=datetime.now(UTC), known=known))
            await asyncio.to_thread(self._write)
            self._wakeup.set()

    async def _fold_living(
        self, journal: CelJournal, since: datetime | None, until: datetime, alive: list[ChannelStarted], known: frozenset[str]
    ) -> None:
        bounds: dict[str, datetime] = {}
        begins = [event.at for event in alive if self._registry.call_of_channel(event.uniqueid) is None]
        for call in self._registry.calls.values():
            seen_until = (self._registry.call(call.linkedid) or call).seen_until
            bounds |= dict.fromkeys(_ids([call]), max(seen_until, since or seen_until))
            if call.ended_at is None:
                begins.append(call.started_at)
        if not begins:
            return
        past, touched = PastPlan(), dict[str, None]()
        async for events in _in_steps(_living(journal, min(begins) - DISORDER, until, known, bounds)):
            for event in events:
                self._coordinator.take(event, past)
                touched |= dict.fromkeys(event.channels)
        found = filter(None, (self._registry.call_of_channel(uniqueid) for uniqueid in touched))
        for call in {each.linkedid: each for each in found}.values():
            self._coordinator.perform_all(call, past.plan_present(call, until), until)

    def settings_changed(self) -> None:
        """Try the gaps again that wait for settings."""
        self._wakeup.set()

    async def run(self) -> None:
        """Fold the calls that began and ended in each gap, until cancelled."""
        while True:
            self._wakeup.clear()
            for gap in list(self._gaps):
                if self._journal is not None and await self._fold_gap(CelJournal(path=self._journal), gap):
                    self._gaps.remove(gap)
                    await asyncio.to_thread(self._write)
            await self._wakeup.wait()

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
                for call in (call for calls_and_parts in batch for call in calls_and_parts):
                    self._registry.adopt(call)
                    self._settling.changed(call)
                    taken.add(call.linkedid)
                folded += len(batch)
                # The store is away: the calls are in the journal of CEL as well.
                while len(taken := taken & self._registry.calls.keys()) > MOST_UNSETTLED:  # noqa: ASYNC110
                    await asyncio.sleep(_PAUSE_S)
        except OSError as error:
            _log.error("journal.not_read", file=str(journal.path), reason=str(error))
            return False
        _log.info("journal.folded", since=gap.since, until=gap.until, calls=folded, damaged_lines=journal.damaged)
        return True

    def _read(self) -> list[Gap]:
        try:
            return _GAPS.validate_json(self._pending.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            _log.error("gaps.not_read", file=str(self._pending), reason=str(error))
            return []

    def _write(self) -> None:
        self._gaps = self._gaps[-MOST_GAPS:]
        try:
            write_atomically(self._pending, _GAPS.dump_json(self._gaps), sync=True)
        except OSError as error:
            _log.error("gaps.not_written", file=str(self._pending), reason=str(error))


def _ids(calls: Iterable[Call]) -> frozenset[str]:
    return frozenset(each for call in calls for each in (call.linkedid, *call.channels))


def _living(
    journal: CelJournal, since: datetime, until: datetime, known: frozenset[str], bounds: dict[str, datetime]
) -> Iterator[Event | None]:
    """Yield the events of known channels and calls after their bounds; None for any other row.

    The rows before the bounds are read too: they say who rings whom.
    """
    reader = CelEvents()
    for row in journal.rows(since, until):
        yield None
        if row.linkedid in known or row.uniqueid in known:
            bound = bounds.get(row.uniqueid) or bounds.get(row.linkedid)
            for event in reader.read(row):
                if bound is None or row.at > bound:
                    yield event


async def _in_steps(items: Iterator[_T | None]) -> AsyncIterator[list[_T]]:
    """Run a generator in a thread, a moment at a time, so that events and the end do not wait."""
    over = False
    while not over:
        step: tuple[list[_T], bool] = await asyncio.to_thread(_step, items)
        found, over = step
        yield found
        await asyncio.sleep(0 if over else _PAUSE_S)


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
