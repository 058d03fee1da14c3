"""Pictures of every page, to be looked at: `python -m tests.portal.pictures FOLDER [SCENE …]`.

Both themes, 390 to 1920 px wide; with no rows, one, fifty and long names; both languages.
"""

import json
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, Route, ViewportSize, expect, sync_playwright
from pydantic import TypeAdapter

from fonoteka.core.call_report import CallReport
from fonoteka.core.naming import call_id
from tests.data.seed import PASSWORD, PBX_TOKEN
from tests.portal.browser import CHROMIUM, FLAGS, NOTHING_AWAITED, log_in, rows, settled, whole_list
from tests.portal.going_on import BY_RULE, IS_OFF, NOT_ASKED, ON_PAUSE, going_on
from tests.portal.reported import complete
from tests.portal.served import Served, serving, with_half_a_year
from tests.portal.test_path import queue_of, the_call_of

Scenes = Mapping[str, Callable[[Page], object]]
_SIZES: tuple[ViewportSize, ...] = tuple(
    {"width": width, "height": height} for width, height in ((390, 844), (1280, 800), (1440, 900), (1920, 1080))
)
_LAID_OUT = """() => new MutationObserver(() => {
    for (const body of document.querySelectorAll(".body")) body.style.contentVisibility = "visible";
}).observe(document.body, { childList: true, subtree: true })"""
_LONG = "Константинопольский-Задунайский Александр Владимирович, руководитель отдела продаж"


def _open_row(page: Page) -> None:
    page.goto("/?limit=200")  # other scenes report calls
    row = rows(page).filter(has=page.locator("td.dst", has_text="2458152")).filter(has=page.locator("td.answered", has_text="421"))
    row.first.locator("td.src").click()
    expect(page.locator("tr.path li").first).to_be_visible()
    row.first.locator("td.rec button").click()
    page.wait_for_function("() => document.querySelector('audio')?.currentTime > 1")


