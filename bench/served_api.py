"""Run the real API in its own process, so that measuring takes no time from it."""

import asyncio
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import tomlkit

from fonoteka.core.config import StoreSection


@asynccontextmanager
async def served(section: StoreSection, port: int | None = None) -> AsyncIterator[str]:
    """Serve a store on a port (a free one) and yield the address."""
    if port is None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "fonoteka.toml"
        store = {"database": section.database, "objects": section.objects}
        settings = {"store": store, "api": {"listen": f"127.0.0.1:{port}"}}
        config.write_text(tomlkit.dumps(settings), encoding="utf-8")
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
