"""Detection of complete leg files: Asterisk closes a leg after the talk (inotify close-write).

The Hangup event can come before or after the end of the file, so it shows nothing by itself. If a
close was missed (the agent was down, or the spool's file system has no inotify), the legs count as
complete once nothing was written for a while.
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
    """Watches the folders of running recordings."""

    def __init__(self) -> None:
        self._inotify = Inotify()
        self._watches: dict[Path, Watch] = {}
        self._closed: dict[Path, set[str]] = {}
        self._news: dict[Path, asyncio.Event] = {}

    def add(self, recording_folder: Path) -> None:
        """Watch a folder; call this before Asterisk writes there.

        If the kernel gives no watch, `complete` relies on the quiet time.
        """
        self._news.setdefault(recording_folder, asyncio.Event())
        self._closed.setdefault(recording_folder, set())
        try:
            self._watches[recording_folder] = self._inotify.add_watch(recording_folder, Mask.CLOSE_WRITE | Mask.ONLYDIR)
        except OSError as error:
            _log.warning("legs.not_watched", folder=str(recording_folder), error=str(error))

    def forget(self, recording_folder: Path) -> None:
        """Drop the watch of a folder before the folder is moved or deleted."""
        self._news.pop(recording_folder, None)
        self._closed.pop(recording_folder, None)
        watch = self._watches.pop(recording_folder, None)
        if watch is not None:
            with suppress(OSError):  # the folder is deleted, and the watch with it
                self._inotify.rm_watch(watch)

    async def run(self) -> None:
        """Read the kernel's events until cancelled."""
        async for event in self._inotify:
            if event.path is None:
                continue
            recording_folder = event.path.parent
            if recording_folder in self._news:
                self._closed[recording_folder].add(event.path.stem)
                self._news[recording_folder].set()

    async def complete(self, recording_folder: Path, quiet_s: float = QUIET_S) -> bool:
        """Wait until both legs were closed (True), or nothing was written for `quiet_s` (False).

        Call this after the channel has ended: before, a quiet time shows nothing.
        """
        written, since = _last_written(recording_folder), time.monotonic()
        while not self._closed.get(recording_folder, frozenset()) >= SIDES:
            before, written = written, _last_written(recording_folder)
            since = since if written == before else time.monotonic()
            wait_s = quiet_s - (time.monotonic() - since)
            if written is None or wait_s <= 0:
                return False
            news = self._news.setdefault(recording_folder, asyncio.Event())
            news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await news.wait()
        return True

    def close(self) -> None:
        """Close the kernel's watches."""
        self._inotify.close()


def _last_written(recording_folder: Path) -> int | None:
    """Return when the folder or a leg last changed, in ns; None if the folder is gone.

    Only a change of it counts: the wall clock may have jumped since.
    """
    try:
        return max(path.stat().st_mtime_ns for path in (recording_folder, *legs_in(recording_folder).values()))
    except FileNotFoundError:
        return None
