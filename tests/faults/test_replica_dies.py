"""Two APIs behind nginx, by the file that operators are given; one is killed amid all its work.

Clients go on at the other one as they do by themselves: an agent sends again what it has no receipt
for, a player asks for the rest of a recording, a portal opens its socket again and loads.
"""

import asyncio
import json
import os
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx
import pytest
from pydantic import TypeAdapter
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from fonoteka.core.agent_protocol import CallReceipts
from fonoteka.core.call_report import CallReport
from fonoteka.core.config import StoreSection
from fonoteka.core.naming import call_id
from lab.tools.installation import ALWAYS
from tests.api.conftest import free_port, put_recording
from tests.data import seed
from tests.portal.test_behind_nginx import _GIVEN, _adapted, _certificate
from tests.support.eventually import eventually
from tests.support.new_stores import create_database, drop_database
from tests.support.nginx import nginx
from tests.support.served import Replica, api_process

UNVERIFIED: Final = ssl._create_unverified_context()  # noqa: S323
AGENTS: Final = 4
CALLS: Final = 16
KILLED_AFTER: Final = 6  # calls that are stored
LENGTH_MS: Final = 60_000
MORE_THAN_BUFFERS: Final = 16 * 1024**2  # of all sockets between an API and a player
BEGIN: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
ALL: Final = {**ALWAYS, "limit": "500"}
TRIES: Final = 5  # of the time until an event is told


@dataclass
class Site:
    """The port of nginx with TLS, and the APIs behind it."""

    port: int
    replicas: tuple[Replica, Replica]

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=f"https://localhost:{self.port}", verify=UNVERIFIED, headers=headers, timeout=60)


@pytest.fixture
async def site(postgresql: str, tmp_path: Path) -> AsyncIterator[Site]:
    name, folder, plain, tls = f"test_{uuid4().hex}", tmp_path / "nginx", free_port(), free_port()
    folder.mkdir()
    await create_database(postgresql, name, "seeded")
    section = StoreSection(database=f"{postgresql}/{name}", objects=f"file://{tmp_path}/objects")
    behind = {"forwarded_allow_ips": ["127.0.0.1"]}
    async with api_process(section, tmp_path, **behind) as one, api_process(section, tmp_path, **behind) as other:
        given = _GIVEN.read_text(encoding="utf-8")
        assert "# server 192.0.2.20:8080" in given
        given = given.replace("# server 192.0.2.20:8080", f"server {other.address.removeprefix('http://')}")
        given = given.replace("allow 192.0.2.10;", "allow 127.0.0.1;")
        async with nginx(folder, _adapted(given, one.address, plain, tls, *_certificate(folder)), plain):
            yield Site(port=tls, replicas=(one, other))
    await drop_database(postgresql, name)


@dataclass
class Agent:
    """An agent with calls to send: it sends each until there is a receipt for it."""

    site: Site
    sent: list[CallReport] = field(default_factory=list)
    repeated: int = 0

    async def send(self, call: CallReport) -> None:
        audio = seed.tone(5000)
        manifest = seed.manifest_of(call, call.segments[0], talk_ms=5000)
        async with self.site.client(seed.PBX_TOKEN) as client:
            while not await self._reported(client, call):
                self.repeated += 1
            while not await self._shipped(put_recording(client, manifest, seed.mixed_of(audio, 5000), audio)):
                self.repeated += 1
        self.sent.append(call)

    async def _reported(self, client: httpx.AsyncClient, call: CallReport) -> bool:
        body, headers = TypeAdapter(list[CallReport]).dump_json([call]), {"Content-Type": "application/json"}
        try:
            answer = await client.put("/agent/v1/calls", content=body, headers=headers)
        except httpx.TransportError:
            return False
        if not answer.is_success:
            assert answer.status_code in (502, 503, 504), answer.text
            return False
        (receipt,) = TypeAdapter(CallReceipts).validate_json(answer.content).receipts
        assert receipt.refused is None
        return True

    async def _shipped(self, sending: "asyncio.Future[httpx.Response] | object") -> bool:
        try:
            answer: httpx.Response = await sending  # type: ignore[misc]
        except httpx.TransportError:
            return False
        assert answer.is_success or answer.status_code in (502, 503, 504), answer.text
        return answer.is_success


@dataclass
class Tab:
    """A portal: it knows the calls that it was told of, and those that it loaded by itself."""

    site: Site
    token: str
    known: dict[str, str] = field(default_factory=dict)  # linkedid to the state of the recording
    told: set[str] = field(default_factory=set)
    connections: int = 0

    async def run(self) -> None:
        while True:
            try:
                async with self._socket() as socket:
                    await self._load()
                    self.connections += 1
                    async for text in socket:
                        await self._take(json.loads(text))
            except (WebSocketException, OSError, httpx.TransportError, httpx.HTTPStatusError):
                await asyncio.sleep(0.1)  # a portal waits for longer

    @asynccontextmanager
    async def _socket(self) -> AsyncIterator[ClientConnection]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with connect(f"wss://localhost:{self.site.port}/api/live", ssl=UNVERIFIED, additional_headers=headers) as socket:
            yield socket

    async def _load(self) -> None:
        async with self.site.client(self.token) as client:
            answer = (await client.get("/api/calls", params=ALL)).raise_for_status()
        self.known |= {call["linkedid"]: call["recording"]["state"] for call in answer.json()["items"]}
        self.ids = {call["id"]: call["linkedid"] for call in answer.json()["items"]}

    async def _take(self, message: dict[str, object]) -> None:
        match message:
            case {"type": "resync"}:
                await self._load()
            case {"type": "call", "call": {"id": str(id), "linkedid": str(linkedid), "recording": {"state": str(state)}}}:
                self.ids[id] = linkedid
                self.known[linkedid] = state
                self.told.add(linkedid)
            case {"type": "recording", "id": str(id), "recording": {"state": str(state)}}:
                self.known[self.ids[id]] = state


