"""A browser on a served portal; any console error or request to another host fails the test."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, ViewportSize, expect, sync_playwright

from api.dependencies.access import COOKIE
from fonoteka.core.config import MailSection
from tests.data.seed import PASSWORD
from tests.portal.browser import CHROMIUM, FLAGS, SLOWEST_MS, whole_list
from tests.portal.served import CALLS, Served, serving
from tests.support import http
from tests.support.cheap_passwords import cheap_passwords
from tests.support.mail_server import MailServer, mail_server

_DESK: ViewportSize = {"width": 1440, "height": 900}
# Once for each page, not at its reloads: what a browser remembers between visits is itself tried
# here.
_FORGET_ONCE = "sessionStorage.getItem('tried') ?? (localStorage.clear(), sessionStorage.setItem('tried', 'yes'))"
_MARKED = "expects_console_error"


def pytest_configure(config: pytest.Config) -> None:
    """Names the one marker of this folder."""
    config.addinivalue_line("markers", f"{_MARKED}(pattern): a console error that the test itself provokes")


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    with cheap_passwords():
        yield


@pytest.fixture(scope="session")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MailServer, MailSection]]:
    """The mail server through which the portal asks for help."""
    with mail_server(tmp_path_factory.mktemp("mail")) as one:
        yield one


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, mail: tuple[MailServer, MailSection]) -> Iterator[Served]:
    """The portal on a store of 111 calls; tests leave it as they found it, or add calls."""
    with serving(tmp_path_factory.mktemp("portal") / "store", count=CALLS, mail=mail[1]) as one:
        yield one


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium.

    Not longer than this folder: Playwright's event loop would be in the way of other async tests.
    """
    expect.set_options(timeout=SLOWEST_MS)
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield one
        one.close()


@pytest.fixture(scope="package")
def context(browser: Browser, served: Served) -> Iterator[BrowserContext]:
    """A Russian's browser at a desk: one for all tests, so that it loads the portal once."""
    one = browser.new_context(
        base_url=served.address, viewport=_DESK, locale="ru-RU", color_scheme="light", reduced_motion="reduce"
    )
    one.set_default_timeout(SLOWEST_MS)
    yield one
    one.close()


@pytest.fixture
def page(context: BrowserContext, served: Served, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of somebody who was never here, watched for errors of any kind."""
    wrong: list[str] = []
    expected = [mark.args[0] for mark in request.node.iter_markers(_MARKED)]

    def ours(asked: Request) -> None:
        if not re.match(rf"(http|ws)://{re.escape(served.address.partition('://')[2])}/|data:|blob:", asked.url):
            wrong.append(f"another host was asked: {asked.url}")

    context.clear_cookies()
    one = context.new_page()
    one.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
    one.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    one.on("request", ours)
    one.add_init_script(_FORGET_ONCE)
    yield one
    one.close()
    assert [text for text in wrong if not any(re.search(pattern, text) for pattern in expected)] == []


@pytest.fixture(scope="session")
def admin_token(served: Served) -> str:
    """A session of the administrator, as the cookie holds it."""
    answer = http.post(f"{served.address}/api/login", json={"domain": "acme", "login": "900", "password": PASSWORD})
    return str(answer.raise_for_status().json()["token"])


@pytest.fixture
def admin(page: Page, admin_token: str, served: Served) -> Page:
    """The administrator's page of today's calls."""
    page.context.add_cookies([{"name": COOKIE, "value": admin_token, "url": served.address}])
    page.add_init_script("localStorage.getItem('fonoteka.session') ?? localStorage.setItem('fonoteka.session', 'open')")
    page.goto("/")
    whole_list(page)
    return page
