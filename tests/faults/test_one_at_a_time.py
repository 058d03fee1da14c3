"""One `fonoteka up` or agent uses a spool; `up` waits for its own child, not for the port."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from fonoteka.core.errors import SpoolError
from fonoteka.core.spool import Spool
from lab.tools.installation import fonoteka, free_port
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
            *(sys.executable, "-c", script, str(lock)), cwd=tmp_path, pass_fds=(lock,), stdin=asyncio.subprocess.PIPE
        )
        stranger = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, str(lock)),
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
