"""The real API in a process of its own, so that whoever measures does not take its time."""

import asyncio
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from fonoteka.core.config import StoreSection


@asynccontextmanager
async def served(section: StoreSection) -> AsyncIterator[str]:
    """The API on a store, on a free port; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "fonoteka.toml"
        config.write_text(
            f'[store]\ndatabase = "{section.database}"\nobjects = "{section.objects}"\n[api]\nlisten = "127.0.0.1:{port}"\n',
            encoding="utf-8",
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "fonoteka", "api", "--config", str(config), cwd=Path(__file__).parents[1]
        )
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                await _ready(client, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _ready(client: httpx.AsyncClient, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(60):
        while process.returncode is None:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    raise RuntimeError(f"the API ended with {process.returncode}")
