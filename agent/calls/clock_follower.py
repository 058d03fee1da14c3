"""Find jumps of the wall clock at events and logins, and move the calls in progress with it."""

import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from agent.ami.protocol import Ami
from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call
from agent.calls.clock_jump import move_calls
from fonoteka.core.clock import WallClock
from fonoteka.core.errors import AmiError

_log = structlog.get_logger()


class ClockFollower:
    """Moves the calls of `registry` if the clock of Asterisk, on this machine, has jumped.

    `jumped` is called before, with the seconds by which the calls move (0: Asterisk does not share
    the clock), and `changed` with each call that was moved.
    """

    def __init__(self, ami: Ami, registry: CallRegistry, jumped: Callable[[float], None], changed: Callable[[Call], None]) -> None:
        self._ami, self._registry, self._jumped, self._changed = ami, registry, jumped, changed
        self._lag_s = 0.0  # the age of the last event when it was received
        self.wall = WallClock()

    def follow(self, lag_s: float) -> None:
        """Take the age of the event that was received; a jump of this clock alone changes it.

        Called at each login too: the calls that are found there have the new time, and must not be
        moved by the next event.
        """
        by_s, before_s, self._lag_s = self.wall.jumped_s(), self._lag_s, lag_s
        if not by_s:
            return
        shared = abs(lag_s - before_s) < abs(by_s) / 2
        _log.warning("clock.jumped", by_s=round(by_s, 1), calls_moved=shared)
        self._jumped(by_s if shared else 0.0)
        for call in move_calls(self._registry, timedelta(seconds=by_s)) if shared else ():
            self._changed(call)

    async def now_s(self) -> float | None:
        """Return the time of Asterisk's clock, which dates the calls; None if it is not known."""
        try:
            return float((await self._ami.action("Ping"))["Timestamp"])
        except (AmiError, KeyError, ValueError):
            return None

    async def lag_s(self) -> float:
        """Return by how many seconds Asterisk's clock is behind; the last value if not known."""
        here_s, there_s = time.time(), await self.now_s()
        return here_s - there_s if there_s is not None else self._lag_s
