"""A real API and the built portal on a seeded store, served by uvicorn on a free port."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import TypeAdapter

from api.app import create_app
from fonoteka.core.agent_protocol import Command, CommandOutcome, Commands, Refusal
from fonoteka.core.call_report import CallReport
from fonoteka.core.config import ApiSection, Configuration, MailSection
from store.database.store import Store
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.data import half_year
from tests.data.office import office
from tests.data.seed import DIRECTORY, PBX_TOKEN, section, seed
from tests.support import http

_REPORTS, _COMMANDS, _OUTCOME = TypeAdapter(list[CallReport]), TypeAdapter(Commands), TypeAdapter(CommandOutcome)
_AGENT = {"Authorization": f"Bearer {PBX_TOKEN}"}
CALLS = 110  # of the seed
SERVER = "portal"  # the name of the thread that serves
_STARTS_WITHIN_S = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """Where the portal is, and the way an agent would tell it of calls."""

    address: str
    now: datetime

    def report(self, *calls: CallReport) -> None:
        """Ship calls as an agent does."""
        answer = http.put(
            f"{self.address}/agent/v1/calls",
            content=_REPORTS.dump_json(list(calls)),
            headers=_AGENT | {"Content-Type": "application/json"},
        )
        answer.raise_for_status()
        assert all(receipt["refused"] is None for receipt in answer.json()["receipts"]), answer.text

    def asked(self) -> Command:
        """What the portal has just asked of a recording on the PBX."""
        answer = http.get(f"{self.address}/agent/v1/commands", params={"after": 0, "wait_s": 5}, headers=_AGENT)
        return _COMMANDS.validate_json(answer.raise_for_status().content).commands[-1]

    def answer(self, command: Command, *, refusal: Refusal | None = None, report: CallReport | None = None) -> None:
        """Say what came of it, as an agent does."""
        content = _OUTCOME.dump_json(CommandOutcome(refusal=refusal, report=report))
        headers = _AGENT | {"Content-Type": "application/json"}
        http.post(f"{self.address}/agent/v1/commands/{command.id}", content=content, headers=headers).raise_for_status()


def noon_zone(now: datetime) -> str:
    """The zone in which it is 12:00 to 13:00 now: then «today» has a morning at any time."""
    hours = 12 - now.hour
    # Etc/GMT-7 is seven hours east of Greenwich.
    return f"Etc/GMT{-hours:+d}" if hours else "Etc/GMT"


async def filled(folder: Path, now: datetime, count: int) -> None:
    """Make the store in `folder`: the seed's directory in the noon's zone, and `count` calls."""
    folder.mkdir(parents=True, exist_ok=True)
    store = await Store.open(section(folder), sweep=True)
    try:
        await seed(store, count=count, now=now)
        await apply(store, parse_directory(DIRECTORY.replace("Asia/Krasnoyarsk", noon_zone(now)), source="tests.portal"))
    finally:
        await store.close()


Filled = Callable[[Path, datetime, int], Coroutine[None, None, None]]


def with_half_a_year(*, people: int = 48, numbers: int = 24, heard: bool = True) -> Filled:
    """Instead of `filled`: the calls of half a year, of so many people and numbers.

    `heard` is `tests.data.half_year.fill`'s.
    """

    async def half_a_year(folder: Path, now: datetime, count: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        store = await Store.open(section(folder), sweep=True)
        try:
            of = office(people=people, numbers=numbers, zone=noon_zone(now))
            await half_year.fill(store, count, of=of, until=now, heard=heard)
        finally:
            await store.close()

    return half_a_year


@contextmanager
def serving(folder: Path, *, count: int, filled: Filled = filled, mail: MailSection | None = None) -> Iterator[Served]:
    """Make a store of so many calls in `folder` and serve the portal on it while the block runs."""
    now = datetime.now(UTC)
    support = ApiSection(support_phone="8-800-77-55-117", support_email="helpdesk@acme.example")
    configuration = Configuration(store=section(folder), api=support, mail=mail or MailSection())
    with serving_what(lambda: filled(folder, now, count), configuration, now) as served:
        yield served


@contextmanager
def serving_what(filling: Callable[[], Coroutine[Any, Any, None]], configuration: Configuration, now: datetime) -> Iterator[Served]:
    """Make the configured store by `filling`, and serve the portal while the block runs."""
    # In a thread of its own: Playwright keeps an event loop running in this one.
    with ThreadPoolExecutor(1) as other:
        other.submit(lambda: asyncio.run(filling())).result()
    listening = socket.create_server(("127.0.0.1", 0))
    app = create_app(configuration)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name=SERVER)
    thread.start()
    try:
        address = "http://{}:{}".format(*listening.getsockname())
        with httpx.Client(transport=httpx.HTTPTransport(retries=3), timeout=_STARTS_WITHIN_S) as client:
            client.get(f"{address}/healthz").raise_for_status()
        yield Served(address=address, now=now)
    finally:
        server.should_exit = True
        thread.join(_STARTS_WITHIN_S)
        listening.close()
