"""One `fonoteka up` or agent uses a spool and an Asterisk; `up` waits for its own child.

SCENARIOS 33.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from pydantic import TypeAdapter

from fonoteka.core.domains import Domain, DomainSettings, User
from fonoteka.core.errors import SpoolError
from fonoteka.core.spool import Spool
from lab.asterisk.server import LabAsterisk
from lab.scenarios.steps import customer_with, talk_and_leave
from lab.tools.installation import Fonoteka, fonoteka, free_port
from tests.support.eventually import eventually

# Asterisk is not there: the agent tries to reach it again and again.
CONFIGURATION = """\
[pbx]
ami = "127.0.0.1:{ami}"
ami_secret = "secret"
agi = ""
spool = "{spool}"
[agent]
token = "token"
[store]
database = "sqlite:///{name}.db"
objects = "file://{folder}/objects-{name}"
[api]
listen = "127.0.0.1:{port}"
"""


def configure(folder: Path, name: str, port: int) -> str:
    """Write a configuration; two of one folder have the same spool, and nothing else in common."""
    text = CONFIGURATION.format(ami=free_port(), spool=folder / "spool", name=name, folder=folder, port=port)
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return f"{name}.toml"


@asynccontextmanager
async def running(folder: Path, command: str, file: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a part until the block ends; its log is `up.log`."""
    with (folder / "up.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fonoteka", command, "--config", file), cwd=folder, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def test_a_second_one_on_a_spool_says_so_and_touches_nothing(tmp_path: Path) -> None:
    """Every test with a real Asterisk shows that the agents of one `up` follow one another."""
    first, second = configure(tmp_path, "first", free_port()), configure(tmp_path, "second", free_port())
    async with running(tmp_path, "agent", first) as agent:
        await eventually(lambda: "event=ami.retry" in (tmp_path / "up.log").read_text(encoding="utf-8"))
        line = (
            f"fonoteka: pbx.spool = '{tmp_path}/spool' is in use by process {agent.pid}: "
            "only one `fonoteka up` or `fonoteka agent` may use a spool\n"
        )
        tried = (fonoteka(command, "--config", second, folder=tmp_path) for command in ("up", "agent"))
        assert await asyncio.gather(*tried) == [(2, "", line)] * 2
        assert {path.name for path in tmp_path.iterdir()} == {first, second, "spool", "up.log"}
        with pytest.raises(SpoolError, match="is in use"), Spool(tmp_path / "spool").alone(patience_s=0):
            pass
        agent.kill()
        await agent.wait()
        with Spool(tmp_path / "spool").alone(patience_s=0):
            pass


async def test_the_lock_is_passed_to_a_child(tmp_path: Path) -> None:
    """The child holds the lock by the descriptor that it inherits, and not by another number."""
    script = (
        "import sys; from pathlib import Path; from fonoteka.core.spool import Spool\n"
        "with Spool(Path('spool')).alone(int(sys.argv[1]), patience_s=0): sys.stdin.read()"
    )
    with Spool(tmp_path / "spool").alone() as lock:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, str(lock.descriptor)),
            cwd=tmp_path,
            pass_fds=(lock.descriptor,),
            stdin=asyncio.subprocess.PIPE,
        )
        stranger = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, str(lock.descriptor)),
            cwd=tmp_path,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, refused = await stranger.communicate()
    assert b"is in use by process" in refused, "a number alone is no lock"
    with pytest.raises(SpoolError, match="is in use"), Spool(tmp_path / "spool").alone(patience_s=0):
        pass  # the child has it still
    await child.communicate(b"")
    assert child.returncode == 0


def another_spool(pbx: LabAsterisk, folder: Path, name: str) -> Path:
    """Configure an agent that has nothing in common with others but Asterisk. Return its spool."""
    spool = pbx.spool.with_name(name)
    text = CONFIGURATION.format(ami=0, spool=spool, name=name, folder=folder, port=free_port())
    host, port = pbx.ami
    asterisk = f'ami = "{host}:{port}"\nspool_in_asterisk = "{pbx.spool_in_asterisk.with_name(name)}"'
    text = text.replace('ami = "127.0.0.1:0"', asterisk).replace('"secret"', f'"{pbx.ami_secret}"')
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return spool


