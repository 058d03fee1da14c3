"""Knowing when a leg file is complete: Asterisk closes it after the talk, and the kernel says so (inotify close-write).

The Hangup event comes earlier or later than the file's end, so it is no sign by itself. Where a close was missed (the agent
was away, or the spool's file system has no inotify) the files count as complete once nothing was written for a while.
"""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import structlog
from asyncinotify import Inotify, Mask, Watch

from agent.recording.leg_files import SIDES, legs_in

QUIET_S = 3.0
_log = structlog.get_logger()


class LegWatch:
    """Watches the folders of recordings that go on."""

    def __init__(self) -> None:
        self._inotify = Inotify()
        self._watches: dict[Path, Watch] = {}
        self._closed: dict[Path, set[str]] = {}
        self._news: dict[Path, asyncio.Event] = {}

    def add(self, item: Path) -> None:
        """Begin to watch an item's folder; call it before Asterisk is told to write there. Without a watch, quiet must do."""
        self._news.setdefault(item, asyncio.Event())
        self._closed.setdefault(item, set())
        try:
            self._watches[item] = self._inotify.add_watch(item, Mask.CLOSE_WRITE | Mask.ONLYDIR)
        except OSError as error:
            _log.warning("legs.not_watched", item=str(item), error=str(error))

    def forget(self, item: Path) -> None:
        """Drop the watch and what is remembered of an item, before it moves on."""
        self._news.pop(item, None)
        self._closed.pop(item, None)
        watch = self._watches.pop(item, None)
        if watch is not None:
            with suppress(OSError):  # the folder is gone, and the watch with it
                self._inotify.rm_watch(watch)

    async def run(self) -> None:
        """Follow the kernel's events until cancelled."""
        async for event in self._inotify:
            if event.path is None:
                continue
            item = event.path.parent
            if item in self._news:
                self._closed[item].add(event.path.stem)
                self._news[item].set()

    async def complete(self, item: Path, quiet_s: float = QUIET_S) -> bool:
        """Wait until both legs were closed (True), or nothing was written for `quiet_s` (False).

        Call it once the channel is gone: only then is silence a sign.
        """
        while not self._closed.get(item, frozenset()) >= SIDES:
            wait_s = quiet_s - _quiet_for_s(item)
            if wait_s <= 0:
                return False
            news = self._news.setdefault(item, asyncio.Event())
            news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await news.wait()
        return True

    def close(self) -> None:
        """Let go of the kernel's watches."""
        self._inotify.close()


def _quiet_for_s(item: Path) -> float:
    """Seconds since the folder or any of its legs last changed; endless if the folder is gone."""
    try:
        last = max(path.stat().st_mtime for path in (item, *legs_in(item).values()))
    except FileNotFoundError:
        return float("inf")
    return max(0.0, time.time() - last)
