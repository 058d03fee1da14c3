"""A real server with a seeded store, and clients that are logged in."""

import asyncio
import json
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter

from api import serve
from api.app import create_app as create_api
from api.dependencies.services import Services
from api.routes import portal
from fonoteka.core.agent_protocol import CallReceipts, RecordingReceipt
from fonoteka.core.call_report import CallReport
from fonoteka.core.clock import steady_now
from fonoteka.core.config import ApiSection, Configuration, MailSection, StoreSection
from fonoteka.core.manifest import Manifest, Mixed
from store.objects.bucket_place import redirect_of
from tests.data import seed
from tests.support.cheap_passwords import cheap_passwords
from tests.support.eventually import LIMIT_S, eventually
from tests.support.new_stores import STORES, new_section
from tests.support.served import Served

# Used again, because an application builds its routes at its first request (a tenth of a second).
_IDLE_APPS: defaultdict[tuple[Path, str | None], list[FastAPI]] = defaultdict(list)  # by what they were built with


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@dataclass(frozen=True, kw_only=True, slots=True)
class Site(Served):
    """An API that runs in this process."""

    configuration: Configuration
    services: Services


@asynccontextmanager
async def serving(
    folder: Path, *, behind: tuple[str, ...] = (), mail: MailSection | None = None, store: StoreSection | None = None
) -> AsyncIterator[Site]:
    """Serve the API with the store in a folder or another one, perhaps behind proxies."""
    listen = f"127.0.0.1:{free_port()}"
    api = ApiSection(listen=listen, forwarded_allow_ips=behind, support_phone="8-800-77-55-117")
    configuration = Configuration(store=store or seed.section(folder), api=api, mail=mail or MailSection())
    apps: list[FastAPI] = []
    idle = _IDLE_APPS[portal.STATIC, redirect_of(configuration.store.objects)]

    def create_app(given: Configuration) -> FastAPI:
        apps.append(application := idle.pop() if idle else create_api(given))
        application.state.configuration = given
        return application

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serve, "create_app", create_app)
        server = asyncio.create_task(serve.run(configuration))
        try:
            async with httpx.AsyncClient(base_url=f"http://{listen}") as client:
                await eventually(lambda: _is_ready(client, server))
            yield Site(address=f"http://{listen}", configuration=configuration, services=apps[0].state.services)
        finally:
            server.cancel()
            await asyncio.wait([server], timeout=LIMIT_S)
            assert server.done(), f"the API does not end: {server.get_stack()}; {asyncio.all_tasks()}"
    assert server.cancelled()
    idle.append(apps[0])


async def _is_ready(client: httpx.AsyncClient, server: asyncio.Task[None]) -> bool:
    assert not server.done(), server.exception()
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    with cheap_passwords():
        yield


@pytest.fixture
def stopped_login_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass for the login throttle, however long the requests take."""
    stopped = steady_now()
    monkeypatch.setattr("api.limits.shared_limiter.steady_now", lambda: stopped)


@pytest.fixture
async def site_section(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreSection]:
    """A store without calls, one for each test."""
    async with new_section(request, STORES[0], "seeded", tmp_path) as made:
        yield made


@pytest.fixture
async def site(site_section: StoreSection, tmp_path: Path) -> AsyncIterator[Site]:
    """The API with a store without calls."""
    async with serving(tmp_path, store=site_section) as running:
        yield running


@pytest.fixture
async def site_behind_proxy(site_section: StoreSection, tmp_path: Path) -> AsyncIterator[Site]:
    """The same, behind a proxy on this machine."""
    async with serving(tmp_path, behind=("127.0.0.1",), store=site_section) as running:
        yield running


@pytest.fixture
async def admin(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """The administrator of acme."""
    async with await site.log_in("900") as client:
        yield client


@pytest.fixture
async def agent(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """The agent of pbx1."""
    async with site.client(seed.PBX_TOKEN) as client:
        yield client


async def report(agent: httpx.AsyncClient, *calls: CallReport) -> CallReceipts:
    """Ship calls as an agent does."""
    body = TypeAdapter(list[CallReport]).dump_json(list(calls))
    answer = await agent.put("/agent/v1/calls", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    return TypeAdapter(CallReceipts).validate_json(answer.content)


async def put_recording(
    agent: httpx.AsyncClient, manifest: Manifest, mixed: Mixed, audio: bytes, *, peaks: bytes | None = None, **wrong: object
) -> httpx.Response:
    """Ship a recording as an agent does; `wrong` are invalid fields of the manifest."""
    documents = {
        "manifest": json.dumps(TypeAdapter(Manifest).dump_python(manifest, mode="json") | wrong).encode(),
        "mixed": TypeAdapter(Mixed).dump_json(mixed),
        "peaks": peaks or seed.peaks(mixed.duration_ms),
    }
    fields = {name: (None, content, "application/json") for name, content in documents.items()}
    files = fields | {"audio": ("audio.opus", audio, "audio/ogg")}
    return await agent.put(f"/agent/v1/recordings/{manifest.name}", files=files)


async def ship(agent: httpx.AsyncClient, call: CallReport, *lengths_ms: int) -> list[RecordingReceipt]:
    """Ship a call and the audio of its segments."""
    await report(agent, call)
    receipts = []
    for segment, length_ms in zip(call.segments, lengths_ms, strict=True):
        audio = seed.tone(length_ms)
        manifest = seed.manifest_of(call, segment, talk_ms=length_ms)
        answer = await put_recording(agent, manifest, seed.mixed_of(audio, length_ms), audio)
        assert answer.status_code == 200, answer.text
        receipts.append(TypeAdapter(RecordingReceipt).validate_python(json.loads(answer.content)))
    return receipts
