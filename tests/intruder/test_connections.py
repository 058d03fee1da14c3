"""A stranger opens connections and lets the server wait: others are answered all the same."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import httpx
import pytest
import uvicorn
from structlog.testing import capture_logs
from uvicorn._types import ASGI3Application

from api import serve
from api.http.connection_gate import ConnectionGate, ConnectionLimits
from api.http.gated_protocols import GatedConfig
from api.limits.connection_table import ConnectionsFull, ConnectionTable, Yields
from api.limits.network import network_of
from fonoteka.core.background_tasks import supervised
from fonoteka.core.config import ApiSection, Configuration, split_address
from tests.api.conftest import Site, report
from tests.api.test_live import listening, next_message
from tests.data import seed
from tests.support.eventually import LIMIT_S, eventually

BEGIN: Final = datetime(2026, 11, 22, 16, 43, 42, tzinfo=UTC)
MANY: Final = 2005  # five more than the server takes
FEWER: Final = 205  # five more than a smaller server takes
HEAD: Final = b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
GET: Final = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
# What each of many connections says, and then it waits.
SAID: Final = {
    "nothing": b"",
    "half a head": b"GET / HTTP/1.1\r\nHost: x\r\nX: ",
    "a head without its body": HEAD + b"Content-Length: 60000\r\n\r\n{",
    "a body in chunks without an end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    "a request that was answered": GET,
    "a request refused before its body": HEAD.replace(b"/api/login", b"/agent/v1/calls").replace(b"POST", b"PUT")
    + b"Content-Length: 60000\r\n\r\n{",
    "a WebSocket without a key": b"GET /api/live HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
}
STRANGERS: Final = {"one address": 1, "sixteen addresses": 16}


@asynccontextmanager
async def connections(
    address: str, count: int, said: bytes, sources: int = 1
) -> AsyncIterator[list[tuple[StreamReader, StreamWriter]]]:
    """Open connections that say something and wait; from 127.0.1.1, 127.0.1.2, …"""
    host, port = split_address(address.removeprefix("http://"))
    opened = []
    try:
        for number in range(count):
            local = (f"127.0.1.{1 + number % sources}", 0)
            reader, writer = await asyncio.open_connection(host, port, local_addr=local)
            writer.write(said)
            opened.append((reader, writer))
        yield opened
    finally:
        for _, writer in opened:
            writer.transport.abort()


async def log_in_from(site: Site, source: str) -> int:
    """Log in over a new connection from an address, and ask who one is; return the last status."""
    transport = httpx.AsyncHTTPTransport(local_address=source)
    async with httpx.AsyncClient(base_url=site.address, transport=transport, timeout=LIMIT_S) as browser:
        credentials = {"domain": "acme", "login": "900", "password": seed.PASSWORD}
        answer = await browser.post("/api/login", json=credentials)
        return (await browser.get("/api/me")).status_code if answer.is_success else answer.status_code


@pytest.fixture
def smaller_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server that is started next take a tenth of the connections."""
    monkeypatch.setattr(serve, "_CONNECTIONS", ConnectionLimits(connections=200, of_a_client=50))


