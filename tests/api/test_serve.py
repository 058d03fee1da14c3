"""Starting and stopping the server, and serving the portal."""

import asyncio
import gzip
import json
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from api import openapi
from api.routes import portal
from api.serve import run
from fonoteka.core.config import ApiSection, Configuration, StoreSection
from fonoteka.core.errors import ConfigurationError
from tests.api.conftest import Site
from tests.data import seed


async def test_a_port_in_use_is_a_configuration_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match=f"^api.listen = '{listen}': Address already in use; choose another"):
            await run(Configuration(store=seed.section(tmp_path), api=ApiSection(listen=listen)))


async def test_a_store_that_cannot_be_opened_is_a_configuration_error() -> None:
    store = StoreSection(database="sqlite:////proc/nowhere/x.db")
    with pytest.raises(ConfigurationError, match=r"store\.database"):
        await run(Configuration(store=store, api=ApiSection(listen="127.0.0.1:0")))


async def test_an_idle_connection_is_kept_longer_than_clients_keep_it(site: Site) -> None:
    """httpx keeps an idle connection for 5 s: if the server closes it first, a request is lost."""
    address = httpx.URL(site.address)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    for pause_s in (6, 0):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: fonoteka\r\n\r\n")
        assert await asyncio.wait_for(reader.readline(), 60) == b"HTTP/1.1 200 OK\r\n"
        await reader.readuntil(b"\r\n\r\nok")
        await asyncio.sleep(pause_s)
    writer.close()


@pytest.fixture
def static(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the portal; a secret file is in the folder above."""
    (tmp_path / "secret").write_text("secret")
    monkeypatch.setattr(portal, "STATIC", tmp_path / "static")
    return tmp_path / "static"


PAGE = "<title>page</title>"


@pytest.fixture
def built(static: Path) -> Path:
    """The built portal."""
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text(PAGE)
    (static / "assets" / "app-1234.js").write_text("code")
    return static


@pytest.fixture
def compressed(built: Path) -> None:
    """The compressed files, recognizable by their content."""
    for name in ("index.html", "assets/app-1234.js"):
        (built / f"{name}.gz").write_bytes(gzip.compress(b"compressed"))


async def get_as_typed(site: Site, target: str) -> httpx.Response:
    """Request exactly this target: httpx by itself normalizes it."""
    async with site.client() as stranger:
        return await stranger.send(httpx.Request("GET", site.address, extensions={"target": target.encode()}))


async def test_where_the_portal_is_not_built_the_page_says_so(static: Path, site: Site) -> None:
    async with site.client() as browser:
        assert "portal is not built" in (await browser.get("/")).text
        assert (await browser.get("/calls/x")).status_code == 503


async def test_the_portal_is_served_with_its_state_in_the_address(built: Path, site: Site) -> None:
    async with site.client() as browser:
        paths = ("/", "/calls/x?kind=missed", "/index.html", "/assets/app-1234.js")
        answers = {path: await browser.get(path) for path in paths}
    assert {path: (answer.text, answer.headers["cache-control"]) for path, answer in answers.items()} == {
        "/": (PAGE, "no-cache"),
        "/calls/x?kind=missed": (PAGE, "no-cache"),
        "/index.html": (PAGE, "no-cache"),
        "/assets/app-1234.js": ("code", "public, max-age=31536000, immutable"),
    }


@pytest.mark.usefixtures("compressed")
@pytest.mark.parametrize(
    ("accepted", "so"),
    [
        ("gzip, deflate, br", True),
        ("GZIP;q=0.5", True),
        ("br, *", True),
        ("*;q=0.1", True),
        ("", False),
        ("br", False),
        ("gzip; q=0", False),
        ("gzip;q=0.000, identity", False),
        ("x-gzip-not", False),
    ],
)
async def test_clients_that_accept_gzip_get_the_compressed_files(site: Site, accepted: str, so: bool) -> None:
    kinds = {"/": "text/html", "/calls/x": "text/html", "/assets/app-1234.js": "text/javascript"}
    async with site.client() as browser:
        for path, kind in kinds.items():
            answer = await browser.get(path, headers={"Accept-Encoding": accepted})
            assert (answer.text == "compressed") is so, path
            assert answer.headers.get("content-encoding") == ("gzip" if so else None)
            assert answer.headers["vary"] == "Accept-Encoding"
            assert answer.headers["content-type"].partition(";")[0] == kind
        assert (await browser.get("/assets/app-1234.js.gz")).status_code == 404


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/{root}/secret", 200),
        ("/%2F{root}%2Fsecret", 200),
        ("/..%2fsecret", 200),
        ("/../secret", 200),
        ("/assets/%2F{root}%2Fsecret", 404),
        ("/assets/..%2F..%2Fsecret", 404),
        ("/assets//{root}/secret", 404),
        ("/assets", 404),
        ("/" + "x" * 300, 200),
        ("/" + "x/" * 3000, 200),
        ("/index.html%00", 200),
    ],
)
async def test_no_address_leads_out_of_the_portal(built: Path, site: Site, target: str, status: int) -> None:
    answer = await get_as_typed(site, target.replace("{root}", str(built.parent)))
    assert answer.status_code == status
    assert "secret" not in answer.text
    assert answer.text == PAGE or status != 200


def test_the_api_command_logs_one_event_per_line(tmp_path: Path) -> None:
    config = tmp_path / "fonoteka.toml"
    config.write_text(
        f'[store]\ndatabase = "sqlite:///{tmp_path}/x.db"\nobjects = "file://{tmp_path}/objects"\n[api]\nlisten = "127.0.0.1:0"'
    )
    serving = subprocess.Popen(
        [sys.executable, "-m", "fonoteka", "api", "--config", str(config)], stderr=subprocess.PIPE, text=True
    )
    assert serving.stderr is not None
    lines = iter(serving.stderr.readline, "")
    listening = next((line for line in lines if "event=api.listens" in line), "")
    serving.kill()
    serving.communicate()
    assert "level=info part=api event=api.listens" in listening


def test_the_document_that_the_portal_is_built_from_is_the_newest(capsys: pytest.CaptureFixture[str]) -> None:
    openapi.main()
    kept = Path(openapi.__file__).parents[1] / "portal" / "openapi.json"
    assert json.loads(capsys.readouterr().out) == json.loads(kept.read_text(encoding="utf-8"))
