"""An API that is served, in this process or in one of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import httpx
import tomlkit
from pydantic import SecretStr

from fonoteka.core.config import StoreSection
from lab.tools.installation import free_port
from tests.data import seed
from tests.support.eventually import eventually
from tests.support.forked import start_command


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

    process: ForkServerProcess
    log: Path

    async def kill(self) -> None:
        """Kill the process."""
        self.process.kill()
        await asyncio.to_thread(self.process.join)


@asynccontextmanager
async def api_process(section: StoreSection, folder: Path, **api: Any) -> AsyncIterator[Replica]:
    """Run `fonoteka api` as a process of its own; `api` are keys of its configuration."""
    listen = f"127.0.0.1:{free_port()}"
    name = listen.rpartition(":")[2]
    config, log = folder / f"api-{name}.toml", folder / f"api-{name}.log"
    store = {key: _plain(value) for key, value in section.model_dump(exclude_none=True).items()}
    config.write_text(tomlkit.dumps({"store": store, "api": {"listen": listen} | api}), encoding="utf-8")
    replica = Replica(
        address=f"http://{listen}", process=start_command(["api", "--config", str(config)], Path(__file__).parents[2], log), log=log
    )

    def listens() -> bool:
        text = log.read_text() if log.exists() else ""
        assert replica.process.exitcode is None, text
        return "event=api.listens" in text

    try:
        await eventually(listens)
        yield replica
    finally:
        await replica.kill()


def _plain(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
