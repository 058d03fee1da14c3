"""nginx before an API, with the file that operators are given (deploy/nginx.conf)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from tests.support.eventually import LIMIT_S, eventually


@asynccontextmanager
async def nginx(folder: Path, site: str, plain_port: int) -> AsyncIterator[None]:
    """Run nginx with the text of a site, whose port without TLS leads to the one with it."""
    paths = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    main = f"daemon off; user root; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
    (folder / "nginx.conf").write_text(f"{main}http {{ access_log off; {paths}\n{site} }}\n", encoding="utf-8")
    process = await asyncio.create_subprocess_exec("nginx", "-c", folder / "nginx.conf", "-p", folder)
    try:
        await eventually(lambda: _answers(plain_port))
        yield
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), LIMIT_S)


async def _answers(port: int) -> bool:
    async with httpx.AsyncClient() as client:
        with suppress(httpx.TransportError):
            return (await client.get(f"http://127.0.0.1:{port}/")).status_code == 301
    return False
