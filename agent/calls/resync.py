"""Comparison of the calls with Asterisk: after a login, each minute, and soon after garbled events.

A list and the events have no common order: a difference in a list may be an event that is still on
its way, or that is already outdated. So, while events arrive, a difference counts only if a second
list, two seconds later, shows it too.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import structlog

from agent.ami.client import AmiClient
from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call
from agent.calls.caller_text import number_in
from agent.calls.channel_snapshot import Listed, snapshot
from agent.calls.events import BridgeEntered, BridgeLeft, ChannelStarted, Event
from fonoteka.core.errors import AmiActionFailed, AmiError

COMPARE_EVERY_S: Final = 60.0
COMPARE_SILENT_EVERY_S: Final = 10.0
EVENTS_ARRIVE_WITHIN_S: Final = 2.0
SILENT: Final = (
    "Asterisk has calls, but sends no events of them: "
    "does its account have read = system,call,dialplan,agent and the event filters?"
)
_log = structlog.get_logger()

_Difference = tuple[type[Event], tuple[str, ...], str]


class Resync:
    """Folds missed events with `take`. `ended_at` dates a call whose end was missed.

    `silent`: there were changes but no event between two comparisons. Then each comparison that
    finds another change logs in again, and without a change one each minute: an account that was
    mended counts from the next login, and the next call should be heard from its first event.
    """

    def __init__(
        self, ami: AmiClient, registry: CallRegistry, take: Callable[[Event], object], ended_at: Callable[[Call], datetime]
    ) -> None:
        self._ami, self._registry, self._take, self._ended_at = ami, registry, take, ended_at
        self._requested = asyncio.Event()
        self._events_heard = 0
        self._catching_up = False
        self._logged_in_at = -math.inf
        self.silent = False

    async def after_login(self, before: Callable[[list[Listed]], Awaitable[None]]) -> None:
        """Compare at once, because later events depend on it.

        Repeats until Asterisk answers or the connection is lost again. `before` folds what is known
        of the calls from elsewhere.
        """
        self._catching_up, self._logged_in_at = True, time.monotonic()
        try:
            while self._ami.connected:
                try:
                    listed = await self._listed()
                except AmiError as error:
                    _log.warning("resync.failed", error=str(error))
                    await asyncio.sleep(1.0)
                    continue
                await before(listed)
                for event in self._registry.reconcile(listed, self._ended_at):
                    self._take(event)
                return
        finally:
            self._catching_up = False

    def request(self) -> None:
        """Compare soon: an event was garbled."""
        self._requested.set()

    async def run(self) -> None:
        """Compare each minute and on request, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(COMPARE_SILENT_EVERY_S if self.silent else COMPARE_EVERY_S):
                    await self._requested.wait()
                    await asyncio.sleep(EVENTS_ARRIVE_WITHIN_S)
            self._requested.clear()
            try:
                await self.compare()
            except AmiError as error:
                _log.warning("resync.failed", error=str(error))

    async def compare(self) -> None:
        """Fold the events that two lists, two seconds apart, show as missed. Raises AmiError."""
        if not self._ami.connected or self._catching_up:
            return
        heard_before, self._events_heard = self._events_heard, self._ami.events_heard
        first = {_difference(event) for event in await self._missed() if self._registry.is_news(event)}
        if not first:
            if self.silent and time.monotonic() - self._logged_in_at >= COMPARE_EVERY_S:
                self._log_in_again()
            return
        await asyncio.sleep(EVENTS_ARRIVE_WITHIN_S)
        second = await self._missed()
        if self._ami.behind or self._catching_up:
            return  # the events may still be in the queue, or in the journal of Asterisk
        new_channels: set[str] = set()
        missed = False
        for event in second:
            confirmed = _difference(event) in first or new_channels.intersection(event.channels)
            if confirmed and self._registry.is_news(event):
                missed = True
                _log.warning("call.event_missed", linkedid=event.linkedid, missed=type(event).__name__, channels=event.channels)
                if isinstance(event, ChannelStarted):
                    new_channels.update(event.channels)
                self._take(event)
        if missed and self._ami.events_heard == heard_before:
            self._log_in_again()

    def _log_in_again(self) -> None:
        if not self.silent:
            _log.error("ami.silent", reason=SILENT)
        self.silent = True
        self._ami.renew(SILENT)

    async def _missed(self) -> list[Event]:
        """Return the events that would lead from the calls to what Asterisk lists now."""
        return list(self._registry.reconcile(await self._listed(), self._ended_at))

    async def _listed(self) -> list[Listed]:
        """Return the channels and bridges of Asterisk, with the number that was dialled first.

        The extension of a channel changes on its way through the dialplan. Raises AmiError.
        """
        return [await self._as_dialled(event) for event in await snapshot(self._ami, datetime.now(UTC))]

    async def _as_dialled(self, event: Listed) -> Listed:
        begins = isinstance(event, ChannelStarted) and event.uniqueid == event.linkedid
        if not isinstance(event, ChannelStarted) or not begins or self._registry.call_of_channel(event.uniqueid) is not None:
            return event
        with suppress(AmiActionFailed):  # the channel may have ended
            answer = await self._ami.action("Getvar", Channel=event.name, Variable="CALLERID(dnid)")
            return replace(event, exten=number_in(answer, "Value") or event.exten)
        return event


def _difference(event: Event) -> _Difference:
    """Return what identifies the same difference in two lists."""
    return type(event), event.channels, event.bridge if isinstance(event, BridgeEntered | BridgeLeft) else ""
