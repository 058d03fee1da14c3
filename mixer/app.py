"""`fonoteka mixer`: mix the closed recordings of the spool and make them ready to be shipped.

Each of `mixer.workers` loops works independently: claim a recording folder, mix the recording in a
worker process, publish the result or set the folder aside. A claim is a lock on the manifest and a
rename, so the loops, and mixers on other machines that share the spool, need no other coordination.
One more loop takes the long recordings, so that no short one waits for them; its worker runs only
meanwhile.
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
from mixer.job import DiskFull, MixJob, MixRefused, Reply, WorkerFailed
from mixer.mix import Mixture
from mixer.queue import Backlog, publish, reclaim_orphans, set_aside
from mixer.worker_pool import Worker

_POLL_S: Final = 3.0  # inotify reports at once; polling finds what inotify missed and orphans
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0

log: Final[BoundLogger] = structlog.get_logger("mixer")


async def run(configuration: Configuration) -> None:
    """Mix until cancelled, then return unfinished recordings to `closed/`.

    Raises SpoolError if the spool cannot be used.
    """
    spool = Spool(configuration.pbx.spool)
    spool.prepare()
    log.info("mixer.started", spool=str(spool.root), workers=configuration.mixer.workers)
    loops = [WorkerLoop(spool, configuration.mixer) for _ in range(configuration.mixer.workers)]
    loops.append(WorkerLoop(spool, configuration.mixer, long=True))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_watch(spool, [loop.wakeup for loop in loops]))
        for loop in loops:
            tasks.create_task(loop.run())


async def _watch(spool: Spool, wakeups: list[asyncio.Event]) -> None:
    with Inotify() as inotify:
        events = Mask.MOVED_TO | Mask.CREATE | Mask.ONLYDIR
        inotify.add_watch(spool.folder(ItemState.CLOSED), events)
        async for _ in inotify:
            for wakeup in wakeups:
                wakeup.set()


class WorkerLoop:
    """One worker process and the loop that gives it jobs.

    `wakeup` is set whenever a recording folder was moved into `closed/`.
    """

    def __init__(self, spool: Spool, settings: MixerSection, *, long: bool = False) -> None:
        self.wakeup = asyncio.Event()
        self._spool = spool
        self._settings = settings
        self._backlog, self._long = Backlog(spool, long=long), long
        self._worker = Worker()
        self._pause_s = _FIRST_PAUSE_S

    async def run(self) -> None:
        """Mix one recording after the other until cancelled."""
        try:
            if not self._long:
                await self._worker.start()
            while True:
                self.wakeup.clear()
                try:
                    mixed = await self._mix_next()
                except OSError as error:
                    await self._wait_for_disk(str(error))
                    continue
                if not mixed:
                    if self._long:
                        await self._worker.stop()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_POLL_S):
                            await self.wakeup.wait()
        finally:
            await self._worker.stop()

    async def _mix_next(self) -> bool:
        """Mix one recording and return True; return False if none is waiting.

        Raises OSError if the spool cannot be written; the recording is then in `closed/` again.
        """
        for orphan in reclaim_orphans(self._spool):
            log.warning("recording.reclaimed", segment=orphan, reason="its mixer died")
        with self._backlog.claimed() as folder:
            if folder is None:
                return False
            try:
                await self._mix(folder)
            except BaseException:  # cancellation and a full disk included: keep the recording
                with suppress(FileNotFoundError):
                    self._spool.move(folder, ItemState.CLOSED)
                raise
        self._pause_s = _FIRST_PAUSE_S
        return True

    async def _mix(self, folder: Path) -> None:
        logger = log.bind(segment=folder.name)
        try:
            manifest = read_manifest(folder)
        except SpoolError as error:
            self._reject(folder, Reason.AUDIO_DAMAGED, str(error), logger)
            return
        logger = logger.bind(linkedid=manifest.call.linkedid)
        match await self._try_twice(self._job(folder, manifest), logger):
            case Mixture(mixed=mixed, troubles=troubles):
                for trouble in troubles:
                    logger.warning("leg.salvaged", reason=trouble)
                publish(self._spool, folder, mixed)
                size_bytes = mixed.size_bytes
                logger.info("recording.mixed", duration_ms=mixed.duration_ms, size_bytes=size_bytes)
            case DiskFull(detail=detail):
                raise OSError(detail)
            case MixRefused(reason=reason, detail=detail):
                self._reject(folder, reason, detail, logger)
            case WorkerFailed(detail=detail):
                self._reject(folder, Reason.AUDIO_DAMAGED, f"tried twice: {detail}", logger)

    def _job(self, folder: Path, manifest: Manifest) -> MixJob:
        return MixJob(
            folder=folder,
            outside_leg=manifest.outside_leg,
            employee_leg=manifest.employee_leg,
            audio_format=self._settings.format,
            layout=self._settings.layout,
            talked_hz=manifest.talked_hz,
            muted=manifest.muted,
        )

    async def _try_twice(self, job: MixJob, logger: BoundLogger) -> Reply:
        """Run a job, and once more in a new worker if the worker itself failed (killed, memory)."""
        reply = await self._worker.mix(job)
        if isinstance(reply, WorkerFailed):
            logger.warning("worker.failed", reason=reply.detail)
            reply = await self._worker.mix(job)
        return reply

    def _reject(self, folder: Path, reason: Reason, detail: str, logger: BoundLogger) -> None:
        set_aside(self._spool, folder, Failure(reason=reason, detail=detail))
        logger.warning("recording.rejected", reason=reason, detail=detail)

    async def _wait_for_disk(self, reason: str) -> None:
        log.error("spool.not_writable", reason=reason, retry_in_s=self._pause_s)
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
