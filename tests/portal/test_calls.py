"""The table of calls: its columns, filters, order, pages, and the address that holds them all."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.portal.browser import COLUMNS, answered, column, rows, settled, whole_list
from tests.portal.own_server import admin_token, context, served

__all__ = ["admin_token", "context", "served"]

WEEK = "Неделя"


def asked(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_the_manuals_ten_columns(admin: Page) -> None:
    headings = [text.strip() for text in admin.locator("thead tr.headings th").all_inner_texts()]
    assert headings == [
        "Сотрудник", "Направление", "Тип", "Откуда", "Куда", "Кем принят", "Дата", "Время", "Длительность", "Запись",
    ]  # fmt: skip
    assert len(COLUMNS) == len(headings)


def test_a_row_says_what_the_api_says(admin: Page) -> None:
    call = admin.evaluate("() => fetch('/api/calls?limit=50').then(answer => answer.json())")["items"][5]
    row = admin.locator(f"tr.call[data-call='{call['id']}']")
    shown = {name: row.locator(f"td.{name}").inner_text().strip() for name in COLUMNS}
    year, month, day = call["started_at"][:10].split("-")
    assert shown == {
        "employee": call["employee"]["name"],
        "direction": {"in": "Входящий", "out": "Исходящий", "internal": "Внутренний"}[call["direction"]],
        "result": {"answered": "Успешный", "no_answer": "Нет ответа", "busy": "Занят"}[call["result"]],
        "src": call["src"],
        "dst": call["dst"],
        "answered": call["answered_by"],
        "date": f"{day}.{month}.{year}",
        "time": call["started_at"][11:19],
        "duration": str(call["duration_s"]),
        "rec": shown["rec"],
    }


def test_without_audio_the_reason_stands_in_words(admin: Page) -> None:
    for said in (
        "Разговора не было",
        "Запись выключена",
        "Переадресован на межгород",
        "Запись не включали",
        "Сбой АТС",
        "Идёт запись",
    ):
        cell = admin.locator("td.rec", has_text=said).first
        expect(cell).to_be_visible()
        expect(cell.get_by_role("button")).to_have_count(0)


def test_columns_that_are_switched_on_are_remembered(admin: Page) -> None:
    admin.get_by_role("button", name="Столбцы").click()
    for name in ("Транк", "Ожидание"):
        admin.get_by_label(name, exact=True).check()
    admin.reload()
    settled(admin)
    headings = admin.locator("thead tr.headings th")
    expect(headings).to_have_text([*[re.compile(".")] * 9, re.compile("Транк"), re.compile("Ожидание"), re.compile("Запись")])
    calls = admin.evaluate("() => fetch('/api/calls?limit=50').then(answer => answer.json())")["items"]
    for call in calls[:20]:
        row = admin.locator(f"tr.call[data-call='{call['id']}']")
        outside = "—" if call["direction"] == "internal" else "нет данных"
        expect(row.locator("td.trunk")).to_have_text(call["trunk"] or outside)
        waited = "нет данных" if call["ended_at"] else "—"
        expect(row.locator("td.wait")).to_have_text(waited if call["wait_s"] is None else str(call["wait_s"]))
    before = rows(admin).count()
    with answered(admin):
        admin.get_by_label("Ожидание от", exact=True).fill("1000")
    admin.wait_for_url(re.compile("wait_min_s=1000"))
    expect(rows(admin)).not_to_have_count(before)
    admin.get_by_role("button", name="Столбцы").click()
    admin.get_by_label("Ожидание", exact=True).uncheck()
    expect(admin.locator("ul.chips li")).to_contain_text(["Ожидание от 1000 с"])


FILTERS: list[tuple[str, Callable[[Page], object], str, str]] = [
    ("employee", lambda page: page.get_by_label("Фильтр: Сотрудник").fill("солд"), "employee", r"^Солдатов Н\.С\.$"),
    ("direction", lambda page: page.get_by_label("Фильтр: Направление").select_option("out"), "direction", "^Исходящий$"),
    ("result", lambda page: page.get_by_label("Фильтр: Тип").select_option("busy"), "result", "^Занят$"),
    ("src", lambda page: page.get_by_label("Фильтр: Откуда").fill("891"), "src", "891"),
    ("dst", lambda page: page.get_by_label("Фильтр: Куда").fill("8888"), "dst", "8888"),
    ("answered_by", lambda page: page.get_by_label("Фильтр: Кем принят").fill("777"), "answered", "777"),
    ("recorded", lambda page: page.get_by_label("Фильтр: Запись").select_option("true"), "rec", r"^\d+:\d\d$"),
    ("min_s", lambda page: page.get_by_label("Длительность от, секунд").fill("20"), "duration", r"^([2-9]\d|\d{3,})$"),
    ("kind", lambda page: page.get_by_role("button", name="Внутренние").click(), "direction", "^Внутренний$"),
    ("kind", lambda page: page.get_by_role("button", name="Пропущенные").click(), "result", "^(Нет ответа|Занят)$"),
    ("kind", lambda page: page.get_by_role("button", name="С записью").click(), "rec", r"^\d+:\d\d$"),
    ("user", lambda page: page.get_by_label("Отобразить: 130").check(), "employee", "^Иванова А.В.$"),
]


@pytest.mark.parametrize(("parameter", "narrow", "name", "pattern"), FILTERS)
def test_each_filter_narrows_and_back_widens(
    admin: Page, parameter: str, narrow: Callable[[Page], object], name: str, pattern: str
) -> None:
    before = rows(admin).count()
    with answered(admin):
        narrow(admin)
    admin.wait_for_url(re.compile(rf"[?&]{parameter}="))
    # The answer may have been to news, and not to the filter.
    expect(rows(admin)).not_to_have_count(before)
    settled(admin)
    texts = column(admin, name)
    assert 0 < len(texts) < before
    assert all(re.search(pattern, text) for text in texts), texts
    admin.go_back()
    expect(rows(admin)).to_have_count(before)
    assert parameter not in asked(admin)


def test_time_of_day_is_typed_loosely_and_kept_exactly(admin: Page) -> None:
    admin.get_by_label("Время от").fill("930")
    admin.get_by_label("Время от").press("Enter")
    admin.wait_for_url(re.compile("time_from="))
    admin.get_by_label("Время до").fill("11")
    with admin.expect_response(re.compile("time_to=")):
        admin.get_by_label("Время до").press("Enter")
    settled(admin)
    expect(admin.get_by_label("Время от")).to_have_value("09:30")
    times = column(admin, "time")
    assert times and all("09:30:00" <= time < "11:00:00" for time in times)


def test_numbers_are_ticked_like_users(admin: Page) -> None:
    admin.get_by_role("tab", name="Номера").click()
    with answered(admin):
        admin.get_by_label("Отобразить: 2458888").check()
    assert set(column(admin, "dst")) == {"2458888"}
    with answered(admin):
        admin.get_by_role("button", name="Снять все отметки").click()
    assert len(set(column(admin, "dst"))) > 1


def test_the_calendar_gives_a_period(admin: Page) -> None:
    admin.get_by_role("button", name=WEEK).click()
    admin.wait_for_url(re.compile("from="))
    admin.get_by_role("button", name="Выбрать период в календаре").click()
    calendar = admin.locator(".calendar")
    # It comes late, when first opened.
    expect(calendar.locator(".air-datepicker-body--day-name")).to_have_count(7)
    week = [name.lower() for name in calendar.locator(".air-datepicker-body--day-name").all_inner_texts()]
    assert week == ["пн", "вт", "ср", "чт", "пт", "сб", "вс"]
    today = calendar.locator(".air-datepicker-cell.-current-:not(.-other-month-)")
    today.click()
    today.click()
    expect(calendar).to_have_count(0)
    admin.wait_for_url(lambda url: "from=" not in url)
    expect(admin.get_by_role("button", name="Сегодня", exact=True)).to_have_attribute("aria-pressed", "true")


def test_a_day_typed_by_hand(admin: Page) -> None:
    fields = admin.locator(".fields input")
    fields.first.fill("01.02.2017")
    fields.first.press("Enter")
    admin.wait_for_url(re.compile("from=2017-02-01"))
    fields.last.fill("14.2.17")
    fields.last.press("Enter")
    admin.wait_for_url(re.compile("to=2017-02-14"))
    fields.first.fill("31.02.2017")
    fields.first.press("Enter")
    expect(fields.first).to_have_value("01.02.2017")


@pytest.mark.parametrize(("heading", "name"), [("Время", "time"), ("Длительность", "duration")])
def test_a_heading_sorts_both_ways(admin: Page, heading: str, name: str) -> None:
    button = admin.get_by_role("columnheader", name=heading).get_by_role("button")

    def keys() -> list[float | str]:
        texts = column(admin, name)
        return [float(text) for text in texts] if name == "duration" else list(texts)

    def order() -> str:
        shown = keys()
        return "up" if shown == sorted(shown) else "down" if shown == sorted(shown, reverse=True) else "none"

    orders = set[str]()
    for _ in range(2):
        with answered(admin):
            button.click()
        for _ in range(600):  # the page shows the answer a moment later
            if (shown := order()) not in {"none", *orders}:
                break
            admin.wait_for_timeout(50)
        orders.add(shown)
    assert orders == {"up", "down"}


def test_pages_forth_and_back(admin: Page) -> None:
    expect(admin.get_by_role("navigation", name="Страницы")).to_have_count(0)
    admin.get_by_role("button", name="Месяц").click()
    pager = admin.get_by_role("navigation", name="Страницы")
    expect(pager).to_contain_text(re.compile(r"1–50 из 1\d\d"))
    seen: list[str] = []
    for page_of_calls in range(3):
        ids = admin.locator("tr.call").evaluate_all("rows => rows.map(row => row.dataset.call)")
        assert not set(seen) & set(ids)
        seen += ids
        if page_of_calls < 2:
            pager.get_by_role("button", name="Вперёд").click()
            expect(pager).to_contain_text(f"{50 * (page_of_calls + 1) + 1}–")
            settled(admin)
    second = seen[50:100]
    pager.get_by_role("button", name="Назад").click()
    expect(admin.locator("tr.call").first).to_have_attribute("data-call", second[0])
    admin.reload()
    expect(admin.locator("tr.call").first).to_have_attribute("data-call", second[0])
    admin.go_back()
    expect(pager).to_contain_text("101–1")


def test_more_rows_a_page(admin: Page) -> None:
    admin.get_by_role("button", name="Месяц").click()
    admin.get_by_label("На странице").select_option("100")
    expect(rows(admin)).to_have_count(100)


def test_nothing_found_offers_to_reset(admin: Page) -> None:
    before = rows(admin).count()
    admin.get_by_label("Фильтр: Откуда").fill("nobody at all")
    expect(admin.get_by_role("heading", name="По вашему запросу ничего не найдено")).to_be_visible()
    admin.get_by_role("button", name="Сбросить фильтры").click()
    expect(rows(admin)).to_have_count(before)
    expect(admin.get_by_label("Фильтр: Откуда")).to_have_value("")


def test_a_row_opens_its_path_and_the_address_holds_it(admin: Page) -> None:
    moved = admin.locator("tr.call", has=admin.locator("td.dst", has_text="2458152")).filter(
        has=admin.locator("td.answered", has_text="421")
    )
    moved.first.locator("td.src").click()
    path = admin.locator("tr.path")
    expect(path).to_contain_text("Петров П.П. (152) переводит звонок → Солдатов Н.С. (421)")
    expect(path.get_by_role("button", name=re.compile(r"\d:\d\d–\d:\d\d"))).to_have_count(2)
    link = admin.url
    assert "call=" in link
    admin.go_back()
    expect(path).to_have_count(0)
    admin.goto(link)
    expect(admin.locator("tr.path")).to_contain_text("Петров П.П. (152) переводит звонок → Солдатов Н.С. (421)")


def test_a_link_to_a_call_outside_the_selection_shows_it_all_the_same(admin: Page) -> None:
    call = rows(admin).first.get_attribute("data-call")
    admin.goto(f"/?from=2017-02-01&to=2017-02-01&call={call}")
    expect(admin.get_by_text("Открытый звонок не входит в эту выборку")).to_be_visible()
    expect(admin.get_by_text("Путь звонка")).to_be_visible()


@pytest.mark.expects_console_error("404")
def test_a_link_to_a_call_that_is_not_ours(reader: Page) -> None:
    reader.goto("/?call=00000000000000000000000000")
    expect(reader.get_by_text("Такого звонка нет")).to_be_visible()


@pytest.mark.expects_console_error("ERR_FAILED|ERR_INTERNET")
def test_a_server_out_of_reach_is_said_plainly_and_mended(admin: Page) -> None:
    admin.route("**/api/calls?*", lambda route: route.abort())
    admin.get_by_role("button", name="Вчера").click()
    admin.reload()
    expect(admin.get_by_role("heading", name="Не удалось загрузить звонки")).to_be_visible()
    admin.unroute("**/api/calls?*")
    admin.get_by_role("button", name="Повторить").click()
    whole_list(admin)
