"""`fonoteka demo`: a temporary real Asterisk whose phones call each other, and a Fonoteka."""

import asyncio
import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

import structlog

from fonoteka.cli.parts import parts_of_up
from fonoteka.cli.supervisor import supervise
from fonoteka.core import config
from fonoteka.core.spool import Spool
from lab.asterisk.rootfs import find_or_build
from lab.asterisk.server import LabAsterisk
from lab.base import company
from lab.demo.demo_traffic import keep_calling_when_recorded
from lab.tools.installation import configuration_text

PREFERRED_PORT = 8080
_log = structlog.get_logger()


async def run(calls_per_minute: float, duration_s: float | None) -> None:
    """Run until SIGINT or SIGTERM, or for `duration_s`.

    Raises LabError if the machine lacks something that the lab needs.
    """
    program = await asyncio.to_thread(find_or_build)
    with tempfile.TemporaryDirectory(prefix="fonoteka-demo-") as folder:
        async with LabAsterisk(program, Path(folder) / "asterisk", company.ACME) as pbx:
            path = Path(folder) / "fonoteka.toml"
            listen = f"127.0.0.1:{_free_port(PREFERRED_PORT)}"
            path.write_text(configuration_text(pbx, Path(folder), listen), encoding="utf-8")
            configuration = config.load(path)
            os.chdir(folder)
            await _fill(configuration, Path(folder))
            calls = asyncio.create_task(keep_calling_when_recorded(pbx, calls_per_minute=calls_per_minute))
            calls.add_done_callback(_log_failure)
            try:
                with suppress(TimeoutError), Spool(configuration.pbx.spool).alone() as lock:
                    parts = await parts_of_up(configuration, path, lock.descriptor)
                    async with asyncio.timeout(duration_s):
                        await supervise(parts, path, up=lambda: print(_greeting(listen), flush=True))
            finally:
                calls.cancel()
                await asyncio.gather(calls, return_exceptions=True)


async def _fill(configuration: config.Configuration, folder: Path) -> None:
    from store.database.store import Store
    from store.provisioning.apply import apply
    from store.provisioning.directory_file import parse_directory_file

    path = folder / "company.toml"
    path.write_text(company.apply_text(), encoding="utf-8")
    store = await Store.open(configuration.store)
    try:
        await apply(store, parse_directory_file(path))
    finally:
        await store.close()


def _log_failure(calls: asyncio.Task[None]) -> None:
    if not calls.cancelled() and calls.exception() is not None:
        _log.error("demo.calls_stopped", reason=str(calls.exception()))


def _greeting(listen: str) -> str:
    rows = "\n".join(
        f"    {user.extension:<6} {user.password:<14} {user.name}, {user.role}, records {user.record}"
        for user in company.ACME.users
    )
    return f"""
  Fonoteka's portal:  http://{listen}/

    domain: {company.ACME.name}
    login  password
{rows}

  Telephones call each other now; the first recording is there in a quarter of a minute. Ctrl-C stops everything.
"""


def _free_port(preferred: int) -> int:
    """Return the preferred port if it is free, else any free port."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")
