"""The mixer's side of a worker process: start it, give it orders, notice its death."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from mixer.job import Broke, Order, Reply, read_reply, write_order

# One thread and one heap: each further thread of numpy's BLAS and each further arena of malloc costs megabytes in every worker.
_FRUGAL: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}

# As long as the talk itself and a quarter of an hour more: a worker needs a hundredth of that, but only what voice leaves over.
_LEAST_PATIENCE_S: Final = 900.0
_BYTES_PER_SECOND: Final = 16_000  # of a leg at 8 kHz, the slowest


def _patience_s(order: Order) -> float:
    leg_bytes = 0
    for leg in (order.outside_leg, order.employee_leg):
        with suppress(OSError):  # the worker will say what is wrong with it
            leg_bytes = max(leg_bytes, (order.item / leg).stat().st_size)
    return _LEAST_PATIENCE_S + leg_bytes / _BYTES_PER_SECOND


class Worker:
    """One warm process, started at the first order and again after its death. One order at a time."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process's id; None while there is none."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the process now, so that it is warm when the first order comes."""
        await self._running()

    async def mix(self, order: Order) -> Reply:
        """Have an order carried out. A worker that dies of it, or hangs, is a reply too: `Broke`.

        When cancelled, the worker is killed and what it had begun is left to be done again.
        """
        patience_s = _patience_s(order)
        try:
            async with asyncio.timeout(patience_s):
                line = await self._asked(await self._running(), write_order(order))
        except TimeoutError:
            await self.stop()
            return Broke(detail=f"no reply within {patience_s:.0f} s")
        except asyncio.CancelledError:
            await self.stop()
            raise
        if line.endswith(b"\n"):
            return read_reply(line)
        return Broke(detail=f"the worker died ({await self._gone()})")

    async def stop(self) -> None:
        """End the process, if there is one."""
        if self._process and self._process.returncode is None:
            self._process.kill()
        await self._gone()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            packages = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "mixer.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=os.environ | _FRUGAL | {"PYTHONPATH": packages},
                start_new_session=True,  # so that it can be the least urgent of all sessions, see mixer.worker
            )
        return self._process

    @staticmethod
    async def _asked(process: asyncio.subprocess.Process, line: bytes) -> bytes:
        assert process.stdin and process.stdout
        try:
            process.stdin.write(line)
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return b""
        return await process.stdout.readline()

    async def _gone(self) -> str:
        """Wait for the process's end; says how it ended."""
        process, self._process = self._process, None
        if process is None:
            return "not running"
        code = await process.wait()
        if process.stdin:
            process.stdin.close()
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
