"""Ship recordings to the API. Nothing is deleted without the receipt of the store.

Nothing is read in the event loop, and no recording holds up the others: large ones travel beside
the small ones, and one that the API does not take now is tried again after others.
"""

import asyncio
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from asyncinotify import Inotify, Mask

from agent.shipping.api_client import ApiClient
from fonoteka.core.backoff import Backoff
from fonoteka.core.call_report import Reason
from fonoteka.core.errors import (
    AlreadyShipped,
    RetentionOver,
    ShipBucketAway,
    ShipDeferred,
    ShipError,
    ShipRefused,
    SpoolError,
)
from fonoteka.core.manifest import Failure, Manifest, Mixed, read_failure, read_manifest, read_mixed, write_failure
from fonoteka.core.naming import safe
from fonoteka.core.spool import ItemState, Spool

RESCAN_S: Final = 5.0
LARGE_BYTES: Final = 4_000_000  # about a quarter of an hour in Opus
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 600.0
GIVE_UP_S: Final = 24 * 3600.0
_log = structlog.get_logger()


@dataclass(kw_only=True, slots=True)
class _Postponed:
    """A recording that the API did not take; times by the monotonic clock."""

    since: float = field(default_factory=time.monotonic)
    until: float = 0.0
    pauses: Backoff = field(default_factory=lambda: Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S))


class RecordingShipper:
    """Ships the recordings in `mixed/`, and reports those in `rejected/`."""

    def __init__(
        self,
        api: ApiClient,
        spool: Spool,
        shipped: Callable[[Path, str], None],
        rejected: Callable[[Path, Failure], None],
    ) -> None:
        self._api, self._spool = api, spool
        self._shipped, self._rejected = shipped, rejected
        self._reported: set[str] = set()
        self._postponed: dict[str, _Postponed] = {}
        self._taken_at = -math.inf

    async def run(self) -> None:
        """Ship until cancelled, at each rename by the mixer and every RESCAN_S seconds."""
        small, large, rejected = asyncio.Event(), asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_watch(self._spool, {ItemState.MIXED: (small, large), ItemState.REJECTED: (rejected,)}))
            tasks.create_task(self._ship_all(small, large=False))
            tasks.create_task(self._ship_all(large, large=True))
            tasks.create_task(self._report_rejected(rejected))

    async def _ship_all(self, wakeup: asyncio.Event, *, large: bool) -> None:
        backoff = Backoff()
        while True:
            wakeup.clear()
            try:
                for folder in await asyncio.to_thread(_waiting, self._spool, large):
                    if not self._is_postponed(folder):
                        await self._ship(folder)
                        backoff.reset()
            except ShipError as error:
                wait_s = backoff.next_s()
                _log.warning("recordings.ship_failed", reason=str(error), retry_in_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)
            else:
                await _woken(wakeup)

    def _is_postponed(self, folder: Path) -> bool:
        return folder.name in self._postponed and self._postponed[folder.name].until > time.monotonic()

    async def _report_rejected(self, wakeup: asyncio.Event) -> None:
        while True:
            wakeup.clear()
            folders = await asyncio.to_thread(self._spool.items, ItemState.REJECTED)
            self._reported &= {folder.name for folder in folders}  # others were removed, or are tried again
            for folder in folders:
                if folder.name not in self._reported:
                    self._reported.add(folder.name)
                    self._rejected(folder, await asyncio.to_thread(_failure, folder))
            await _woken(wakeup)

    async def _ship(self, folder: Path) -> None:
        """Ship a recording, and remove its folder. Raises ShipError if the API takes none now.

        A recording that is damaged, or that the API refuses, is moved to `rejected/`. If the API
        has other audio of the recording, the call has its audio: the recording counts as shipped.
        A recording that the API has deleted by its age is deleted here too.
        """
        try:
            manifest, mixed = await asyncio.to_thread(_read, folder)
            await self._deliver(folder, mixed)
        except AlreadyShipped as error:
            self._reported.add(folder.name)
            await self._set_aside(folder, error)
            self._shipped(folder, manifest.call.linkedid)
        except RetentionOver as error:
            _log.warning("recording.expired", segment=folder.name, reason=str(error))
            await self._done(folder, manifest)
        except ShipDeferred as error:
            postponed_s = self._postpone(folder, error)
            # If the API has taken no other recording since, the API is at fault.
            is_its_own = time.monotonic() - self._taken_at < postponed_s and not isinstance(error, ShipBucketAway)
            if postponed_s > GIVE_UP_S and is_its_own:
                await self._set_aside(folder, error)
        except (SpoolError, ShipRefused, OSError, UnicodeError) as error:
            await self._set_aside(folder, error)
        else:
            _log.info(
                "recording.shipped",
                linkedid=manifest.call.linkedid,
                segment=folder.name,
                duration_ms=mixed.duration_ms,
                size_bytes=mixed.size_bytes,
            )
            await self._done(folder, manifest)

    async def _deliver(self, folder: Path, mixed: Mixed) -> None:
        receipt = await self._api.put_recording(folder, mixed)
        if receipt.sha256 != mixed.sha256:
            raise ShipDeferred(f"the store's receipt for {folder.name} names another SHA-256; the recording is kept and sent again")

    async def _done(self, folder: Path, manifest: Manifest) -> None:
        self._taken_at = time.monotonic()
        try:
            await asyncio.to_thread(shutil.rmtree, folder)
            self._postponed.pop(folder.name, None)
        except OSError as error:  # sent again after a pause; the store has it once
            self._postpone(folder, error)
        self._shipped(folder, manifest.call.linkedid)

    def _postpone(self, folder: Path, error: Exception) -> float:
        """Let others go first; return for how many seconds that has been so."""
        postponed = self._postponed.setdefault(folder.name, _Postponed())
        wait_s = postponed.pauses.next_s()
        postponed.until = time.monotonic() + wait_s
        _log.warning("recording.postponed", segment=folder.name, reason=str(error), retry_in_s=round(wait_s, 1))
        return time.monotonic() - postponed.since

    async def _set_aside(self, folder: Path, error: Exception) -> None:
        _log.error("recording.set_aside", segment=folder.name, reason=str(error))
        failure = Failure(reason=Reason.AUDIO_DAMAGED, detail=str(error))
        try:
            await asyncio.to_thread(_move_aside, self._spool, folder, failure)
            self._postponed.pop(folder.name, None)
        except OSError as refused:
            self._postpone(folder, refused)