async def test_a_second_up_on_an_asterisk_says_so_and_touches_nothing(pbx: LabAsterisk, fonoteka: Fonoteka, tmp_path: Path) -> None:
    another_spool(pbx, tmp_path, "second")
    before, pid = await pbx.cli("database show fonoteka"), fonoteka.part("agent")
    async with running(tmp_path, "up", "second.toml") as process:
        assert await process.wait() == 2
    log = (tmp_path / "up.log").read_text(encoding="utf-8")
    host, port = pbx.ami
    assert f"\nfonoteka: pbx.ami = {host}:{port}: another agent records the calls of this Asterisk (" in log
    assert f":{pbx.spool}): only one `fonoteka up` or `fonoteka agent` may use an Asterisk\n" in log
    assert "event=ami.up" not in log
    assert (await pbx.cli("database show fonoteka"), fonoteka.part("agent")) == (before, pid)


class Agent:
    """An agent with a spool of its own, which can be started again."""

    def __init__(self, pbx: LabAsterisk, folder: Path, name: str) -> None:
        self._folder, self._name, self.spool = folder, name, another_spool(pbx, folder, name)
        self.spool.mkdir()
        (self.spool / "settings.json").write_bytes(TypeAdapter(DomainSettings).dump_json(settings_of(pbx)))

    async def start(self) -> None:
        with (self._folder / f"{self._name}.log").open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "fonoteka", "agent", "--config", f"{self._name}.toml"),
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )

    def records(self) -> bool:
        """Whether it has taken the calls of Asterisk."""
        log = (self._folder / f"{self._name}.log").read_text(encoding="utf-8")
        assert self.process.returncode is None, log
        return "event=ami.up" in log

    @property
    def legs(self) -> set[Path]:
        """The files that Asterisk has written for it."""
        return set(self.spool.glob("*/*/*.wav*"))


def settings_of(pbx: LabAsterisk) -> DomainSettings:
    """Return the company of a PBX, as the API would."""
    users = tuple(
        User(login=u.extension, name=u.name, extension=u.extension, endpoints=(f"PJSIP/acme-{u.extension}",), record=u.record)
        for u in pbx.company.users
    )
    numbers = tuple(user.number for user in pbx.company.users if user.number is not None)
    return DomainSettings(
        version=1, domains=(Domain(name="acme", country="RU", area_codes=("391",), users=users, numbers=numbers),)
    )


async def test_one_of_two_records_and_one_that_stood_still_stops(spare_pbx: LabAsterisk, tmp_path: Path) -> None:
    """Two start in the same second; the one that goes on is stopped, and the other takes over."""
    await spare_pbx.cli("database deltree fonoteka agent")
    agents = [Agent(spare_pbx, tmp_path, name) for name in ("one", "other")]
    try:
        await asyncio.gather(*(agent.start() for agent in agents))
        (ended,) = (await asyncio.wait([asyncio.create_task(ends(agent)) for agent in agents], return_when="FIRST_COMPLETED"))[0]
        second = ended.result()
        (first,) = (agent for agent in agents if agent is not second)
        await eventually(first.records)
        async with customer_with(spare_pbx) as (customer, employee, _):
            await eventually(lambda: first.legs)
            first.process.send_signal(signal.SIGSTOP)
            await second.start()
            await eventually(second.records)
            await eventually(lambda: second.legs)
            first.process.send_signal(signal.SIGCONT)
            assert await ends(first) is first
            recorded = first.legs, len(second.legs)
            await talk_and_leave(customer, employee)
        async with customer_with(spare_pbx) as (customer, employee, _):
            await eventually(lambda: len(second.legs) > recorded[1])
            await talk_and_leave(customer, employee)
        assert second.records()
        assert first.legs == recorded[0], "nothing is recorded twice"
    finally:
        for agent in agents:
            with suppress(ProcessLookupError):
                agent.process.kill()
            await agent.process.wait()
        await spare_pbx.cli("database deltree fonoteka")


async def ends(agent: Agent) -> Agent:
    """Wait until an agent has ended, because another one records."""
    assert await agent.process.wait() == 2
    return agent


async def test_up_waits_for_its_own_child(tmp_path: Path) -> None:
    """Another program answers at the address: `up` does not take it for its API, and ends."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    stranger = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = stranger.sockets[0].getsockname()[1]
    file = configure(tmp_path, "only", port)
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
    async with running(tmp_path, "up", file) as process:
        assert await process.wait() == 2
    stranger.close()
    log = (tmp_path / "up.log").read_text(encoding="utf-8")
    assert f"fonoteka: api.listen = '127.0.0.1:{port}': Address already in use" in log
    assert not (tmp_path / "spool" / "closed").exists(), "the mixer and the agent were not started"
