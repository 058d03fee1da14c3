"""A whole Fonoteka beside the lab's Asterisk, run as an operator runs it.

`fonoteka up` as a process, asked over HTTP.
"""

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from lab.asterisk import addresses
from lab.asterisk.server import LabAsterisk
from lab.base.company import LabCompany, apply_text
from lab.base.eventually import LIMIT_S, eventually
from lab.tools.pbx_section import pbx_section

Call = dict[str, Any]
ALWAYS: Final = {"from": "2020-01-01", "to": "2100-01-01"}
"""The days of every call. Without days the API lists today's, and midnight may pass meanwhile."""


def store_section(folder: Path) -> str:
    """The settings of a store below a folder. `make test-scale` puts others in their place."""
    return f"""\
[store]
database = "sqlite:///{folder}/fonoteka.db"
objects = "file://{folder}/objects"
"""


def configuration_text(pbx: LabAsterisk, folder: Path, listen: str) -> str:
    """The configuration of a Fonoteka beside a lab's Asterisk; its data is below `folder`."""
    return f"""\
{pbx_section(pbx)}
{store_section(folder)}
[agent]
api = "http://{listen}"

[api]
listen = "{listen}"
"""


class Fonoteka:
    """A running installation and a logged-in administrator's view of it."""

    def __init__(self, http: httpx.AsyncClient, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.http, self.folder, self.process = http, folder, process

    async def seen_by(self, company: LabCompany, who: str | None = None) -> "Fonoteka":
        """The same installation as a company's user sees it (its administrator).

        Ends with this one's use.
        """
        there = Fonoteka(httpx.AsyncClient(base_url=self.http.base_url, timeout=LIMIT_S), self.folder, self.process)
        await log_in(there, company, who)
        return there

    async def calls(self, **parameters: Any) -> list[Call]:
        """The newest calls first, of any day."""
        answer = await self.http.get("/api/calls", params={**ALWAYS, **parameters})
        answer.raise_for_status()
        return list(answer.json()["items"])

    async def call(self, wanted: Callable[[Call], bool], within_s: float = LIMIT_S) -> Call:
        """The newest wanted call, as soon as there is one.

        Raises AssertionError with the calls there are.
        """
        newest: list[Call] = []

        async def found() -> Call | None:
            newest[:] = await self.calls()
            return next(filter(wanted, newest), None)

        try:
            return await eventually(found, within_s=within_s)
        except AssertionError as error:
            raise AssertionError(f"no such call: {error}; the newest are {newest[:2]}; log:\n{self.log()[-4000:]}") from None

    async def settled(self, since: set[str], within_s: float = LIMIT_S) -> Call:
        """The one call that is not in `since`, once it is over and its recording is decided."""

        def done(call: Call) -> bool:
            state = call["recording"]["state"]
            return call["id"] not in since and call["ended_at"] is not None and state not in ("recording", "processing")

        return await self.details(await self.call(done, within_s))

    async def details(self, call: Call) -> Call:
        """The call as the API has it now, with its path and segments."""
        return dict((await self.http.get(f"/api/calls/{call['id']}")).raise_for_status().json())

    async def ids(self) -> set[str]:
        """The ids of the calls there are."""
        return {call["id"] for call in await self.calls(limit=500)}

    async def audio(self, call: Call, **parameters: Any) -> bytes:
        """The recording of a call, as the portal gets it."""
        return (await self.http.get(f"/api/calls/{call['id']}/audio", params=parameters)).raise_for_status().content

    def part(self, name: str) -> int:
        """The process of one of `up`'s parts. Raises AssertionError if it does not run."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                is_child = f"\nPPid:\t{self.process.pid}\n" in (process / "status").read_text()
                if is_child and name.encode() in (process / "cmdline").read_bytes().split(b"\0"):
                    return int(process.name)
            except OSError:
                continue  # it has ended since it was listed
        raise AssertionError(f"{name} does not run")

    def log(self) -> str:
        """What the parts have logged so far."""
        return (self.folder / "up.log").read_text(encoding="utf-8", errors="replace")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    return addresses.free_port("127.0.0.1", socket.SOCK_STREAM)


async def fonoteka(*arguments: str, folder: Path, **environment: str) -> tuple[int, str, str]:
    """Run a command of the command line to its end: exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fonoteka",
        *arguments,
        cwd=folder,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def forget_other_installations(spool: Path) -> None:
    """Remove what the agent of another installation has left in a spool: calls, gaps, settings.

    This agent would report them to its own store, where a test does not expect them.
    """
    for left in spool.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        elif left.name != "identity":  # Asterisk still names it as the spool of the agent
            left.unlink()


@asynccontextmanager
async def beside(pbx: LabAsterisk, folder: Path, **environment: str) -> AsyncIterator[Fonoteka]:
    """Run `fonoteka apply` and `fonoteka up` in `folder` until the block ends.

    `environment` is added to that of `up`.
    """
    listen = f"127.0.0.1:{free_port()}"
    (folder / "fonoteka.toml").write_text(configuration_text(pbx, folder, listen), encoding="utf-8")
    (folder / "company.toml").write_text(apply_text(*pbx.companies), encoding="utf-8")
    code, _, err = await fonoteka("apply", "company.toml", folder=folder)
    assert code == 0, err
    forget_other_installations(pbx.spool)
    with (folder / "up.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fonoteka", "up"), cwd=folder, env={**os.environ, **environment}, stdout=log, stderr=log
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://{listen}", timeout=LIMIT_S) as http:
            running = Fonoteka(http, folder, process)
            await _ready(running, pbx.company)
            yield running
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def _ready(running: Fonoteka, company: LabCompany) -> None:
    """Wait until the API answers, the agent has its settings and is logged in to Asterisk.

    Then log in as the administrator.
    """

    def is_ready() -> bool:
        log = running.log()
        assert running.process.returncode is None, log
        return "event=ami.up" in log and "event=settings.changed" in log

    await eventually(is_ready, within_s=3 * LIMIT_S)  # four processes import all of their libraries
    await log_in(running, company)


async def log_in(running: Fonoteka, company: LabCompany, who: str | None = None) -> None:
    """As a user of the company (its administrator), from now on."""
    user = next(user for user in company.users if (user.extension == who if who is not None else user.role == "admin"))
    body = {"domain": company.name, "login": user.extension, "password": user.password}
    token = (await running.http.post("/api/login", json=body)).raise_for_status().json()["token"]
    running.http.headers["Authorization"] = f"Bearer {token}"
