"""Comparing what we believe with what Asterisk has: at once after a login, each minute, and soon after anything garbled.

Between a list and the events there is no order: what a list says may be news that is still on its way as an event, or old already.
So while events come, a difference counts only when a second list, two seconds later, shows the same one.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import structlog

from agent.ami.client import AmiClient
from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call
from agent.calls.channel_snapshot import snapshot
from agent.calls.events import BridgeEntered, BridgeLeft, ChannelStarted, Event
from fonoteka.core.errors import AmiError

COMPARE_EVERY_S: Final = 60.0
ON_THEIR_WAY_S: Final = 2.0
_log = structlog.get_logger()

_Difference = tuple[type[Event], tuple[str, ...], str]


class Resync:
    """`take` folds an event that must have been missed; `ended_at` says when a call ended that ended unheard."""

    def __init__(
        self, ami: AmiClient, calls: CallRegistry, take: Callable[[Event], None], ended_at: Callable[[Call], datetime]
    ) -> None:
        self._ami, self._calls, self._take, self._ended_at = ami, calls, take, ended_at
        self._doubt = asyncio.Event()

    async def at_once(self) -> None:
        """After a login: without it no later event can be understood. Asked until it is answered or the link is lost again."""
        while self._ami.connected:
            try:
                seen = await snapshot(self._ami, datetime.now(UTC))
            except AmiError as error:
                _log.warning("ami.no_snapshot", error=str(error))
                await asyncio.sleep(1.0)
                continue
            for event in self._calls.reconcile(seen, self._ended_at):
                self._take(event)
            return

    def soon(self) -> None:
        """Something was garbled: compare before the minute is over."""
        self._doubt.set()

    async def run(self) -> None:
        """Compare now and then, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(COMPARE_EVERY_S):
                    await self._doubt.wait()
                    await asyncio.sleep(ON_THEIR_WAY_S)  # for the rest of it to come
            self._doubt.clear()
            try:
                await self._compare()
            except AmiError as error:
                _log.warning("ami.not_compared", error=str(error))

    async def _compare(self) -> None:
        if not self._ami.connected:
            return
        found = {_named(event) for event in await self._missed() if self._calls.is_news(event)}
        if not found:
            return
        await asyncio.sleep(ON_THEIR_WAY_S)
        again = await self._missed()
        if self._ami.behind:
            return  # the news may still lie in our own queue
        unknown: set[str] = set()
        for event in again:
            if (_named(event) in found or unknown.intersection(event.channels)) and self._calls.is_news(event):
                _log.warning("call.event_missed", linkedid=event.linkedid, missed=type(event).__name__, channels=event.channels)
                if isinstance(event, ChannelStarted):
                    unknown.update(event.channels)
                self._take(event)

    async def _missed(self) -> list[Event]:
        """What would make us believe what Asterisk has."""
        return list(self._calls.reconcile(await snapshot(self._ami, datetime.now(UTC)), self._ended_at))


def _named(event: Event) -> _Difference:
    """What makes two differences, found at different times, the same one."""
    return type(event), event.channels, event.bridge if isinstance(event, BridgeEntered | BridgeLeft) else ""
