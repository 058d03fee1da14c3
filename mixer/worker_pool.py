"""The mixer's side of a worker process: start it, give it jobs, notice its death."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from mixer.job import MixJob, Reply, WorkerFailed, read_reply, write_job

# One thread and one heap: each further thread of NumPy's BLAS and each further arena of malloc
# costs megabytes in every worker.
_FRUGAL: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}

# The length of the talk and a quarter of an hour: a worker needs a hundredth of that, but it only
# gets the time that voice does not need.
_LEAST_PATIENCE_S: Final = 900.0
_BYTES_PER_SECOND: Final = 16_000  # of a leg at 8 kHz, the lowest rate


def _patience_s(job: MixJob) -> float:
    leg_bytes = 0
    for leg in (job.outside_leg, job.employee_leg):
        with suppress(OSError):  # the worker reports a missing leg
            leg_bytes = max(leg_bytes, (job.folder / leg).lstat().st_size)
    return _LEAST_PATIENCE_S + leg_bytes / _BYTES_PER_SECOND


class Worker:
    """One warm worker process, restarted by the next job after its death. One job at a time."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process; None while there is none."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the process now, so that it is warm when the first job comes."""
        await self._running()

    async def mix(self, job: MixJob) -> Reply:
        """Run a job and return the reply; `WorkerFailed` if the worker dies or hangs.

        On cancellation the worker is killed; the job can be run again.
        """
        patience_s = _patience_s(job)
        try:
            async with asyncio.timeout(patience_s):
                line = await self._ask(await self._running(), write_job(job))
        except TimeoutError:
            await self.stop()
            return WorkerFailed(detail=f"no reply within {patience_s:.0f} s")
        except asyncio.CancelledError:
            await self.stop()
            raise
        if line.endswith(b"\n"):
            return read_reply(line)
        return WorkerFailed(detail=f"the worker died ({await self._wait_for_end()})")

    async def stop(self) -> None:
        """Kill the process, if there is one."""
        if self._process and self._process.returncode is None:
            self._process.kill()
        await self._wait_for_end()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process and self.pid is None:
            await self._wait_for_end()  # it died idle: that is no try of the next job
        if self._process is None:
            root = str(Path(__file__).parents[1])
            packages = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "mixer.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=os.environ | _FRUGAL | {"PYTHONPATH": packages},
                start_new_session=True,  # its autogroup can then be the least urgent: mixer.worker
            )
        return self._process

    @staticmethod
    async def _ask(process: asyncio.subprocess.Process, line: bytes) -> bytes:
        assert process.stdin and process.stdout
        try:
            process.stdin.write(line)
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return b""
        return await process.stdout.readline()

    async def _wait_for_end(self) -> str:
        """Wait for the end of the process and return how it ended, in words."""
        process, self._process = self._process, None
        if process is None:
            return "not running"
        code = await process.wait()
        if process.stdin:
            process.stdin.close()
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
