"""`fonoteka mixer`: takes closed items from the spool, has workers mix them, hands them on to be shipped.

Each of the `mixer.worker_pool` stations goes its own way: claim an item, have it mixed, publish it or set it aside. A claim
is a lock, so stations, and mixers on other machines that share the spool, need not know of each other.
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from asyncinotify import Inotify, Mask
from structlog.stdlib import BoundLogger

from fonoteka.core.call_report import Reason
from fonoteka.core.config import Configuration, MixerSection
from fonoteka.core.errors import SpoolError
from fonoteka.core.manifest import Failure, Manifest, read_manifest
from fonoteka.core.spool import ItemState, Spool
from mixer.job import Broke, NoRoom, Order, Refused, Reply
from mixer.mix import Mixture
from mixer.queue import Backlog, publish, set_aside, take_back_orphans
from mixer.worker_pool import Worker

_LOOK_AROUND_EVERY_S: Final = 3.0  # inotify tells at once; this is for what it missed and for what other mixers left
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0

log: Final[BoundLogger] = structlog.get_logger("mixer")


async def run(configuration: Configuration) -> None:
    """Mix until cancelled; items in hand are then given back. Raises SpoolError if the spool cannot be used."""
    spool = Spool(configuration.pbx.spool)
    spool.prepare()
    log.info("mixer started", spool=str(spool.root), workers=configuration.mixer.workers)
    stations = [Station(spool, configuration.mixer) for _ in range(configuration.mixer.workers)]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_watch(spool, [station.arrived for station in stations]))
        for station in stations:
            tasks.create_task(station.work())


async def _watch(spool: Spool, bells: list[asyncio.Event]) -> None:
    with Inotify() as inotify:
        inotify.add_watch(spool.folder(ItemState.CLOSED), Mask.MOVED_TO | Mask.CREATE | Mask.ONLYDIR)
        async for _ in inotify:
            for bell in bells:
                bell.set()


class Station:
    """One worker process and the loop that feeds it. `arrived` is set whenever an item was put into `closed/`."""

    def __init__(self, spool: Spool, settings: MixerSection) -> None:
        self.arrived = asyncio.Event()
        self._spool = spool
        self._settings = settings
        self._backlog = Backlog(spool)
        self._worker = Worker()
        self._pause_s = _FIRST_PAUSE_S

    async def work(self) -> None:
        """Mix item after item until cancelled."""
        try:
            await self._worker.start()
            while True:
                self.arrived.clear()
                try:
                    found = await self._next_item()
                except OSError as error:
                    await self._wait_for_room(str(error))
                    continue
                if not found:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.arrived.wait(), _LOOK_AROUND_EVERY_S)
        finally:
            await self._worker.stop()

    async def _next_item(self) -> bool:
        """Mix one item, if there is one. Raises OSError if the spool has no room; the item is then in `closed/` again."""
        for orphan in take_back_orphans(self._spool):
            log.warning("taken back from a mixer that died", segment=orphan)
        with self._backlog.claimed() as item:
            if item is None:
                return False
            try:
                await self._mix(item)
            except BaseException:  # cancelled, or no room to write: whatever it was, the item is not to be lost
                with suppress(FileNotFoundError):
                    self._spool.move(item, ItemState.CLOSED)
                raise
        self._pause_s = _FIRST_PAUSE_S
        return True

    async def _mix(self, item: Path) -> None:
        try:
            manifest = read_manifest(item)
        except SpoolError as error:
            failure = Failure(reason=Reason.AUDIO_DAMAGED, detail=str(error))
            self._set_aside(item, failure, log.bind(segment=item.name))
            return
        told = log.bind(linkedid=manifest.call.linkedid, segment=manifest.name)
        match await self._mixed_in_two_tries(item, manifest, told):
            case Mixture() as mixture:
                for trouble in mixture.troubles:
                    told.warning("leg salvaged", trouble=trouble)
                publish(self._spool, item, mixture.mixed)
                told.info("mixed", duration_ms=mixture.mixed.duration_ms, size_bytes=mixture.mixed.size_bytes)
            case NoRoom(detail=detail):
                raise OSError(detail)
            case Refused(reason=reason, detail=detail):
                self._set_aside(item, Failure(reason=reason, detail=detail), told)
            case Broke(detail=detail):
                self._set_aside(item, Failure(reason=Reason.AUDIO_DAMAGED, detail=f"tried twice: {detail}"), told)

    async def _mixed_in_two_tries(self, item: Path, manifest: Manifest, told: BoundLogger) -> Reply:
        order = Order(
            item=item,
            outside_leg=manifest.outside_leg,
            employee_leg=manifest.employee_leg,
            audio_format=self._settings.format,
            layout=self._settings.layout,
            talked_hz=manifest.talked_hz,
            muted=manifest.muted,
        )
        reply = await self._worker.mix(order)
        if isinstance(reply, Broke):  # it may have been the worker (killed, out of memory): once more, with a new one
            told.warning("mixing broke, trying once more", detail=reply.detail)
            reply = await self._worker.mix(order)
        return reply

    def _set_aside(self, item: Path, failure: Failure, told: BoundLogger) -> None:
        set_aside(self._spool, item, failure)
        told.warning("set aside", reason=failure.reason, detail=failure.detail)

    async def _wait_for_room(self, detail: str) -> None:
        log.error("the spool cannot be written, trying again later", detail=detail, pause_s=self._pause_s)
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
