"""Behind nginx with TLS, by the very file that operators are given (deploy/nginx.conf)."""

import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from fonoteka.core.config import ApiSection, Configuration
from fonoteka.core.naming import call_id
from tests.data.seed import PASSWORD, PBX_TOKEN, section
from tests.portal.browser import CHROMIUM, FLAGS, SLOWEST_MS, log_in, rows
from tests.portal.going_on import BY_RULE, going_on
from tests.portal.served import Served, filled, serving_what
from tests.support.eventually import LIMIT_S

_GIVEN = Path(__file__).parents[2] / "deploy" / "nginx.conf"


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """What nginx serves, and the portal behind it."""

    address: str
    plain: str
    served: Served


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _certificate(folder: Path) -> tuple[Path, Path]:
    key, chain = folder / "key.pem", folder / "chain.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-out",
            chain,
            "-keyout",
            key,
        ],
        check=True,
        capture_output=True,
    )
    return chain, key


def _adapted(text: str, behind: str, plain: int, tls: int, chain: Path, key: Path) -> str:
    """The given file with this machine's ports, name and certificate; every other line as it is."""
    text = text.replace("listen 80;", f"listen 127.0.0.1:{plain};").replace("listen 443 ssl", f"listen 127.0.0.1:{tls} ssl")
    text = re.sub(r"^ *listen \[::\].*\n", "", text, flags=re.M)
    text = re.sub(r"/etc/letsencrypt/\S+fullchain.pem", str(chain), text)
    text = re.sub(r"/etc/letsencrypt/\S+privkey.pem", str(key), text)
    return text.replace("calls.example.com", "localhost").replace("127.0.0.1:8080", behind.removeprefix("http://"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("nginx")
    configuration = Configuration(store=section(folder / "store"), api=ApiSection(forwarded_allow_ips=("127.0.0.1",)))
    now = datetime.now(UTC)
    with serving_what(lambda: filled(folder / "store", now, 40), configuration, now) as served:
        plain, tls = _free_port(), _free_port()
        chain, key = _certificate(folder)
        ours = _adapted(_GIVEN.read_text(encoding="utf-8"), served.address, plain, tls, chain, key)
        (folder / "site.conf").write_text(ours, encoding="utf-8")
        whole = f"""daemon off; user root; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; include {folder}/site.conf; }}
"""
        (folder / "nginx.conf").write_text(whole, encoding="utf-8")
        nginx = subprocess.Popen(["nginx", "-c", folder / "nginx.conf", "-p", folder], stderr=subprocess.PIPE)
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=5), timeout=LIMIT_S) as client:
                assert client.get(f"http://127.0.0.1:{plain}/").status_code == 301
            yield Site(address=f"https://localhost:{tls}", plain=f"http://localhost:{plain}", served=served)
        finally:
            nginx.terminate()
            nginx.communicate(timeout=LIMIT_S)


def test_live_news_and_sound_come_through(browser: Browser, site: Site) -> None:
    # The socket is a shared worker's, which does not ask the context what certificates to trust.
    trusting = browser.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS, "--ignore-certificate-errors"])
    context = trusting.new_context(base_url=site.address, locale="ru-RU")
    context.set_default_timeout(SLOWEST_MS)
    page = context.new_page()
    log_in(page, "900", PASSWORD)
    cookie = next(one for one in context.cookies() if one["name"] == "fonoteka_session")
    assert cookie["secure"]  # the API knows that the browser came by https
    page.goto("/now")
    expect(page.locator("main h1")).to_be_visible()
    call = going_on(95_000, BY_RULE, src="83910009911")
    site.served.report(call)
    # By the WebSocket alone.
    expect(page.locator(f"li[data-call='{call_id(call.pbx, call.linkedid)}']")).to_be_visible()
    page.goto("/?from=2020-01-01&to=2099-12-31&recorded=true")
    rows(page).locator("td.rec button").first.click()
    page.wait_for_function("() => document.querySelector('audio')?.currentTime > 0.2")
    trusting.close()


def test_a_part_of_a_recording_can_be_asked_for(site: Site) -> None:
    with httpx.Client(base_url=site.address, verify=ssl._create_unverified_context(), timeout=LIMIT_S) as client:  # noqa: S323
        client.post("/api/login", json={"domain": "acme", "login": "900", "password": PASSWORD}).raise_for_status()
        call = client.get("/api/calls?from=2020-01-01&to=2099-12-31&recorded=true&limit=1").json()["items"][0]["id"]
        answer = client.get(f"/api/calls/{call}/audio", headers={"Range": "bytes=10-29"})
        assert (answer.status_code, len(answer.content)) == (206, 20)
        assert client.get("/").headers["strict-transport-security"].startswith("max-age")


def test_what_is_for_the_operator_is_not_for_the_world(site: Site) -> None:
    with httpx.Client(base_url=site.address, verify=ssl._create_unverified_context(), timeout=LIMIT_S) as client:  # noqa: S323
        assert client.get("/metrics").status_code == 404
        assert client.get("/readyz").status_code == 404
        assert client.get("/agent/v1/settings", headers={"Authorization": f"Bearer {PBX_TOKEN}"}).status_code == 403
        assert client.get("/healthz").text == "ok"
