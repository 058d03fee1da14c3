"""An API that is served, in this process or in one of its own."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import tomlkit
from pydantic import SecretStr

from fonoteka.core.config import StoreSection
from lab.tools.installation import free_port
from tests.data import seed
from tests.support.eventually import eventually


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """A running API."""

    address: str

    def client(self, token: str | None = None, **headers: str) -> httpx.AsyncClient:
        """Return the client of a program; it keeps no cookies of its own."""
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.address, headers=authorization | headers, timeout=60)

    async def log_in(self, login: str, domain: str = "acme", password: str = seed.PASSWORD) -> httpx.AsyncClient:
        """Return the client of a program that has logged in."""
        async with self.client() as client:
            answer = await client.post("/api/login", json={"domain": domain, "login": login, "password": password})
        assert answer.status_code == 200, answer.text
        return self.client(answer.json()["token"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Replica(Served):
    """An API in a process of its own, with its log."""

    process: asyncio.subprocess.Process
    log: Path

    async def kill(self) -> None:
        """Kill the process."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def api_process(section: StoreSection, folder: Path, **api: Any) -> AsyncIterator[Replica]:
    """Run the API as a process of its own; `api` are keys of its section of the configuration."""
    listen = f"127.0.0.1:{free_port()}"
    name = listen.rpartition(":")[2]
    config, log = folder / f"api-{name}.toml", folder / f"api-{name}.log"
    store = {key: _plain(value) for key, value in section.model_dump(exclude_none=True).items()}
    config.write_text(tomlkit.dumps({"store": store, "api": {"listen": listen} | api}), encoding="utf-8")
    command = (sys.executable, "-m", "fonoteka", "api", "--config", str(config))
    with log.open("wb") as written:
        process = await asyncio.create_subprocess_exec(*command, cwd=Path(__file__).parents[2], stderr=written)

    def listens() -> bool:
        assert process.returncode is None, log.read_text()
        return "event=api.listens" in log.read_text()

    try:
        await eventually(listens)
        yield Replica(address=f"http://{listen}", process=process, log=log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _plain(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
