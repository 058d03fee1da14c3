"""What the service's manual promises of the page of calls and no other test of this folder shows.

Docs/manual-coverage.md.
"""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from fonoteka.core.call_report import CallReport
from fonoteka.core.naming import call_id
from tests.data.seed import PASSWORD, a_call
from tests.portal.browser import answered, column, log_in, playing_at, rows, settled, whole_list
from tests.portal.served import Served

_KINDS = {
    "Входящие": ({"Входящий"}, {"Успешный", "Нет ответа", "Занят", "Иные причины"}),
    "Исходящие": ({"Исходящий"}, {"Успешный", "Нет ответа", "Занят", "Иные причины"}),
    "Внутренние": ({"Внутренний"}, {"Успешный", "Нет ответа", "Занят", "Иные причины"}),
    "Пропущенные": ({"Входящий"}, {"Нет ответа", "Занят", "Иные причины"}),
    "Без перезвона": ({"Входящий"}, {"Нет ответа", "Занят", "Иные причины"}),
}


def row_of(page: Page, call: CallReport) -> Locator:
    return page.locator(f"tr.call[data-call='{call_id(call.pbx, call.linkedid)}']")


@pytest.mark.parametrize("kind", _KINDS)
def test_the_quick_filter_shows_one_kind(admin: Page, kind: str) -> None:
    """IV: «Быстрый фильтр». VI: every missed call is there, with the number to call back."""
    directions, results = _KINDS[kind]
    with answered(admin):
        admin.get_by_role("group", name="Быстрый фильтр").get_by_role("button", name=kind, exact=True).click()
    whole_list(admin)
    ended = [
        (direction, result)
        for direction, result in zip(column(admin, "direction"), column(admin, "result"), strict=True)
        if result not in ("Звонит", "Разговор")
    ]
    assert ended
    assert {direction for direction, _ in ended} <= directions
    assert {result for _, result in ended} <= results
    assert all(column(admin, "src"))


def test_what_was_recorded_is_one_kind_too(admin: Page) -> None:
    with answered(admin):
        admin.get_by_role("group", name="Быстрый фильтр").get_by_role("button", name="С записью").click()
    whole_list(admin)
    assert admin.locator("td.rec button").count() == rows(admin).count()


def test_ticking_users_shows_only_theirs(admin: Page) -> None:
    """IV: none ticked, all are shown; any ticked, only those."""
    everybody = set(column(admin, "employee"))
    assert {"Петров П.П.", "Солдатов Н.С.", "Иванова А.В."} <= everybody
    with answered(admin):
        admin.get_by_role("checkbox", name="Отобразить: 130", exact=False).check()
    assert set(column(admin, "employee")) == {"Иванова А.В."}
    with answered(admin):
        admin.get_by_role("checkbox", name="Отобразить: 130", exact=False).uncheck()
    assert set(column(admin, "employee")) == everybody


def test_refresh_loads_what_has_come(admin: Page, served: Served) -> None:
    """IV: «Обновить».

    A day that is over does not change by itself; pressed, it has what came late.
    """
    # Once it is connected, the list has had its second look and takes no other by itself.
    newest = a_call(60_001, datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=10))
    served.report(newest)
    expect(row_of(admin, newest)).to_be_visible()
    yesterday = served.now - timedelta(days=1)
    with answered(admin):
        admin.get_by_role("button", name="Вчера").click()
    # It is noon here: the evening of that day is on the first page, whatever other tests reported.
    late = a_call(60_000, yesterday.replace(second=0, microsecond=0) + timedelta(hours=11))
    served.report(late)
    row = row_of(admin, late)
    expect(row).to_have_count(0)
    with answered(admin):
        admin.get_by_role("button", name="Обновить").click()
    expect(row).to_be_visible()


def test_what_fits_a_page_has_no_pager(admin: Page) -> None:
    """IV: «Если данные вмещаются на одну страницу, то данный элемент не отображается.»"""
    pager = admin.get_by_role("navigation", name="Страницы")
    with answered(admin):
        admin.get_by_role("button", name="Месяц").click()
    expect(pager).to_be_visible()
    admin.goto("/?result=busy")
    settled(admin)
    assert 0 < rows(admin).count() < 50
    expect(pager).to_have_count(0)


def test_stop_goes_back_to_the_beginning(reader: Page) -> None:
    """IV: «Остановить воспроизведение»."""
    reader.goto("/?recorded=true&min_s=6")
    settled(reader)
    reader.locator("td.rec button").first.click()
    reader.wait_for_function("() => document.querySelector('audio')?.currentTime > 0.3")
    reader.get_by_role("region", name="Проигрыватель").get_by_role("button", name="Остановить").click()
    expect(reader.get_by_role("region", name="Проигрыватель").get_by_role("button", name="Играть")).to_be_visible()
    assert playing_at(reader) == 0


def test_the_manuals_way_through_the_portal(page: Page, served: Served) -> None:
    """V, step by step: log in, set dates and user, find a recording, hear it, save it."""
    log_in(page, "900", PASSWORD)
    days = page.locator(".period input")
    assert days.first.input_value() == days.last.input_value()  # today at first
    with answered(page):
        page.get_by_role("button", name="Неделя").click()
    assert days.first.input_value() != days.last.input_value()
    with answered(page):
        page.get_by_role("button", name="Обновить").click()
    with answered(page):
        page.get_by_role("checkbox", name="Отобразить: 421", exact=False).check()
    # Who hands calls to Солдатов and rings him.
    assert set(column(page, "employee")) <= {"Солдатов Н.С.", "Петров П.П."}
    page.locator("td.rec button").first.click()
    page.wait_for_function("() => document.querySelector('audio')?.currentTime > 0.2")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Сохранить запись").click()
    assert saved.value.path().stat().st_size > 500
