"""The record switch, by the panel and by the page of users."""

import re

import pytest
from playwright.sync_api import Page, expect


def record_of(page: Page, login: str) -> str:
    found = page.evaluate("() => fetch('/api/users').then(answer => answer.json())")
    return str(next(user["record"] for user in found if user["login"] == login))


@pytest.mark.parametrize("path", ["/", "/users"])
def test_the_record_switch_changes_the_setting(reader: Page, path: str) -> None:
    reader.goto(path)
    switch = reader.get_by_label("Запись: Иванова А.В.")
    expect(switch).to_have_value("off")
    with reader.expect_response(lambda answer: answer.request.method == "PATCH") as answered:
        switch.select_option("in")
    assert answered.value.status == 200
    expect(reader.get_by_text("Действует со следующего звонка.").last).to_be_visible()
    assert record_of(reader, "130") == "in"
    with reader.expect_response(lambda answer: answer.request.method == "PATCH"):
        switch.select_option("off")
    expect(switch).to_be_enabled()
    assert record_of(reader, "130") == "off"


@pytest.mark.expects_console_error("500")
def test_a_refused_change_is_taken_back(admin: Page) -> None:
    admin.route("**/api/users/130", lambda route: route.fulfill(status=500, body="{}"))
    switch = admin.get_by_label("Запись: Иванова А.В.")
    switch.select_option("all")
    expect(admin.get_by_text("Не удалось изменить запись")).to_be_visible()
    expect(switch).to_have_value("off")


def test_the_page_of_users_leads_to_a_users_calls(admin: Page) -> None:
    admin.get_by_role("link", name="Пользователи").click()
    expect(admin.get_by_role("heading", name="Пользователи")).to_be_visible()
    expect(admin.get_by_text("Администратор", exact=True)).to_be_visible()
    admin.get_by_label("Найти").fill("солд")
    expect(admin.locator("tbody tr")).to_have_count(1)
    admin.get_by_role("link", name="Звонки: Солдатов Н.С.").click()
    admin.wait_for_url(re.compile(r"\?user=421$"))
    expect(admin.get_by_label("Отобразить: 421")).to_be_checked()
    admin.go_back()
    expect(admin.get_by_role("heading", name="Пользователи")).to_be_visible()


def test_the_panel_can_be_put_away_for_good(admin: Page) -> None:
    admin.get_by_role("button", name="Скрыть панель").click()
    expect(admin.get_by_role("complementary")).to_have_count(0)
    admin.reload()
    expect(admin.get_by_role("button", name="Показать панель")).to_be_visible()
    expect(admin.get_by_role("complementary")).to_have_count(0)
