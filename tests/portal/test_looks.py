"""Language, theme, telephone, paper, and what a screen reader meets (axe)."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.data.seed import PASSWORD
from tests.portal.browser import SLOWEST_MS, log_in, rows, whole_list
from tests.portal.served import Served

_ROOT = Path(__file__).parents[2]
_AXE = _ROOT / "portal" / "node_modules" / "axe-core" / "axe.min.js"
_SERIOUS = ("serious", "critical")
COLOURS = "color-contrast"  # a rule of axe
_FIRST_PAINT_BYTES = 50_000


def violations(page: Page, *rules: str) -> list[str]:
    """What axe finds that is serious, each with the first place it is found at.

    By all its rules, or by these alone: of two themes only the colours differ (`COLOURS`).
    """
    # By the debugger's way in, as the page's own policy rightly forbids it a foreign script.
    page.evaluate(_AXE.read_text(encoding="utf-8"))
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [f"{one['id']}: {json.dumps(one['nodes'][0]['target'])}" for one in found if one["impact"] in _SERIOUS]


def assert_suits_everybody(page: Page) -> None:
    """Axe finds nothing serious in the light theme, nor in the colours of the dark one."""
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    assert violations(page) == []
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert violations(page, COLOURS) == []


@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_serious(admin: Page, width: int) -> None:
    admin.set_viewport_size({"width": width, "height": 900})
    rows(admin).nth(2).locator("td.src").click()
    expect(admin.locator("tr.path li").first).to_be_visible()
    admin.locator("td.rec button").first.click()
    expect(admin.get_by_role("slider")).to_be_visible()
    assert_suits_everybody(admin)
    admin.goto("/users")
    expect(admin.locator("tbody tr").first).to_be_visible()
    assert_suits_everybody(admin)


def test_axe_finds_nothing_serious_at_the_door(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Войти").click()
    expect(page.get_by_text("Заполните это поле")).to_have_count(3)
    assert_suits_everybody(page)


def test_the_language_is_switched_and_kept(admin: Page) -> None:
    admin.get_by_role("button", name="EN").click()
    expect(admin.get_by_role("columnheader", name="Answered by")).to_be_visible()
    expect(admin).to_have_title("Calls · Fonoteka")
    expect(admin.locator("td.date").first).to_have_text(rows(admin).first.locator("td.date").inner_text())
    admin.reload()
    expect(admin.get_by_role("columnheader", name="Answered by")).to_be_visible()
    assert admin.locator("html").get_attribute("lang") == "en"
    admin.get_by_role("button", name="RU").click()
    expect(admin.get_by_role("columnheader", name="Кем принят")).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "heading"), [("en-US", "Log in"), ("ru-RU", "Вход в личный кабинет"), ("de-DE", "Вход в личный кабинет")]
)
def test_the_browsers_language_decides_at_first(browser: Browser, served: Served, locale: str, heading: str) -> None:
    context = browser.new_context(base_url=served.address, locale=locale)
    context.set_default_timeout(SLOWEST_MS)
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_role("heading", name=heading)).to_be_visible()
    context.close()


def test_the_theme_follows_the_system_until_it_is_chosen(admin: Page) -> None:
    ground = "() => getComputedStyle(document.documentElement).backgroundColor"
    light = admin.evaluate(ground)
    admin.get_by_role("button", name="Включить тёмную тему").click()
    dark = admin.evaluate(ground)
    assert dark != light
    admin.reload()
    assert admin.evaluate(ground) == dark
    admin.get_by_role("button", name="Включить светлую тему").click()
    admin.emulate_media(color_scheme="dark")
    admin.wait_for_function(f"() => ({ground})() === '{dark}'")


def test_a_telephone_needs_no_scrolling_sideways(admin: Page) -> None:
    admin.set_viewport_size({"width": 390, "height": 844})
    admin.reload()
    whole_list(admin)
    wider = "() => document.documentElement.scrollWidth - innerWidth"
    assert admin.evaluate(wider) <= 0
    admin.get_by_role("button", name="Фильтры").click()
    admin.get_by_label("Фильтр: Тип").select_option("busy")
    expect(rows(admin).first).to_contain_text("Занят")
    admin.get_by_role("button", name="С записью").click()
    admin.get_by_label("Фильтр: Тип").select_option("")
    rows(admin).first.locator("td.rec button").click()
    admin.wait_for_function("() => document.querySelector('audio')?.currentTime > 0.2")
    assert admin.evaluate(wider) <= 0


def test_paper_gets_the_table_and_nothing_else(admin: Page) -> None:
    admin.emulate_media(media="print")
    expect(admin.locator("h1.only-printed")).to_contain_text("ООО «Акме». Звонки:")
    for hidden in ("header", "aside", ".tools", "td.rec button", "tr.call .more"):
        expect(admin.locator(hidden).first).to_be_hidden()
    widest = admin.evaluate("() => document.querySelector('table').scrollWidth")
    assert widest <= 1440
    assert len(admin.pdf(landscape=True, format="A4")) > 10_000


def test_the_first_paint_is_light(page: Page) -> None:
    """What comes over the line for it: compressed, and nothing that only later pages need."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    sent: dict[str, dict[str, Any]] = {}
    session.on("Network.responseReceived", lambda said: sent.__setitem__(said["requestId"], said["response"]))
    log_in(page, "900", PASSWORD)
    whole_list(page)
    first = [one["headers"] for one in sent.values() if "/assets/core" in one["url"] or one["url"].endswith("before-paint.js")]
    assert len(first) == 3
    assert {headers["content-encoding"] for headers in first} == {"gzip"}
    assert sum(int(headers["content-length"]) for headers in first) <= _FIRST_PAINT_BYTES
    urls = [answer["url"] for answer in sent.values()]
    assert not [url for url in urls if any(late in url for late in ("Calendar", "Player", "Statistics", "echarts"))]


def test_each_page_is_a_file_of_its_own() -> None:
    """`index.html` names one script, `core`; it holds no other page, no ECharts and no exports."""
    static = _ROOT / "api" / "static"
    scripts = re.findall(r'<script type="module"[^>]* src="/assets/([^"]+)"', (static / "index.html").read_text())
    assert [re.sub(r"-.{8}\.js$", "", name) for name in scripts] == ["core"]
    later = {"Login", "StatisticsPage", "NowPage", "UsersPage", "AuditPage", "Player", "Calendar", "echarts", "pdf", "xlsx"}
    assert {name for name in later if not list((static / "assets").glob(f"{name}-*.js"))} == set()
    core = (static / "assets" / scripts[0]).read_text()
    imported = re.findall(r'(?:^|;)import[^"(]*"\./([^"]+)"', core)
    assert [name for name in imported if not name.startswith("rolldown-runtime")] == []
