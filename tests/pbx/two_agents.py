"""Two agents of one PBX and one spool, each a process, beside an API and a mixer."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import httpx

from fonoteka.core.spool_lock import FILE, Holder
from lab.asterisk.server import LabAsterisk
from lab.base.company import apply_text
from lab.base.eventually import LIMIT_S, eventually
from lab.tools.installation import Fonoteka, configuration_text, fonoteka, forget_other_installations, free_port, log_in

_WORKS: Final = "event=ami.up"
_WAITS: Final = "event=standby.waiting"


class Process:
    """A part of Fonoteka; its log is the file of its name."""

    def __init__(self, folder: Path, name: str, part: str, **environment: str) -> None:
        self._folder, self.name, self._part, self._environment = folder, name, part, environment
        self.process: asyncio.subprocess.Process

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "fonoteka", self._part),
                cwd=self._folder,
                env={**os.environ, **self._environment},
                stdout=log,
                stderr=log,
            )

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the process has not ended."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def end(self, number: signal.Signals) -> None:
        self.send(number)
        self.send(signal.SIGCONT)
        await self.process.wait()

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    @property
    def _log(self) -> Path:
        return self._folder / f"{self.name}.log"


class TwoAgents:
    """The pair, and the portal's view of what it records."""

    def __init__(self, pbx: LabAsterisk, agents: tuple[Process, Process], api: Process, fonoteka: Fonoteka) -> None:
        self.pbx, self.agents, self.api, self.fonoteka = pbx, agents, api, fonoteka

    @property
    def working(self) -> Process:
        """The agent that has the spool."""
        holder = Holder.of(self.pbx.spool / FILE).pid
        return next(agent for agent in self.agents if agent.process.pid == holder)

    @property
    def waiting(self) -> Process:
        """The other one."""
        return next(agent for agent in self.agents if agent is not self.working)

    async def both_there(self) -> None:
        """Wait until one agent works and the other one waits."""
        await eventually(lambda: self._place(self.working) == _WORKS and self._place(self.waiting) == _WAITS, within_s=2 * LIMIT_S)

    async def taken_over_from(self, agent: Process, since: float) -> float:
        """Wait until the other agent follows Asterisk. Returns the seconds since then."""
        (other,) = (each for each in self.agents if each is not agent)
        await eventually(lambda: self._place(other) == _WORKS)
        taken_over_s = time.monotonic() - since
        print(f"takeover after {taken_over_s:.1f} s")
        return taken_over_s

    async def recorders(self) -> int:
        """Return the number of recorders that Asterisk runs."""
        channels = (await self.pbx.cli("core show channels concise")).splitlines()
        names = [line.split("!")[0] for line in channels if "!" in line]
        return sum([(await self.pbx.cli(f"mixmonitor list {name}")).count("0x") for name in names])

    @staticmethod
    def _place(agent: Process) -> str:
        """Return which of the two an agent has logged last."""
        return max((_WORKS, _WAITS), key=agent.log.rfind) if _WORKS in agent.log or _WAITS in agent.log else ""


@asynccontextmanager
async def two_agents(pbx: LabAsterisk, folder: Path, first_ami: int | None = None) -> AsyncIterator[TwoAgents]:
    """Run API, mixer and two agents; the first one reaches AMI at the port `first_ami`."""
    listen = f"127.0.0.1:{free_port()}"
    (folder / "fonoteka.toml").write_text(configuration_text(pbx, folder, listen), encoding="utf-8")
    (folder / "company.toml").write_text(apply_text(*pbx.companies), encoding="utf-8")
    assert (await fonoteka("apply", "company.toml", folder=folder))[0] == 0
    _, token, _ = await fonoteka("pbx", "add", "lab", "--all-domains", folder=folder)
    forget_other_installations(pbx.spool)
    standby = {"FONOTEKA_AGENT__TOKEN": token.strip(), "FONOTEKA_AGENT__STANDBY": "true"}
    cut = {"FONOTEKA_PBX__AMI": f"127.0.0.1:{first_ami}"} if first_ami is not None else {}
    api, mixer = Process(folder, "api", "api"), Process(folder, "mixer", "mixer", FONOTEKA_MIXER_URGENT="1")
    agents = Process(folder, "one", "agent", **standby, **cut), Process(folder, "other", "agent", **standby)
    async with AsyncExitStack() as ends, httpx.AsyncClient(base_url=f"http://{listen}", timeout=LIMIT_S) as http:
        for part in (api, mixer, *agents):
            await part.start()
            ends.push_async_callback(part.end, signal.SIGTERM)
        pair = TwoAgents(pbx, agents, api, Fonoteka(http, folder, api.process))
        await eventually(lambda: _answers(http), within_s=2 * LIMIT_S)
        await log_in(pair.fonoteka, pbx.company)
        await eventually(lambda: Holder.of(pbx.spool / FILE).pid in [agent.process.pid for agent in agents])
        await pair.both_there()
        await eventually(lambda: "event=settings.changed" in pair.working.log)
        yield pair


async def _answers(http: httpx.AsyncClient) -> bool:
    with suppress(httpx.HTTPError):
        return (await http.get("/healthz")).status_code == 200
    return False
