"""Behind nginx, by the file that operators are given: who lets the server wait is disconnected."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.api.conftest import Site, free_port
from tests.portal.test_behind_nginx import _GIVEN, _adapted, _certificate
from tests.support.eventually import LIMIT_S, eventually
from tests.support.nginx import nginx

UNVERIFIED: Final = ssl._create_unverified_context()  # noqa: S323
# The limits of the file, made short enough for a test; each must be there.
SHORTER: Final = {
    "fonoteka_clients 500;": "fonoteka_clients 3;",
    "client_header_timeout 10s;": "client_header_timeout 1s;",
    "client_body_timeout 30s;": "client_body_timeout 1s;",
    "keepalive_timeout 65s;": "keepalive_timeout 2s;",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Proxy:
    """The port of nginx with TLS, and the site behind it."""

    port: int
    site: Site


@pytest.fixture
async def proxy(site_behind_proxy: Site, tmp_path: Path) -> AsyncIterator[Proxy]:
    plain, tls = free_port(), free_port()
    folder = tmp_path / "nginx"
    folder.mkdir()
    ours = _adapted(_GIVEN.read_text(encoding="utf-8"), site_behind_proxy.address, plain, tls, *_certificate(folder))
    for given, shorter in SHORTER.items():
        assert given in ours
        ours = ours.replace(given, shorter)
    async with nginx(folder, ours, plain):
        yield Proxy(port=tls, site=site_behind_proxy)


@asynccontextmanager
async def connection(proxy: Proxy) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=UNVERIFIED)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


POST: Final = b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n"


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost:", POST + b"{"], ids=["nothing", "half a head", "half a body"])
async def test_a_client_that_lets_nginx_wait_is_disconnected(proxy: Proxy, said: bytes) -> None:
    async with connection(proxy) as (reader, writer):
        writer.write(said)
        with suppress(ConnectionError):
            while await asyncio.wait_for(reader.read(65_536), LIMIT_S):
                pass


async def test_one_address_has_its_most_connections(proxy: Proxy) -> None:
    async with await proxy.site.log_in("900") as client:
        token = {"Authorization": client.headers["authorization"]}
    async with AsyncExitStack() as stack:

        async def listen() -> None:
            await stack.enter_async_context(
                connect(f"wss://localhost:{proxy.port}/api/live", ssl=UNVERIFIED, additional_headers=token)
            )

        for _ in range(3):
            await listen()
        with pytest.raises(InvalidStatus, match="429"):
            await listen()
    async with httpx.AsyncClient(verify=UNVERIFIED) as browser:  # when they are closed there is room again
        address = f"https://localhost:{proxy.port}/healthz"

        async def answered() -> bool:
            return (await browser.get(address)).status_code == 200

        await eventually(answered)


async def test_a_body_that_the_api_would_refuse_is_not_read(proxy: Proxy) -> None:
    async with connection(proxy) as (reader, writer):
        writer.write(POST.replace(b"50", b"70000"))
        assert (await asyncio.wait_for(reader.readline(), LIMIT_S)).split()[1] == b"413"
