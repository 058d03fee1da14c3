"""Many tabs of one browser: all are live, over one socket.

And none hears of a session that is not its own.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from api.routes import live
from tests.data.seed import PASSWORD
from tests.portal.browser import SLOWEST_MS, all_looked, log_in, rows, whole_list
from tests.portal.served import Served
from tests.portal.test_live import ended, ringing, talking
from tests.support import http
from tests.support.eventually import LIMIT_S

_TABS = 10


@pytest.fixture
def browsing(browser: Browser, served: Served) -> Iterator[BrowserContext]:
    """A browser of its own, which remembers what it was told."""
    one = browser.new_context(base_url=served.address, viewport={"width": 1280, "height": 800}, locale="ru-RU")
    one.set_default_timeout(SLOWEST_MS)
    yield one
    one.close()
    sockets(served, 0)


def sockets(served: Served, count: int) -> None:
    """Wait until the server holds so many live sockets."""
    deadline = time.monotonic() + LIMIT_S
    while (found := _sockets(served)) != count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == count


def _sockets(served: Served) -> int:
    text = http.get(f"{served.address}/metrics").raise_for_status().text
    found = re.search(r"^fonoteka_live_sockets (\d+)", text, re.MULTILINE)
    assert found is not None
    return int(found[1])


def opened(context: BrowserContext, count: int, login: str = "900") -> list[Page]:
    pages = [context.new_page()]
    log_in(pages[0], login, PASSWORD)
    for _ in range(count - 1):
        pages.append(context.new_page())
        pages[-1].goto("/")
    for page in pages:
        whole_list(page)
        page.mouse.move(5, 5)
    return pages


def sees(page: Page, src: str) -> None:
    expect(rows(page).filter(has_text=src)).to_have_count(1)


def test_ten_tabs_are_live_over_one_socket(browsing: BrowserContext, served: Served) -> None:
    pages = opened(browsing, _TABS)
    sockets(served, 1)
    served.report(ringing("83912100001"))
    for page in pages:
        sees(page, "83912100001")
    assert _sockets(served) == 1
    pages.pop(0).close()  # which opened the line
    served.report(ringing("83912100002"))
    for page in pages:
        sees(page, "83912100002")
    assert _sockets(served) == 1
    for page in pages[1:]:
        page.close()
    served.report(ringing("83912100003"))
    sees(pages[0], "83912100003")
    sockets(served, 1)
    pages[0].close()
    sockets(served, 0)


def test_the_line_of_all_tabs_is_taken_up_again(browsing: BrowserContext, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = opened(browsing, 3)
    sockets(served, 1)
    call = ringing("83912100011")
    served.report(call)
    for page in pages:
        sees(page, "83912100011")
    with monkeypatch.context() as failing:

        async def crash(*_: object) -> None:
            raise EOFError("cut by the test")

        failing.setattr(live, "call_of", crash)
        served.report(talking(call))
        sockets(served, 0)
    sockets(served, 1)
    for page in pages:  # what happened while the line was down is looked up
        expect(rows(page).filter(has_text="83912100011")).to_contain_text("Разговор")
    served.report(ended(talking(call)))
    for page in pages:
        expect(rows(page).filter(has_text="83912100011")).to_contain_text("Успешный")


def test_who_leaves_leaves_in_every_tab(browsing: BrowserContext, served: Served) -> None:
    first, second, third = opened(browsing, 3)
    sockets(served, 1)
    second.get_by_role("button", name="Выйти").click()
    for page in (first, second, third):
        expect(page.get_by_role("button", name="Войти")).to_be_visible()
        expect(page.get_by_text("Сеанс закончился")).to_have_count(0)
    sockets(served, 0)
    log_in(second, "421", PASSWORD)
    for page in (first, second, third):
        expect(page.get_by_role("navigation", name="Основное меню")).to_be_visible()
        expect(page.get_by_role("button", name="Учётная запись")).to_contain_text("Солдатов Н.С.")
    sockets(served, 1)


@pytest.mark.parametrize(
    ("line", "of_others", "of_theirs"), [("shared", "83912100021", "83912100022"), ("own", "83912100023", "83912100024")]
)
def test_nobody_hears_of_the_session_before_theirs(
    browsing: BrowserContext, served: Served, line: str, of_others: str, of_theirs: str
) -> None:
    """The cookie becomes a user's while an administrator's tab is open.

    The tab becomes theirs, and hears of their calls alone.
    """
    if line == "own":
        browsing.add_init_script("delete window.SharedWorker")
    (old,) = opened(browsing, 1)
    heard: list[str] = []
    old.on("console", lambda said: heard.append(said.text))
    other = browsing.new_page()
    other.add_init_script("localStorage.removeItem('fonoteka.session')")
    log_in(other, "130", PASSWORD)
    for page in (old, other):
        expect(page.get_by_role("button", name="Учётная запись")).to_contain_text("Иванова А.В.")
        expect(page.locator("tr.call").first).to_be_visible()
    sockets(served, 1 if line == "shared" else 2)
    looks: list[str] = []
    for page in (old, other):
        all_looked(page)
        page.on("request", lambda request: looks.append(request.url) if "/api/calls?" in request.url else None)
    # At 152, whom the administrator saw: news of it would have the list read.
    served.report(ringing(of_others))
    # And news come in order.
    served.report(replace(ringing(of_theirs), employee="130", participants=("130",)))
    for page in (old, other):
        sees(page, of_theirs)
        expect(rows(page).filter(has_text=of_others)).to_have_count(0)
        all_looked(page)
    assert len(looks) == 2, "one for each page, by the second call"


def test_a_session_that_ends_elsewhere_ends_in_all_tabs(browsing: BrowserContext, served: Served) -> None:
    pages = opened(browsing, 2, login="777")
    sockets(served, 1)
    cookie = next(one["value"] for one in browsing.cookies() if one["name"] == "fonoteka_session")
    http.post(f"{served.address}/api/logout", headers={"Authorization": f"Bearer {cookie}"}).raise_for_status()
    for page in pages:
        expect(page.get_by_text("Сеанс закончился")).to_be_visible()
    sockets(served, 0)


def test_without_shared_workers_each_tab_has_its_own_line(browsing: BrowserContext, served: Served) -> None:
    browsing.add_init_script("delete window.SharedWorker")
    pages = opened(browsing, 2)
    sockets(served, 2)
    served.report(ringing("83912100031"))
    for page in pages:
        sees(page, "83912100031")


@pytest.mark.parametrize(
    "constructor",
    [
        pytest.param("constructor() { super('/assets/nothing.js', {type: 'module'}); }", id="no script"),
        pytest.param("constructor(...all) { super(...all); this.port.postMessage = () => {}; }", id="no answer"),
    ],
)
def test_where_the_worker_does_not_run_the_tab_has_its_own_line(browsing: BrowserContext, served: Served, constructor: str) -> None:
    browsing.add_init_script(
        f"const Real = window.SharedWorker; window.SharedWorker = class extends Real {{ {constructor} }};",
    )
    (page,) = opened(browsing, 1)
    sockets(served, 1)
    served.report(ringing("83912100041"))
    sees(page, "83912100041")


def test_over_plain_http_from_elsewhere_there_are_no_locks(browsing: BrowserContext, served: Served) -> None:
    browsing.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', {value: undefined})")
    first, second = opened(browsing, 2)
    sockets(served, 1)
    first.close()
    served.report(ringing("83912100051"))
    sees(second, "83912100051")
    sockets(served, 1)