def _waiting(spool: Spool, large: bool) -> list[Path]:
    """Return the large or the small recordings to ship, oldest first."""
    return [item for item in spool.items(ItemState.MIXED) if _is_large(item) is large]


def _is_large(item: Path) -> bool:
    """Return whether the audio of a recording is large; a folder that is gone has none."""
    with suppress(FileNotFoundError), os.scandir(item) as entries:
        return any(entry.name.startswith("audio.") and entry.stat(follow_symlinks=False).st_size > LARGE_BYTES for entry in entries)
    return False


def _read(folder: Path) -> tuple[Manifest, Mixed]:
    if safe(folder.name) != folder.name:  # it would be a part of the URL
        raise SpoolError(f"{str(folder)!r}: not the name of a recording")
    return read_manifest(folder), read_mixed(folder)


def _failure(folder: Path) -> Failure:
    try:
        return read_failure(folder)
    except SpoolError as error:
        return Failure(reason=Reason.AUDIO_DAMAGED, detail=str(error))


def _move_aside(spool: Spool, folder: Path, failure: Failure) -> None:
    try:
        write_failure(folder, failure)
    except OSError as error:  # a full disk: the folder is out of the way all the same
        _log.error("failure.not_written", segment=folder.name, reason=str(error))
    spool.move(folder, ItemState.REJECTED)


async def _watch(spool: Spool, wakeups: Mapping[ItemState, Iterable[asyncio.Event]]) -> None:
    """Set the events of a state at each rename into its folder."""
    with Inotify() as inotify:
        watches = {inotify.add_watch(spool.folder(state), Mask.MOVED_TO | Mask.ONLYDIR): state for state in wakeups}
        async for event in inotify:
            # Without a watch it is an overflow of the kernel's queue.
            states = [watches[event.watch]] if event.watch is not None else [*wakeups]
            for wakeup in (wakeup for state in states for wakeup in wakeups[state]):
                wakeup.set()


async def _woken(wakeup: asyncio.Event) -> None:
    """Return at the next rename, or after RESCAN_S."""
    with suppress(TimeoutError):
        async with asyncio.timeout(RESCAN_S):
            await wakeup.wait()
