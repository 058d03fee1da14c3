"""The services of systemd may do little, and what they may is enough."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from fonoteka.core.spool import ItemState, Spool
from tests.api.conftest import free_port, put_recording, report
from tests.data import seed
from tests.intruder.test_connections import BEGIN
from tests.support.eventually import LIMIT_S, eventually
from tests.support.legs import close_item, talk

ROOT: Final = Path(__file__).parents[2]
UNITS: Final = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
MOST_EXPOSED: Final = 2.0
EACH_UNIT: Final = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
DIRECTIVES: Final = {
    "UMask": "0077",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "PrivateMounts": "yes",
    "ProtectProc": "invisible",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectControlGroups": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictNamespaces": "yes",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
    "SystemCallErrorNumber": "EPERM",
}


@EACH_UNIT
def test_every_unit_is_confined(unit: Path) -> None:
    set_to = dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(encoding="utf-8"), flags=re.M))
    assert {name: set_to.get(name) for name in DIRECTIVES} == DIRECTIVES
    assert set_to["User"] == "fonoteka"
    assert "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged" in unit.read_text(encoding="utf-8")


@EACH_UNIT
def test_systemd_finds_it_little_exposed(unit: Path) -> None:
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", unit], capture_output=True, text=True, check=True
    ).stdout
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert level is not None and float(level[1]) <= MOST_EXPOSED, said


@asynccontextmanager
async def confined(unit: str, folder: Path, command: str, config: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command of Fonoteka under the filter of its unit, in a folder of its own."""
    (folder / "fonoteka.toml").write_text(config, encoding="utf-8")
    arguments = ["-m", "tests.support.systemd_sandbox", f"{ROOT}/deploy/systemd/{unit}.service", sys.executable, "-m", "fonoteka"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        *(command, "--config", str(folder / "fonoteka.toml")),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "FONOTEKA_MIXER_URGENT": "1"},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), LIMIT_S)


async def _answers(address: str) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"{address}/readyz")).status_code == 200
        except httpx.TransportError:
            return False


def _store(folder: Path, port: int) -> str:
    database = f'database = "sqlite:///{folder}/fonoteka.db"\nobjects = "file://{folder}/objects"\n'
    return f'[store]\n{database}[api]\nlisten = "127.0.0.1:{port}"\n'


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """A spool with the folder that the guide makes, by a user who may set its bit."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool").chmod(0o2770)
    return Spool(tmp_path / "spool")


async def test_the_api_works_under_its_filter(seeded: Path, tmp_path: Path) -> None:
    shutil.copytree(seeded, tmp_path, dirs_exist_ok=True)
    address = f"http://127.0.0.1:{(port := free_port())}"
    async with confined("fonoteka-api", tmp_path, "api", _store(tmp_path, port)):
        await eventually(lambda: _answers(address))
        async with httpx.AsyncClient(base_url=address, timeout=LIMIT_S) as agent:
            agent.headers["Authorization"] = f"Bearer {seed.PBX_TOKEN}"
            call, audio = seed.a_call(1, BEGIN), seed.tone(5000)
            await report(agent, call)
            taken = await put_recording(agent, seed.manifest_of(call, call.segments[0]), seed.mixed_of(audio, 5000), audio)
            assert taken.status_code == 200, taken.text
        async with httpx.AsyncClient(base_url=address, timeout=LIMIT_S) as browser:
            login = {"domain": "acme", "login": "900", "password": seed.PASSWORD}
            browser.headers["Authorization"] = f"Bearer {(await browser.post('/api/login', json=login)).json()['token']}"
            period = "from=2026-11-22&to=2026-11-24"
            (row,) = (await browser.get(f"/api/calls?{period}")).json()["items"]
            for path in (f"calls/{row['id']}/audio?format=mp3", f"calls.xlsx?{period}", f"calls.zip?{period}"):
                assert (await browser.get(f"/api/{path}")).status_code == 200, path


@pytest.mark.parametrize(("unit", "command"), [("fonoteka-mixer", "mixer"), ("fonoteka", "up")])
async def test_the_mixer_works_under_its_filter(tmp_path: Path, spool: Spool, unit: str, command: str) -> None:
    spool.prepare()
    close_item(spool, "waiting", *talk(2.0))
    config = f'[pbx]\nspool = "{spool.root}"\nami_secret = "x"\nagi = ""\nami = "127.0.0.1:1"\n' + _store(tmp_path, free_port())
    async with confined(unit, tmp_path, command, config):
        await eventually(lambda: [item.name for item in spool.items(ItemState.MIXED)] == ["waiting"])


PREPARE: Final = """
import os, sys
from pathlib import Path
from unittest.mock import Mock
from agent.recording.lifecycle import RecordingLifecycle
from fonoteka.core.spool import Spool
from tests.data import seed
os.umask(0o007)  # as the command does
spool = Spool(Path(sys.argv[1]))
spool.prepare()
call = seed.a_call(1, seed.datetime.now(seed.UTC))
RecordingLifecycle(spool, Mock(), Mock()).prepare(seed.manifest_of(call, call.segments[0]))
"""


def test_the_agent_makes_folders_for_asterisk_under_its_filter(spool: Spool) -> None:
    unit = ROOT / "deploy" / "systemd" / "fonoteka-agent.service"
    command = [sys.executable, "-m", "tests.support.systemd_sandbox", str(unit), sys.executable, "-c", PREPARE, str(spool.root)]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    (folder,) = spool.items(ItemState.RECORDING)
    modes = {oct(path.stat().st_mode & 0o7777) for path in (folder, *spool.root.iterdir())}
    assert modes == {"0o2770"}


async def test_the_agent_starts_under_its_filter(tmp_path: Path, spool: Spool) -> None:
    config = f'[pbx]\nspool = "{spool.root}"\nami_secret = "x"\nagi = ""\nami = "127.0.0.1:1"\n[agent]\ntoken = "x"\n'
    async with confined("fonoteka-agent", tmp_path, "agent", config) as process:
        assert process.stderr is not None
        async with asyncio.timeout(LIMIT_S):
            async for line in process.stderr:
                assert b"Operation not permitted" not in line, line
                if b"ami.retry" in line or b"ami.down" in line:
                    break
