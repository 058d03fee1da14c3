"""A large company on a full store (10 000 calls, 300 users, 200 numbers).

Nothing jumps, overflows or is lost to a keyboard.

Every page that the menu leads to is looked at, whichever they are.
"""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from api.dependencies.access import COOKIE
from tests.data.seed import PASSWORD
from tests.portal.browser import NOTHING_AWAITED, SLOWEST_MS, rows, settled
from tests.portal.served import Served, serving, with_half_a_year
from tests.support import http

_CALLS, _PEOPLE, _NUMBERS = 10_000, 300, 200
_MOST_SHIFTED = 0.02  # a fifth of what is called good (web.dev/cls)
_SIZES: tuple[ViewportSize, ...] = ({"width": 1440, "height": 900}, {"width": 390, "height": 844})
_LOGGED_IN = "localStorage.getItem('fonoteka.session') ?? localStorage.setItem('fonoteka.session', 'open')"
_WATCH_SHIFTS = """
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const one of list.getEntries()) {
            const moved = one.sources.map((source) => source.node?.outerHTML?.slice(0, 120));
            if (!one.hadRecentInput) shifts.push([one.value, ...moved]);
        }
    }).observe({type: 'layout-shift', buffered: true});
"""
_FOURTH_ROW = "() => document.querySelectorAll('tr.call')[3].getBoundingClientRect().top"
_FOCUSED = """
    () => {
        const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
        const seen = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none';
        const inside = box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
        return {name: one.outerHTML.slice(0, 160), seen, inside, body: one === document.body};
    }
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The portal of the large company."""
    filled = with_half_a_year(people=_PEOPLE, numbers=_NUMBERS, heard=False)
    with serving(tmp_path_factory.mktemp("large") / "store", count=_CALLS, filled=filled) as one:
        yield one


@pytest.fixture(scope="module", params=_SIZES, ids=lambda size: str(size["width"]))
def desk(browser: Browser, large: Served, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """The administrator's browser, at a desk and as a telephone."""
    credentials = {"domain": "acme", "login": "900", "password": PASSWORD}
    token = http.post(f"{large.address}/api/login", json=credentials).raise_for_status().json()["token"]
    one = browser.new_context(base_url=large.address, viewport=request.param, locale="ru-RU", reduced_motion="reduce")
    one.set_default_timeout(SLOWEST_MS)
    one.add_cookies([{"name": COOKIE, "value": str(token), "url": large.address}])
    one.add_init_script(_LOGGED_IN)
    one.add_init_script(_WATCH_SHIFTS)
    yield one
    one.close()


@pytest.fixture
def page(desk: BrowserContext) -> Iterator[Page]:
    """A page whose console stays silent."""
    wrong: list[str] = []
    one = desk.new_page()
    one.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
    one.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    yield one
    one.close()
    assert wrong == []


def pages_of_the_menu(page: Page) -> list[str]:
    """Where the menu leads."""
    page.goto("/")
    links = page.get_by_role("navigation", name="Основное меню").get_by_role("link")
    expect(links.first).to_be_visible()
    return [str(link.get_attribute("href")) for link in links.all()]


def shown(page: Page) -> None:
    """Wait until nothing is asked for any more, and what came is painted."""
    page.wait_for_function(NOTHING_AWAITED)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def assert_still(page: Page) -> None:
    """What has moved by itself since the page was opened is hardly to be seen."""
    shifts = page.evaluate("() => shifts")
    assert sum(shift[0] for shift in shifts) < _MOST_SHIFTED, shifts


def test_no_page_jumps_or_overflows_while_it_loads(page: Page) -> None:
    for path in pages_of_the_menu(page):
        page.goto(path)
        shown(page)
        assert_still(page)
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0, path


def test_ten_thousand_calls_are_turned_page_by_page(page: Page) -> None:
    since = "2020-01-01"
    page.goto(f"/?from={since}&to=2100-01-01")
    shown(page)
    expect(rows(page)).to_have_count(50)
    pager = page.get_by_role("navigation", name="Страницы")
    expect(pager).to_contain_text(re.compile(r"1–50 из 10\s?000"))
    pager.get_by_role("button", name="Вперёд").click()
    expect(pager).to_contain_text("51–100")
    settled(page)
    assert_still(page)


def test_a_row_that_opens_moves_nothing_above_it(page: Page) -> None:
    page.goto("/?from=2020-01-01&to=2100-01-01&kind=in&result=answered")
    shown(page)
    cell = rows(page).nth(3).locator("td.src")
    cell.scroll_into_view_if_needed()
    before = page.evaluate(_FOURTH_ROW)
    cell.click()
    expect(page.locator("tr.path li").first).to_be_visible()
    assert page.evaluate(_FOURTH_ROW) == pytest.approx(before, abs=1)


def test_the_foot_of_a_long_list_stays_in_sight(page: Page) -> None:
    page.goto("/")
    shown(page)
    if page.get_by_role("button", name="Показать панель").count() == 1:
        page.get_by_role("button", name="Показать панель").click()
    panel = page.get_by_role("complementary")
    expect(panel.locator("tbody tr")).to_have_count(_PEOPLE + 1)  # and the administrator
    foot, calls = panel.locator(".foot").bounding_box(), page.locator("section.calls").bounding_box()
    assert foot is not None and calls is not None
    assert foot["y"] + foot["height"] <= page.evaluate("() => innerHeight")
    beside = foot["x"] + foot["width"] <= calls["x"]
    assert beside or foot["y"] + foot["height"] <= calls["y"]


def test_whoever_uses_the_keyboard_sees_where_they_are(page: Page) -> None:
    for path in pages_of_the_menu(page):
        page.goto(path)
        shown(page)
        for _ in range(40):
            page.keyboard.press("Tab")
            at = page.evaluate(_FOCUSED)
            if at["body"]:
                break  # the page has fewer
            assert at["seen"], f"{path}: no focus to be seen at {at['name']}"
            assert at["inside"], f"{path}: out of sight is {at['name']}"
