"""Fixtures for a module with a server of its own.

They take the place of conftest's in the modules that import them.

A module that needs other calls than the seed's overrides `served` again.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from fonoteka.core.config import MailSection
from tests.data.seed import PASSWORD
from tests.portal.browser import at_a_desk
from tests.portal.served import CALLS, Served, serving
from tests.support import http
from tests.support.mail_server import MailServer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, mail: tuple[MailServer, MailSection]) -> Iterator[Served]:
    """The portal on the seed's calls, to which no other module adds."""
    with serving(tmp_path_factory.mktemp("own") / "store", count=CALLS, mail=mail[1]) as one:
        yield one


@pytest.fixture(scope="module")
def context(browser: Browser, served: Served) -> Iterator[BrowserContext]:
    """A Russian's browser at a desk."""
    with at_a_desk(browser, served.address) as one:
        yield one


@pytest.fixture(scope="module")
def admin_token(served: Served) -> str:
    """A session of the administrator, as the cookie holds it."""
    answer = http.post(f"{served.address}/api/login", json={"domain": "acme", "login": "900", "password": PASSWORD})
    return str(answer.raise_for_status().json()["token"])