@dataclass
class Player:
    """A player that reads a recording to its end, and asks for the rest when it breaks off."""

    site: Site
    token: str
    call: str
    content: bytearray = field(default_factory=bytearray)
    broken: int = 0

    async def play(self, half: asyncio.Event, go_on: asyncio.Event) -> None:
        size = None
        async with self.site.client(self.token) as client:
            while size is None or len(self.content) < size:
                headers = {"Range": f"bytes={len(self.content)}-"}
                try:
                    async with client.stream("GET", f"/api/calls/{self.call}/audio", headers=headers) as answer:
                        assert answer.status_code in (206, 502, 503, 504), answer
                        if answer.status_code != 206:
                            continue
                        size = int(answer.headers["content-range"].rpartition("/")[2])
                        async for piece in answer.aiter_raw(256 * 1024):
                            self.content += piece
                            half.set()
                            await go_on.wait()
                except httpx.TransportError:
                    self.broken += 1


async def logged_in(site: Site) -> str:
    async with site.client() as client:
        answer = await client.post("/api/login", json={"domain": "acme", "login": "900", "password": seed.PASSWORD})
    return str(answer.raise_for_status().json()["token"])


async def until_told(agent: Agent, tabs: list[Tab], number: int) -> float:
    """Report a call, and return for how long its receipt was there before every tab was told."""
    call = seed.but(seed.a_call(number, BEGIN + timedelta(seconds=number)), segments=())
    async with agent.site.client(seed.PBX_TOKEN) as client:
        while not await agent._reported(client, call):
            pass
    received = time.monotonic()
    while not all(call.linkedid in tab.told for tab in tabs):
        assert time.monotonic() - received < 60, "a tab is not told"
        await asyncio.sleep(0.005)
    return time.monotonic() - received


async def test_clients_go_on_when_one_of_two_apis_is_killed(site: Site) -> None:
    token, agent = await logged_in(site), Agent(site)
    long = seed.a_call(1000, BEGIN - timedelta(hours=1), talk_ms=LENGTH_MS)
    audio = seed.tone(5000) + os.urandom(MORE_THAN_BUFFERS)
    async with site.client(seed.PBX_TOKEN) as client:
        assert await agent._reported(client, long)
        manifest = seed.manifest_of(long, long.segments[0], talk_ms=LENGTH_MS)
        assert (await put_recording(client, manifest, seed.mixed_of(audio, LENGTH_MS), audio)).is_success
    # nginx takes turns: each API gets two tabs, of three requests each, and two players.
    tabs = [Tab(site, token) for _ in range(4)]
    players = [Player(site, token, call_id(long.pbx, long.linkedid)) for _ in range(4)]
    running: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as portals:
        for tab in tabs:
            running.append(portals.create_task(tab.run()))
            await eventually(lambda tab=tab: tab.connections == 1)  # type: ignore[misc]
            async with site.client() as client:
                assert (await client.get("/healthz")).is_success
        go_on, playing = asyncio.Event(), []
        for player in players:
            half = asyncio.Event()
            playing.append(asyncio.create_task(player.play(half, go_on)))
            await half.wait()
        waiting = [seed.a_call(number, BEGIN + timedelta(seconds=number)) for number in range(CALLS)]
        async with asyncio.TaskGroup() as group:
            for place in range(AGENTS):
                group.create_task(send_all(agent, waiting[place::AGENTS]))
            await eventually(lambda: len(agent.sent) >= KILLED_AFTER)
            await site.replicas[0].kill()
            go_on.set()
        await asyncio.gather(*playing)
        await eventually(lambda: sum(tab.connections for tab in tabs) > len(tabs))
        expected = {call.linkedid: "ready" for call in [*waiting, long]}
        await eventually(lambda: all(tab.known == expected for tab in tabs))
        delays = [await until_told(agent, tabs, 2000 + number) for number in range(TRIES)]
        for task in running:
            task.cancel()
    print(
        f"repeated requests of agents: {agent.repeated}; broken streams: {sum(player.broken for player in players)} of 4; "
        f"sockets opened again: {sum(tab.connections for tab in tabs) - 4} of 4; told within {max(delays):.3f} s at most"
    )
    assert sum(player.broken for player in players) > 0
    assert all(player.content == audio for player in players)
    await check_stored(site, token, [*waiting, long])


async def send_all(agent: Agent, calls: list[CallReport]) -> None:
    for call in calls:
        await agent.send(call)


async def check_stored(site: Site, token: str, calls: list[CallReport]) -> None:
    """Each call is there once, with its recording."""
    async with site.client(token) as client:
        items = (await client.get("/api/calls", params=ALL)).raise_for_status().json()["items"]
        recorded = Counter(item["linkedid"] for item in items if item["recording"]["state"] == "ready")
        assert recorded == Counter(call.linkedid for call in calls)
        for item in items:
            if item["recording"]["state"] == "ready":
                audio = (await client.get(f"/api/calls/{item['id']}/audio")).raise_for_status().content
                assert audio.startswith(b"OggS")