@pytest.mark.parametrize("sources", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
@pytest.mark.usefixtures("smaller_server")
async def test_many_waiting_connections_keep_nobody_out(
    site: Site, admin: httpx.AsyncClient, agent: httpx.AsyncClient, said: bytes, sources: int
) -> None:
    async with listening(site, admin) as socket, connections(site.address, FEWER, said, sources):
        answered = {source: await log_in_from(site, source) for source in ("127.0.0.1", "127.0.1.1", "127.0.2.1")}
        await report(agent, seed.a_call(1, BEGIN))
        message = await next_message(socket)
    assert answered == {"127.0.0.1": 200, "127.0.1.1": 200, "127.0.2.1": 200}
    assert message["type"] == "call", "the live socket was open before, and still is"


async def test_the_whole_server_is_full_and_says_so_once_a_minute(site: Site) -> None:
    with capture_logs() as logs:
        async with connections(site.address, MANY, b"", sources=16):
            assert await log_in_from(site, "127.0.0.1") == 200
            lines = await eventually(lambda: [line for line in logs if line["event"] == "connections.crowded"])
    assert len(lines) == 1 and lines[0]["open"] <= 2000 and lines[0]["mostly_of"].startswith("127.0.1.")


@asynccontextmanager
async def served(app: ASGI3Application, limits: ConnectionLimits, proxies: tuple[str, ...] = ()) -> AsyncIterator[str]:
    """Serve an application with limits; yield its address."""
    gate = ConnectionGate(limits, proxies)
    server = uvicorn.Server(GatedConfig(app, gate, interface="asgi3", log_config=None, lifespan="off"))
    with serve.listen(Configuration(api=ApiSection(listen="127.0.0.1:0"))) as listening_socket:
        async with supervised("connections", gate.run):
            serving_task = asyncio.create_task(server._serve([listening_socket]))
            await eventually(lambda: server.started)
            yield f"http://127.0.0.1:{listening_socket.getsockname()[1]}"
            server.should_exit = server.force_exit = True
            await serving_task


async def answering(scope: Any, receive: Any, send: Any, *, reads_after_s: float = 0, content: bytes = b"ok") -> None:
    """Read the body, perhaps late, and answer."""
    await asyncio.sleep(reads_after_s)
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(content)).encode())]})
    await send({"type": "http.response.body", "body": content})


async def trickle(writer: StreamWriter, part: bytes, every_s: float) -> None:
    """Send parts until the connection is closed."""
    with suppress(ConnectionError):
        while not writer.transport.is_closing():
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(every_s)


SHORT: Final = ConnectionLimits(head_s=1, body_s=1, body_bytes_per_s=1000, idle_s=2, unread_s=1)
POST: Final = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
# What a client says at once, what it goes on saying, and how often.
TOO_LATE: Final = {
    "nothing": (b"", b"", 1.0),
    "a head, header by header": (b"GET / HTTP/1.1\r\n", b"X: y\r\n", 0.1),
    "the head of a second request": (GET + b"GET", b"", 1.0),
    "no body": (POST, b"", 1.0),
    "a body, byte by byte": (POST, b"x", 0.1),
    "many bytes of a body, and then none": (POST + b"x" * 90_000, b"", 1.0),
    "a request and no other": (GET, b"", 1.0),
}


@pytest.mark.parametrize(("begin", "part", "every_s"), TOO_LATE.values(), ids=TOO_LATE)
async def test_a_client_that_lets_the_server_wait_is_disconnected(begin: bytes, part: bytes, every_s: float) -> None:
    async with served(answering, SHORT) as address, connections(address, 1, begin) as ((reader, writer),):
        trickling = asyncio.create_task(trickle(writer, part, every_s))
        with suppress(ConnectionError):
            while await asyncio.wait_for(reader.read(65_536), LIMIT_S):
                pass
        trickling.cancel()


async def test_a_client_that_does_not_read_is_disconnected() -> None:
    async with (
        served(partial(answering, content=b"x" * 64 * 1024**2), SHORT) as address,
        connections(address, 1, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") as ((reader, _),),
    ):
        received = 0
        with suppress(ConnectionError):
            await asyncio.sleep(4)  # the time that the server has to wait in vain
            while part := await asyncio.wait_for(reader.read(65_536), LIMIT_S):
                received += len(part)
        assert received < 64 * 1024**2


ON_TIME: Final = {
    "a body longer than the deadline, at the rate": (POST.replace(b"100000", b"8000"), b"x" * 200, 0.1),
    "a request after each pause": (GET, GET, 1.5),
}


@pytest.mark.parametrize(("begin", "part", "every_s"), ON_TIME.values(), ids=ON_TIME)
async def test_a_client_that_keeps_the_pace_is_answered(begin: bytes, part: bytes, every_s: float) -> None:
    limits = ConnectionLimits(head_s=1, body_s=3, body_bytes_per_s=500, idle_s=6)
    async with served(answering, limits) as address, connections(address, 1, begin) as ((reader, writer),):
        answers = 0
        trickling = asyncio.create_task(trickle(writer, part, every_s))
        while answers < (3 if part == GET else 1):
            assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), LIMIT_S)).startswith(b"HTTP/1.1 200")
            answers += 1
        trickling.cancel()


