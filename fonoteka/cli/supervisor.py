"""`fonoteka up`: run agent, mixer and API as separate processes under one supervisor.

With one process each, no part delays another (the agent must not wait for an export), and a part
that dies is restarted while the others run.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import structlog

GRACE_S: Final = 15.0
CALM_S: Final = 60.0  # a part that ran so long did not die of a wrong start
MOST_WAIT_S: Final = 5.0  # while the agent is down, new talks are not recorded
_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A part to keep running: `fonoteka NAME` with additional environment.

    Secrets are passed in the environment, never in arguments. `listens` is the address of the part:
    later parts start when the process of the part listens there. `inherits` are descriptors for it.
    """

    name: str
    environment: dict[str, str]
    listens: tuple[str, int] | None = None
    inherits: tuple[int, ...] = ()


async def supervise(parts: list[Part], config: Path | None, up: Callable[[], None] = lambda: None) -> int:
    """Run all parts until SIGTERM or SIGINT; returns the exit code.

    Returns 0 after a signal, and 2 if a part exits with 2 (wrong configuration) during the start.
    Parts start in order and stop in reverse order, so that clients end before servers. `up` is
    called when all parts have started. Later a part that exits with 2 is restarted like any other:
    a secret that changed on the PBX must not stop the portal.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    stopped = asyncio.create_task(stop.wait())
    keepers: list[asyncio.Task[int]] = []
    all_up = asyncio.Event()
    pids: dict[str, int] = {}
    try:
        for part in parts:
            keepers.append(asyncio.create_task(_keep(part, config, all_up, pids), name=part.name))
            await _first_of([stopped, *keepers], _listening(part, pids))
            if stopped.done() or any(keeper.done() for keeper in keepers):
                break
        else:
            up()
            loop.call_later(CALM_S, all_up.set)
        await asyncio.wait([*keepers, stopped], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        codes = [keeper.result() for keeper in keepers if keeper.done() and not keeper.cancelled()]
        for keeper in reversed(keepers):
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
    return codes[0] if codes else 0


async def _first_of(tasks: Sequence[asyncio.Task[Any]], work: Coroutine[Any, Any, None]) -> None:
    """Wait until the work or any of the tasks ends, then cancel the work."""
    working = asyncio.create_task(work)
    await asyncio.wait([working, *tasks], return_when=asyncio.FIRST_COMPLETED)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def _listening(part: Part, pids: dict[str, int]) -> None:
    """Wait until the part's own process listens; return at once if the part has no address.

    A connection would show nothing: another program may listen at the address.
    """
    while part.listens is not None and not _listens(pids.get(part.name), part.listens[1]):  # noqa: ASYNC110
        await asyncio.sleep(0.1)


def _listens(pid: int | None, port: int) -> bool:
    try:
        connections = psutil.Process(pid).net_connections("tcp") if pid is not None else []
    except psutil.Error:  # it has ended
        return False
    return any(connection.status == psutil.CONN_LISTEN and connection.laddr.port == port for connection in connections)


async def _keep(part: Part, config: Path | None, all_up: asyncio.Event, pids: dict[str, int]) -> int:
    """Restart the part whenever it dies; return 2 if it exits with 2 before all parts are up.

    `pids` has the process of each part.
    """
    wait_s = 0.5
    while True:
        started = asyncio.get_running_loop().time()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "fonoteka",
            part.name,
            *(("--config", str(config)) if config is not None else ()),
            env={**os.environ, **part.environment, "FONOTEKA_SUPERVISOR": str(os.getpid())},
            process_group=0,  # Ctrl-C reaches only the supervisor, which stops the parts
            pass_fds=part.inherits,
        )
        pids[part.name] = process.pid
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await _stop(process)
            raise
        if code == 2 and not all_up.is_set():
            return code
        lived_s = asyncio.get_running_loop().time() - started
        wait_s = 0.5 if lived_s > CALM_S else min(MOST_WAIT_S, wait_s * 2)
        _log.error("part.died", name=part.name, exit_code=code, lived_s=round(lived_s, 1), restart_in_s=wait_s)
        await asyncio.sleep(wait_s)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Terminate a part; kill it after a grace period."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(GRACE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def die_with_supervisor() -> None:
    """Let Linux send SIGTERM to this part when the supervisor dies; elsewhere do nothing."""
    supervisor = os.environ.get("FONOTEKA_SUPERVISOR")
    if supervisor is None or sys.platform != "linux":
        return
    import ctypes

    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, int(signal.SIGTERM))
    if os.getppid() != int(supervisor):
        os.kill(os.getpid(), signal.SIGTERM)