def _calendar(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Неделя").click()
    page.get_by_role("button", name="Выбрать период в календаре").click()
    expect(page.locator(".air-datepicker-cell").first).to_be_visible()


def _filters(page: Page) -> None:
    page.goto("/?kind=in&result=answered&user=152&src=89")
    settled(page)


def _pager(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Месяц").click()
    pager = page.get_by_role("navigation", name="Страницы")
    pager.get_by_role("button", name="Вперёд").click()
    expect(pager).to_contain_text("51–")
    pager.scroll_into_view_if_needed()


def _exports(page: Page) -> None:
    page.goto("/?from=2020-01-01&to=2100-01-01")
    settled(page)
    page.get_by_role("button", name="Выгрузка").click()
    expect(page.get_by_role("menuitem").first).to_be_focused()


def _numbers(page: Page) -> None:
    page.goto("/")
    whole_list(page)
    if page.get_by_role("button", name="Показать панель").count() == 1:
        page.get_by_role("button", name="Показать панель").click()
    page.get_by_role("tab", name="Номера").click()


def _english(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="EN", exact=True).click()
    expect(page.get_by_role("button", name="Refresh")).to_be_visible()


def _renamed(route: Route) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text().replace("Петров П.П.", _LONG).replace("8913", "8-913-000-000-8913"))


def _long_names(page: Page) -> None:
    page.route("**/api/*", _renamed)
    page.goto("/")
    settled(page)


def _report(page: Page, *calls: CallReport) -> None:
    """Ship calls as an agent does."""
    content = TypeAdapter(list[CallReport]).dump_json(list(calls))
    headers = {"Authorization": f"Bearer {PBX_TOKEN}", "Content-Type": "application/json"}
    page.request.put("/agent/v1/calls", data=content, headers=headers)


def _now(page: Page) -> None:
    calls = (
        going_on(70_000, BY_RULE, talked_s=3725),
        going_on(70_001, ON_PAUSE, src="anonymous", talked_s=187),
        going_on(70_002, NOT_ASKED, src="83912667788", talked_s=64),
        going_on(70_003, IS_OFF, BY_RULE, talked_s=41),
        going_on(70_004, src="84951234567", talked_s=6),
    )
    _report(page, *calls)
    page.goto("/now")
    expect(page.locator("li[data-call]").nth(4)).to_be_visible()


def _now_many(page: Page) -> None:
    sides = ((BY_RULE,), (ON_PAUSE,), (NOT_ASKED,), (IS_OFF,), ())
    many = [going_on(71_000 + one, *sides[one % 5], src=f"8391{one:07d}", talked_s=40 * one) for one in range(60)]
    _report(page, *many)
    page.goto("/now")
    expect(page.locator("li[data-call]").nth(60)).to_be_visible()


def _now_refused(page: Page) -> None:
    page.route("**/recording", lambda route: route.fulfill(status=409, json={"type": "recorded-by-rule", "title": ""}))
    page.goto("/now")
    page.get_by_role("button", name="Остановить").first.click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.locator("li[data-call] .more").nth(2).click()
    expect(page.locator("ol li").first).to_be_visible()


def _now_english(page: Page) -> None:
    page.goto("/now")
    expect(page.locator("li[data-call]").first).to_be_visible()


def _now_long(page: Page) -> None:
    page.route("**/api/live/*", _renamed)
    page.goto("/now")
    expect(page.locator("li[data-call]").first).to_be_visible()


def _now_none(page: Page) -> None:
    page.route("**/api/live/calls", lambda route: route.fulfill(json={"items": []}))
    page.goto("/now")
    expect(page.get_by_text("Сейчас никто не разговаривает")).to_be_visible()


def _story(call: CallReport) -> Callable[[Page], None]:
    def shown(page: Page) -> None:
        _report(page, call)
        page.goto(f"/?call={call_id(call.pbx, call.linkedid)}")
        expect(page.locator(".inside ol li .sentence").first).to_be_visible()

    return shown


def _account(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Учётная запись").click()
    expect(page.get_by_role("button", name="Сменить пароль")).to_be_visible()


def _password(page: Page) -> None:
    _account(page)
    page.get_by_role("button", name="Сменить пароль").click()
    page.get_by_label("Новый пароль", exact=True).fill("пароль")
    page.get_by_label("Новый пароль ещё раз").fill("другой")
    page.get_by_role("button", name="Сменить", exact=True).click()


def _help_failed(page: Page) -> None:
    page.route("**/api/support", lambda route: route.fulfill(status=502, json={"type": "/problems/mail-refused", "title": ""}))
    page.route("**/api/portal", lambda route: route.fulfill(json=_REACHED))
    _account(page)
    page.get_by_role("button", name="Нужна помощь").click()
    page.get_by_label("Телефон или e-mail").fill("8-913-123-45-67")
    page.get_by_label("Сообщение").fill("Не открывается запись вчерашнего звонка.")
    page.get_by_role("button", name="Отправить").click()
    expect(page.get_by_role("alert").filter(has_text="Не отправлено")).to_be_visible()


def _help_sent(page: Page) -> None:
    page.route("**/api/support", lambda route: route.fulfill(status=204))
    page.route("**/api/portal", lambda route: route.fulfill(json=_REACHED))
    _account(page)
    page.get_by_role("button", name="Нужна помощь").click()
    page.get_by_label("Телефон или e-mail").fill("8-913-123-45-67")
    page.get_by_label("Сообщение").fill("Не открывается запись вчерашнего звонка.")
    page.get_by_role("button", name="Отправить").click()
    expect(page.get_by_text("Сообщение отправлено")).to_be_visible()


def _help_unavailable(page: Page) -> None:
    _account(page)
    page.get_by_role("button", name="Нужна помощь").click()
    expect(page.get_by_text("Отправить сообщение отсюда нельзя")).to_be_visible()


def _audit(page: Page) -> None:
    patched = {"headers": {"Sec-Fetch-Site": "same-origin"}}
    page.request.patch("/api/users/130", data={"record": "in", "name": "Иванова А.В."}, **patched)  # type: ignore[arg-type]
    page.request.patch("/api/users/130", data={"record": "off"}, **patched)  # type: ignore[arg-type]
    page.request.post("/api/login", data={"domain": "acme", "login": "гыук", "password": "wrong"}, **patched)  # type: ignore[arg-type]
    call = page.request.get("/api/calls?kind=recorded").json()["items"][0]["id"]
    page.request.get(f"/api/calls/{call}/audio?download=1")
    page.request.get(f"/api/calls/{call}/audio")
    note = "Спор с клиентом по договору № 17, просил юрист"
    page.request.put(f"/api/calls/{call}/hold", data={"hold": True, "note": note}, **patched)  # type: ignore[arg-type]
    page.request.put(f"/api/calls/{call}/hold", data={"hold": False}, **patched)  # type: ignore[arg-type]
    page.goto("/audit")
    expect(page.locator("tr.entry").nth(6)).to_be_visible()


def _audit_none(page: Page) -> None:
    page.goto("/audit?from=2017-02-01&to=2017-02-01&action=exported")
    expect(page.get_by_text("По вашему запросу ничего не найдено")).to_be_visible()


def _held(page: Page) -> None:
    page.goto("/?kind=recorded")
    rows(page).nth(1).locator("td.src").click()
    page.get_by_role("button", name="Хранить бессрочно").click()
    page.get_by_label("Причина").fill("Спор с клиентом")


def _subject(page: Page) -> None:
    page.goto("/audit")
    page.get_by_role("button", name="Данные абонента").click()
    dialog = page.get_by_role("dialog", name="Данные абонента")
    dialog.get_by_label("Номер телефона").fill("89131234567")
    dialog.get_by_role("button", name="Найти").click()
    expect(dialog.get_by_role("link", name="Скачать всё (ZIP)")).to_be_visible()


def _audit_filters(page: Page) -> None:
    page.goto("/audit?action=held&by=900")
    settled(page)


def _disk_full(page: Page) -> None:
    def full(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "store_disk": "full"})

    page.route("**/api/me", full)
    page.goto("/")
    expect(page.get_by_text("Диск с записями заполнен")).to_be_visible()


def _sessions(page: Page) -> None:
    _account(page)
    page.get_by_role("button", name="Где вы вошли").click()
    expect(page.get_by_role("dialog")).to_be_visible()


_REACHED = {"support_phone": "8-800-77-55-117", "support_email": "helpdesk@acme.example", "can_send_help": True}


def _stats(address: str) -> Callable[[Page], None]:
    def scene(page: Page) -> None:
        page.goto(address)
        if "/stats" in address:
            # A picture of the whole page shows what the reader would have scrolled to.
            page.evaluate(_LAID_OUT)
            complete(page)
        expect(page.locator(".skeleton")).to_have_count(0)
        page.wait_for_timeout(300)

    return scene


def _stats_one(page: Page) -> None:
    """A company's first call: one figure everywhere."""

    def first(route: Route) -> None:
        told = json.loads(route.fetch().text())
        seen = False
        for row in told.get("rows", []):
            for name in [key for key in ("out", "out_failed", "in", "in_missed", "calls") if key in row]:
                seen, row[name] = (True, 1) if row[name] and not seen and name in ("in", "calls") else (seen, 0)
        for name in ("by_number", "by_employee"):
            told[name] = told.get(name, [])[:1]
        route.fulfill(json=told)

    page.route(re.compile("/api/stats/(hourly|week)"), first)
    _stats("/stats?from=2026-01-01&chart=bars")(page)


def _stats_long(page: Page) -> None:
    """Long names and long lists."""

    def longer(route: Route) -> None:
        told = json.loads(route.fetch().text().replace("Петров П.П.", _LONG).replace("2458888", "+7 (391) 245-88-88"))
        for name in ("by_number", "by_employee"):
            told[name] = [dict(row) for row in told[name] * 12]
            for place, row in enumerate(told[name]):
                row["login" if "login" in row else "number"] += f"-{place}"
                row["calls" if "calls" in row else "in"] *= 9_876
        route.fulfill(json=told)

    page.route(re.compile("/api/stats/(incoming|outgoing)"), longer)
    _stats("/stats?from=2026-01-01")(page)


def _stats_menu(page: Page) -> None:
    _stats("/stats?from=2026-01-01")(page)
    page.get_by_role("button", name="Экспорт: График вызовов").click()
    (box := page.locator(".chart-box")).scroll_into_view_if_needed()
    if (place := box.bounding_box()) is not None:
        page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    expect(page.locator(".chart-tip").first).to_be_visible()


def _stats_english(page: Page) -> None:
    _english(page)
    _stats("/stats?compare=1")(page)


def _stats_failed(page: Page) -> None:
    page.route(re.compile("/api/stats/(incoming|hourly)"), lambda route: route.fulfill(status=503, json={"title": ""}))
    page.goto("/stats?from=2026-01-01&to=2026-01-03")
    expect(page.get_by_role("alert")).to_be_visible()


_SCENES: Scenes = {
    "calls": lambda page: page.goto("/"),
    "one": lambda page: page.goto("/?sort=-duration_s&min_s=0&limit=50&result=busy&time_from=12:00"),
    "none": lambda page: page.goto("/?src=nobody"),
    "quiet-day": lambda page: page.goto("/?from=2017-02-01&to=2017-02-01"),
    "player": _open_row,
    "calendar": _calendar,
    "filters": _filters,
    "pager": _pager,
    "exports": _exports,
    "numbers": _numbers,
    "long-names": _long_names,
    "path-attended": _story(the_call_of("attended_by_keys")),
    "path-forwarded": _story(the_call_of("forward_no_answer")),
    "path-queue": _story(queue_of(40, 4)),
    "now": _now,
    "now-refused": _now_refused,
    "now-long-names": _now_long,
    "now-none": _now_none,
    "now-many": _now_many,
    "account": _account,
    "password": _password,
    "help-failed": _help_failed,
    "help-sent": _help_sent,
    "help-unavailable": _help_unavailable,
    "held": _held,
    "audit": _audit,
    "audit-none": _audit_none,
    "audit-filters": _audit_filters,
    "subject": _subject,
    "disk-full": _disk_full,
    "sessions": _sessions,
    "stats": _stats("/stats?from=2026-01-01&compare=1"),
    "stats-bars": _stats("/stats?chart=bars&off=in&longer_than=30&time_from=08:00&time_to=20:00"),
    "stats-empty": _stats("/stats?from=2026-01-01&to=2026-01-02&compare=1"),
    "stats-one": _stats_one,
    "stats-long": _stats_long,
    "stats-menu": _stats_menu,
    "stats-failed": _stats_failed,
    "chips": _stats("/?from=2026-01-01&talk_max_s=29&employee_login=421&weekday=1&weekday=2&weekday=3"),
    "english": _english,
    "stats-english": _stats_english,
    "now-english": _now_english,
    "users": lambda page: page.goto("/users"),
}


def _take(
    browser: Browser,
    served: Served,
    folder: Path,
    scheme: Literal["light", "dark"],
    size: ViewportSize,
    scenes: Scenes,
    names: tuple[str, ...],
) -> None:
    context = browser.new_context(
        base_url=served.address, viewport=size, locale="ru-RU", color_scheme=scheme, reduced_motion="reduce"
    )
    page, tail = context.new_page(), f"{scheme}-{size['width']}.png"
    page.goto("/")
    page.get_by_role("button", name="Войти").click()
    page.get_by_label("Пользователь (логин)").fill("Гыук_1")
    page.screenshot(path=folder / f"login-{tail}")
    for field in ("Домен", "Пользователь (логин)", "Пароль"):
        page.get_by_label(field, exact=True).fill("wrong")
    page.get_by_role("button", name="Войти").click()
    expect(page.get_by_text("Войти не удалось")).to_be_visible()
    page.screenshot(path=folder / f"login-refused-{tail}")
    log_in(page, "900", PASSWORD)
    for name, scene in scenes.items():
        if names and name not in names:
            continue
        scene(page)
        page.wait_for_function(NOTHING_AWAITED)
        page.screenshot(path=folder / f"{name}-{tail}", full_page=name.startswith("stats"))
        page.unroute_all()
    context.close()


def _large_numbers(page: Page) -> None:
    _numbers(page)
    expect(page.get_by_label("Отобразить: 2458888")).to_be_visible()


_OF_A_LARGE_COMPANY: Scenes = {
    "large": lambda page: page.goto("/?from=2020-01-01&to=2100-01-01"),
    "large-numbers": _large_numbers,
    "large-users": lambda page: page.goto("/users"),
}
_LARGE = with_half_a_year(people=300, numbers=200, heard=False)


def main(folder: Path, *names: str) -> None:
    """Take them all, or those named."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as store, serving(Path(store), count=130) as served:
        _take_all(served, folder, _SCENES, names)
    with tempfile.TemporaryDirectory() as store, serving(Path(store), count=10_000, filled=_LARGE) as served:
        _take_all(served, folder, _OF_A_LARGE_COMPANY, names)


def _take_all(served: Served, folder: Path, scenes: Scenes, names: tuple[str, ...]) -> None:
    if names and not scenes.keys() & set(names):
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for size in _SIZES:
            _take(browser, served, folder, "light", size, scenes, names)
            _take(browser, served, folder, "dark", size, scenes, names)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
