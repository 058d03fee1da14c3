"""A browser on a served portal; any console error or request to another host fails the test."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from fonoteka.core.config import MailSection
from tests.data.seed import PASSWORD
from tests.portal.browser import CHROMIUM, FLAGS, SLOWEST_MS, at_a_desk, log_on, watched_page, whole_list
from tests.portal.served import CALLS, Served, serving
from tests.support import http
from tests.support.cheap_passwords import cheap_passwords
from tests.support.mail_server import MailServer, mail_server

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
    with at_a_desk(browser, served.address) as one:
        yield one


@pytest.fixture
def page(context: BrowserContext, served: Served, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of somebody who was never here, watched for errors of any kind."""
    with watched_page(context, served.address, [mark.args[0] for mark in request.node.iter_markers(_MARKED)]) as one:
        yield one


@pytest.fixture(scope="session")
def admin_token(served: Served) -> str:
    """A session of the administrator, as the cookie holds it."""
    answer = http.post(f"{served.address}/api/login", json={"domain": "acme", "login": "900", "password": PASSWORD})
    return str(answer.raise_for_status().json()["token"])


@pytest.fixture
def reader(page: Page, admin_token: str, served: Served) -> Page:
    """A page of the administrator, who has opened nothing yet."""
    log_on(page, admin_token, served.address)
    return page


@pytest.fixture
def admin(reader: Page) -> Page:
    """The administrator's page of today's calls."""
    reader.goto("/")
    whole_list(reader)
    return reader
