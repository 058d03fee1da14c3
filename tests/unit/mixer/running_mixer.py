"""Run mixers and workers, and observe them."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fonoteka.core.config import Configuration, MixerSection, PbxSection
from fonoteka.core.manifest import AudioFormat, Layout
from fonoteka.core.spool import ItemState, Spool
from mixer.app import run
from mixer.job import MixJob
from mixer.worker_pool import Worker
from tests.support.legs import EMPLOYEE_LEG, OUTSIDE_LEG

PATIENCE_S = 60.0


@asynccontextmanager
async def mixing(spool: Spool, workers: int = 1) -> AsyncIterator[asyncio.Task[None]]:
    """Run a mixer on a spool while the block runs; stop it as SIGTERM does."""
    settings = MixerSection(workers=workers)
    mixer = asyncio.create_task(run(Configuration(pbx=PbxSection(spool=spool.root), mixer=settings)))
    try:
        yield mixer
    finally:
        mixer.cancel()
        with suppress(asyncio.CancelledError):
            await mixer


@asynccontextmanager
async def working() -> AsyncIterator[Worker]:
    """Run one worker without a mixer."""
    worker = Worker()
    try:
        yield worker
    finally:
        await worker.stop()


def mix_job(folder: Path, audio_format: AudioFormat) -> MixJob:
    """Return the job of mixing a folder in stereo."""
    return MixJob(
        folder=folder, outside_leg=OUTSIDE_LEG, employee_leg=EMPLOYEE_LEG, audio_format=audio_format, layout=Layout.STEREO
    )


async def until(true: Callable[[], object]) -> None:
    """Wait for a condition that only polling the file system or /proc shows."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.01)


def names(spool: Spool, state: ItemState) -> set[str]:
    """Return the names of the recording folders in a state."""
    return {item.name for item in spool.items(state)}


def midway(spool: Spool) -> int | None:
    """Return the worker that is writing audio now; None if none is."""
    drafts = spool.folder(ItemState.MIXING).glob("*/.audio.*.new")
    return next((int(draft.name.split(".")[-3]) for draft in drafts), None)


def worker_pids(parent: int | None = None) -> set[int]:
    """Return the ids of running workers whose parent is this process (or `parent`)."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent_pid = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            wanted = int(parent_pid) == (parent or os.getpid()) and state != "Z"
            if wanted and b"mixer.worker" in (process / "cmdline").read_bytes():
                found.add(int(process.name))
    return found


def runs(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
