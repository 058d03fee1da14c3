"""`/readyz` says not ready, and why; `/healthz` says that the process runs."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from api import readiness
from api.agent_links import ABSENT_AFTER_S, AgentLinks
from api.app import create_app
from fonoteka.cli.doctor import api as doctor_api
from fonoteka.core.agent_protocol import PbxLink
from fonoteka.core.config import ApiSection, Configuration, StoreSection
from tests.api.conftest import Site, serving
from tests.support.eventually import eventually
from tests.support.new_stores import create_database
from tests.support.stored_objects import objects_folder
from tests.unit.mixer.test_full_disk import fill, small_disk

LEAST: Final = 64 * 1024


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check at each request, with little patience."""
    monkeypatch.setattr(readiness, "_KEPT_S", 0.0)
    monkeypatch.setattr(readiness, "_PATIENCE_S", 1.0)
    monkeypatch.setattr(readiness, "LEAST_FREE_BYTES", LEAST)


@contextmanager
def index_locked(folder: Path) -> Iterator[None]:
    with closing(sqlite3.connect(folder / "fonoteka.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def disk_full(folder: Path) -> Iterator[None]:
    filler = fill(folder)
    yield
    filler.unlink()


@contextmanager
def disk_almost_full(folder: Path) -> Iterator[None]:
    filler = fill(folder, LEAST // 2)
    yield
    filler.unlink()


@contextmanager
def objects_gone(folder: Path) -> Iterator[None]:
    (folder / "objects").rename(folder / "away")
    yield
    (folder / "away").rename(folder / "objects")


@contextmanager
def objects_unmounted(folder: Path) -> Iterator[None]:
    """The empty folder on which a disk was mounted is left."""
    with objects_gone(folder):
        (folder / "objects").mkdir()
        yield
        (folder / "objects").rmdir()


@contextmanager
def objects_not_writable(folder: Path) -> Iterator[None]:
    """A file in the place of the folder: the tests run as root, whom no mode stops."""
    incoming = folder / "objects" / ".incoming"
    incoming.rename(folder / "incoming")
    incoming.write_bytes(b"")
    yield
    incoming.unlink()
    (folder / "incoming").rename(incoming)


FAULTS: Final = {
    "the index is locked": (index_locked, "store.database: locked or out of reach, no answer within 1 s"),
    "the disk is full": (disk_full, "store.objects: the folder of recordings cannot be written: No space left on device"),
    "the disk is almost full": (disk_almost_full, "store.objects: the disk is full: 0 MiB are free"),
    "the recordings are gone": (objects_gone, "store.objects: the folder of recordings is gone: is its disk mounted?"),
    "their disk is not mounted": (objects_unmounted, "store.objects: the folder of recordings is gone: is its disk mounted?"),
    "they cannot be written": (objects_not_writable, "store.objects: the folder of recordings cannot be written: Not a directory"),
}


@pytest.fixture
async def on_a_disk(seeded: Path, tmp_path: Path) -> AsyncIterator[tuple[Site, Path]]:
    """The API with its store on a small disk."""
    with small_disk(tmp_path / "disk", "16m") as disk:
        shutil.copytree(seeded, disk, dirs_exist_ok=True)
        async with serving(disk) as site:
            yield site, disk


async def asked(client: httpx.AsyncClient) -> tuple[int, str]:
    answer = await client.get("/readyz")
    assert (await client.get("/healthz")).text == "ok", "whatever the store does"
    return answer.status_code, answer.text if answer.is_success else answer.json()["detail"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_store_that_takes_nothing_is_not_ready(on_a_disk: tuple[Site, Path], fault: str) -> None:
    (site, disk), (breaking, reason) = on_a_disk, FAULTS[fault]
    async with site.client() as stranger:
        assert await asked(stranger) == (200, "ready")
        with capture_logs() as logs, breaking(disk):
            status, detail = await asked(stranger)
            assert (status, reason in detail) == (503, True), detail
            assert str(disk) not in detail, "no path of the machine"
            finding, *_ = [answer async for answer in doctor_api.check(_configured(site))]
            assert (finding.check, finding.ok, reason in finding.detail) == ("ready", False, True)  # type: ignore[union-attr]
        await eventually(lambda: _is_ready(stranger))
    assert [line["event"] for line in logs if line["event"].startswith("api.")] == ["api.not_ready"]


async def test_an_agent_that_hears_nothing_is_told_of_but_not_to_a_load_balancer(site: Site, agent: httpx.AsyncClient) -> None:
    async with site.client() as stranger:
        for link, said in (("silent", "Asterisk sends no events to its agent"), ("down", "its agent has no connection")):
            assert (await agent.get("/agent/v1/commands", params={"link": link})).status_code == 200
            status, detail = await asked(stranger)
            assert (status, detail.startswith(f"pbx1: {said}")) == (503, True), detail
            assert (await stranger.get("/readyz", params={"agents": "false"})).text == "ready"
            finding, *_ = [answer async for answer in doctor_api.check(_configured(site))]
            assert (finding.check, finding.ok, said in finding.detail) == ("ready", False, True)  # type: ignore[union-attr]
        assert (await agent.get("/agent/v1/commands", params={"link": "gone"})).status_code == 422
        assert (await agent.get("/agent/v1/commands")).status_code == 200
        assert await asked(stranger) == (200, "ready")


def test_an_agent_that_no_longer_asks_is_told_of() -> None:
    now = 0.0
    links = AgentLinks(lambda: now)
    links.note(1, PbxLink.UP)
    now = ABSENT_AFTER_S
    assert links.problems() == {}
    now += 1
    assert links.problems() == {1: "its agent has not asked for 121 s: is it running?"}


def _configured(site: Site) -> Configuration:
    return site.configuration.model_copy(update={"api": ApiSection(listen=site.address.removeprefix("http://"))})


async def _is_ready(client: httpx.AsyncClient) -> bool:
    return await asked(client) == (200, "ready")


async def test_many_who_ask_take_the_write_lock_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_KEPT_S", 60.0)
    locked = 0

    async def counted(store: object) -> None:
        nonlocal locked
        locked += 1

    monkeypatch.setattr(readiness, "lock_settings", counted)
    checks = readiness.readiness_of(site.services.store)
    for _ in range(100):
        assert await checks.problems() == ()
    assert locked == 1


async def test_a_check_that_hangs_runs_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_PATIENCE_S", 0.01)
    with index_locked(objects_folder(site.services.store).root.parent):
        checks = readiness.readiness_of(site.services.store)
        for _ in range(20):
            assert await checks.problems()
        assert len(checks._running) <= 2  # of the index, and perhaps of the disk


async def test_a_postgresql_that_is_locked_or_read_only_is_not_ready(postgresql: str, tmp_path: Path) -> None:
    await create_database(postgresql, "readiness", template="migrated")
    section = StoreSection(database=f"{postgresql}/readiness", objects=f"file://{tmp_path}/objects")
    app = create_app(Configuration(store=section))
    async with app.router.lifespan_context(app), _client(app) as stranger:
        assert await asked(stranger) == (200, "ready")
        async with app.state.services.store.writing() as other:
            await other.exec_driver_sql("SELECT version FROM settings FOR UPDATE")
            assert await asked(stranger) == (503, "store.database: locked or out of reach, no answer within 1 s")
        await eventually(lambda: _is_ready(stranger))
        async with app.state.services.store.writing() as other:
            await other.exec_driver_sql("ALTER DATABASE readiness SET default_transaction_read_only = on")
        await app.state.services.store.engine.dispose()
        assert await asked(stranger) == (503, "store.database: takes no writes: ReadOnlySQLTransactionError")


def _client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://fonoteka")


# The page's own origin is that of the address, or what a trusted proxy names.
ORIGINS: Final = [
    ({"Origin": "http://{host}"}, 204),
    ({"Origin": "https://{host}"}, 403),
    ({"Origin": "https://{host}", "X-Forwarded-Proto": "https"}, 204),
    ({"Origin": "http://{host}", "X-Forwarded-Proto": "https"}, 403),
    ({"Origin": "http://{host}:80"}, 403),
    ({"Origin": "HTTP://{host}"}, 204),
]


async def test_http_and_https_of_one_host_are_two_origins(site_behind_proxy: Site) -> None:
    site = site_behind_proxy
    async with await site.log_in("900") as program:
        cookie = program.headers["authorization"].removeprefix("Bearer ")
    statuses = []
    for headers, _ in ORIGINS:
        sent = {name: value.format(host=site.address.removeprefix("http://")) for name, value in headers.items()}
        async with site.client(**sent, Cookie=f"fonoteka_session={cookie}") as browser:
            answer = await browser.patch("/api/users/152", json={"name": "x"})
            statuses.append(204 if answer.is_success else answer.status_code)
    assert statuses == [status for _, status in ORIGINS]