async def test_a_server_that_is_late_itself_does_not_blame_the_client() -> None:
    slow = partial(answering, reads_after_s=3)
    async with served(slow, SHORT) as address, httpx.AsyncClient(timeout=LIMIT_S) as client:
        assert (await client.post(address, content=b"x" * 5 * 1024**2)).text == "ok"


@pytest.mark.parametrize(
    ("said", "proxies", "open_before"),
    [(b"", (), 3), (b"", ("127.0.1.0/24",), 10), (b"", ("*",), 10), (HEAD + b"Content-Length: 9\r\n\r\n", (), 3)],
    ids=["idle", "of a trusted proxy", "of any proxy", "before their body"],
)
async def test_one_address_has_its_most_connections(said: bytes, proxies: tuple[str, ...], open_before: int) -> None:
    limits = ConnectionLimits(of_a_client=3)
    async with served(answering, limits, proxies) as address, connections(address, 10, said) as opened:
        await eventually(lambda: len(_closed(opened)) == 10 - open_before)
        async with connections(address, 1, GET) as ((reader, _),):
            assert await asyncio.wait_for(reader.readline(), LIMIT_S) == b"HTTP/1.1 200 OK\r\n"


def _closed(opened: list[tuple[StreamReader, StreamWriter]]) -> list[object]:
    return [reader for reader, _ in opened if reader.at_eof() or reader.exception()]


async def test_where_the_server_works_for_all_of_them_a_new_one_is_refused() -> None:
    working = 0

    async def busy(scope: Any, receive: Any, send: Any) -> None:
        nonlocal working
        working += 1
        await asyncio.sleep(LIMIT_S)

    async with served(busy, ConnectionLimits(of_a_client=3)) as address, connections(address, 3, GET):
        await eventually(lambda: working == 3)
        async with connections(address, 1, GET) as ((reader, _),):
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT_S)
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5")


# Each step: a connection, its client, its level, and the connection that makes room for it.
STEPS: Final = [
    ("a1", "a", Yields.FIRST, None),
    ("a2", "a", Yields.NEVER, None),
    ("b1", "b", Yields.FIRST, None),
    ("a3", "a", Yields.SECOND, None),  # a has its most
    ("a4", "a", Yields.SECOND, "a1"),  # the idle one of the same client
    ("a5", "a", Yields.NEVER, "a3"),  # none is idle: the one that waits for its client
    ("a6", "a", Yields.NEVER, "a4"),
    ("a7", "a", Yields.NEVER, ConnectionsFull),
    ("c1", "c", Yields.SECOND, None),  # five: all are taken
    ("d1", "d", Yields.NEVER, "b1"),  # the idle one, although c1 is of a client as small
    ("e1", "e", Yields.NEVER, "c1"),
    ("f1", "f", Yields.FIRST, ConnectionsFull),
]


def test_which_connection_makes_room() -> None:
    table = ConnectionTable[str](limit=5, limit_of_a_client=3)
    seen: list[object] = []
    for connection, client, level, _ in STEPS:
        try:
            seen.append(table.add(connection, client))
            table.set(connection, level)
        except ConnectionsFull:
            seen.append(ConnectionsFull)
    assert seen == [displaced for *_, displaced in STEPS]
    assert sorted(table) == ["a2", "a5", "a6", "d1", "e1"]


def test_the_client_with_the_most_connections_makes_room_first() -> None:
    table = ConnectionTable[str](limit=6, limit_of_a_client=6)
    for connection in ("b1", "a1", "a2", "c1", "a3", "b2"):
        assert table.add(connection, connection[0]) is None
    assert [table.add(f"d{number}", "d") for number in range(4)] == ["a1", "b1", "a2", "d0"]


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_a_client_of_ipv6_has_a_network(address: str, client: str) -> None:
    assert network_of(address) == client


def test_a_process_that_may_open_few_files_takes_fewer_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = ConnectionLimits()
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr("resource.setrlimit", lambda _, both: set_to.append(both))
    for files, connections_then in [((1024, 20_000), 2000), ((1024, 1024), 512), ((2000, 2000), 1000), ((-1, -1), 2000)]:
        monkeypatch.setattr("resource.getrlimit", lambda _, files=files: files)
        assert serve.within_file_limit(limits).connections == connections_then
    assert set_to == [(3000, 20_000), (1024, 1024), (2000, 2000)]
