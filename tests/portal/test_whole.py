"""What is seen is whole: no number is cut, and no name of up to 24 letters.

At three widths, in both themes, on every page, in a company of 200 people with two million calls.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.data.seed import PASSWORD
from tests.portal.browser import NOTHING_AWAITED, at_a_desk, log_on, rows, settled, watched_page
from tests.portal.millions import going_on_there, millions
from tests.portal.reported import complete
from tests.portal.served import Served
from tests.portal.whole import LONGEST_NAME, cut, scrolled_sideways, texts
from tests.support import http

_WIDTHS = (1280, 1440, 1920)
_NOW = datetime.now(UTC)
_ALL = f"from={_NOW - timedelta(days=200):%F}&to={_NOW + timedelta(days=2):%F}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The portal of the company."""
    with millions(tmp_path_factory.mktemp("millions")) as one:
        yield one


@pytest.fixture(scope="module")
def context(browser: Browser, served: Served) -> Iterator[BrowserContext]:
    """The administrator's browser."""
    with at_a_desk(browser, served.address) as one:
        yield one


@pytest.fixture
def desk(context: BrowserContext, served: Served, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of the administrator, of the width that the test asks for."""
    login = {"domain": "acme", "login": "900", "password": PASSWORD}
    token = str(http.post(f"{served.address}/api/login", json=login).raise_for_status().json()["token"])
    with watched_page(context, served.address) as page:
        log_on(page, token, served.address)
        page.set_viewport_size({"width": request.getfixturevalue("width"), "height": 900})
        yield page


def _calls(page: Page) -> None:
    page.goto(f"/?{_ALL}")
    settled(page)
    expect(page.get_by_role("navigation", name="Страницы")).to_contain_text("2 000 00")


def _all_columns(page: Page) -> None:
    """Every column that the list can show is switched on."""
    _calls(page)
    chooser = page.get_by_role("button", name="Столбцы")
    if chooser.count() == 0:
        return
    chooser.click()
    ticks = page.locator("fieldset input[type='checkbox']")
    for tick in ticks.all():
        tick.check()
    page.keyboard.press("Escape")
    expect(ticks).to_have_count(0)


def _filtered(page: Page) -> None:
    """Every field of the filters holds the longest that it can be asked for."""
    typed = "employee=Христорождественский-Южин&src=89131234567&dst=89131234567&answered_by=89131234567"
    ranges = "time_from=08:00&time_to=23:59&min_s=10000&max_s=99999"
    page.goto(f"/?from=2026-11-30&to=2026-11-30&direction=internal&result=other&recorded=true&{ranges}&{typed}")
    settled(page)
    expect(page.get_by_label("Фильтр: Тип")).to_have_value("other")


def _panel(page: Page) -> None:
    _calls(page)
    opening = page.get_by_role("button", name="Показать панель")
    if opening.count() == 1:
        opening.click()
    expect(page.get_by_label("Запись: Христорождественский-Южин").first).to_be_visible()


def _numbers(page: Page) -> None:
    _panel(page)
    page.get_by_role("tab", name="Номера").click()
    expect(page.get_by_label("Отобразить: 73912460000")).to_be_visible()


def _open_call(page: Page) -> None:
    page.goto(f"/?{_ALL}&kind=recorded&employee=Христорождественский")
    settled(page)
    rows(page).first.locator("td.src").click()
    expect(page.locator("tr.path ol li").first).to_be_visible()
    page.locator("td.rec button").first.click()
    expect(page.get_by_role("slider")).to_be_visible()


def _now(page: Page) -> None:
    page.goto("/now")
    expect(page.locator("li[data-call]")).to_have_count(len(going_on_there()))
    page.locator("li[data-call] .more").first.click()
    expect(page.locator("ol li").first).to_be_visible()


def _statistics(page: Page) -> None:
    page.goto(f"/stats?{_ALL}&compare=1")
    complete(page)


def _users(page: Page) -> None:
    page.goto("/users")
    expect(page.get_by_text("Христорождественский-Южин").first).to_be_visible()


def _audit(page: Page) -> None:
    page.goto("/audit?from=2020-01-01")
    expect(page.locator("tr.entry").first).to_be_visible()


_PAGES = (_calls, _all_columns, _filtered, _panel, _numbers, _open_call, _now, _statistics, _users, _audit)


@pytest.mark.parametrize("width", _WIDTHS)
@pytest.mark.parametrize("page_of", _PAGES, ids=lambda one: one.__name__.strip("_"))
def test_nothing_is_cut(desk: Page, width: int, page_of: Callable[[Page], None]) -> None:
    page_of(desk)
    desk.wait_for_function(NOTHING_AWAITED)
    for theme in ("light", "dark"):
        desk.emulate_media(color_scheme=theme, reduced_motion="reduce")
        assert cut(desk) == [], theme
    scrolled = scrolled_sideways(desk)
    beside_the_panel = width < 1440 and page_of in (_panel, _numbers)
    if page_of is _all_columns:
        assert set(scrolled) <= {"scroll"}
    else:
        assert scrolled == (["scroll"] if beside_the_panel else [])


@pytest.mark.parametrize("width", [1280])
def test_what_is_cut_is_found(desk: Page, width: int) -> None:
    """The measure itself: of numbers that leave their cells."""
    _calls(desk)
    assert {"+79131234567", "8810491234567"} <= {one.text for one in texts(desk)}
    desk.locator("tr.call td.src").evaluate_all(
        "cells => cells.forEach((cell) => Object.assign(cell.style, { whiteSpace: 'nowrap', paddingLeft: '30px' }))"
    )
    assert {"+79131234567", "8810491234567"} <= {one.split("'")[1] for one in cut(desk)}


@pytest.mark.parametrize("width", [1440])
def test_a_longer_name_is_whole_on_hover_and_for_screen_readers(desk: Page, width: int) -> None:
    _panel(desk)
    long = desk.locator("aside td.who").filter(has_text="Константинопольская-Задунайская").first
    name = long.locator("small").inner_text()
    assert sum(letter.isalpha() for letter in name) > LONGEST_NAME
    assert long.get_attribute("title") == f"200 · {name}"
    assert [one.may_be_cut for one in texts(desk) if one.text == name and one.by]
