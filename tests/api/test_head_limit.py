"""A connection with an endless request line, header or trailer is closed."""

import asyncio
from contextlib import suppress

import httpx
import pytest

from tests.api.conftest import Site

_CHUNKED = b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: "
_MIB = 1024**2


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET /", b"a" * 65_536),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"a" * 65_536),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n" * 10_000),
        (_CHUNKED, b"a" * 65_536),
    ],
    ids=["address", "header", "headers", "trailer"],
)
async def test_an_endless_head_is_not_kept(site: Site, begin: bytes, more: bytes) -> None:
    host, port = site.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    sent = 0
    with suppress(ConnectionError):
        writer.write(begin)
        while sent < 16 * _MIB and not reader.at_eof():
            writer.write(more)
            await asyncio.wait_for(writer.drain(), 60)
            sent += len(more)
            await asyncio.sleep(0)
    writer.close()
    assert sent < 8 * _MIB, "the rest is in socket buffers"


async def test_a_long_selection_and_a_long_body_are_accepted(site: Site, admin: httpx.AsyncClient) -> None:
    many = "&".join(f"user=somebody.with.a.long.name.{number}" for number in range(1000))
    assert (await admin.get(f"/api/calls?{many}")).status_code == 200

    async def slowly() -> object:
        for _ in range(10):
            yield b" " * 30_000
            await asyncio.sleep(0)

    answer = await admin.post("/api/login", content=slowly(), headers={"Content-Type": "application/json"})  # type: ignore[arg-type]
    assert answer.status_code == 413, "the body's own limit says so, and the connection stays open"
    assert (await admin.get("/api/me")).status_code == 200
