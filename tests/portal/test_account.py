"""Changing one's own password in the menu."""

import pytest
from playwright.sync_api import Page, expect

from tests.data.seed import PASSWORD
from tests.portal.browser import log_in, whole_list
from tests.portal.served import Served
from tests.portal.test_looks import violations
from tests.support import http

NEW = "новый-пароль-777"


def change(page: Page, current: str, new: str, again: str | None = None) -> None:
    page.get_by_label("Текущий пароль").fill(current)
    page.get_by_label("Новый пароль", exact=True).fill(new)
    page.get_by_label("Новый пароль ещё раз").fill(again or new)
    page.get_by_role("button", name="Сменить", exact=True).click()


@pytest.mark.expects_console_error("403")
def test_the_password_is_changed_and_the_session_stays(page: Page, served: Served) -> None:
    log_in(page, "777", PASSWORD)
    page.get_by_role("button", name="Учётная запись").click()
    page.get_by_role("button", name="Сменить пароль").click()
    dialog = page.get_by_role("dialog", name="Сменить пароль")
    change(page, PASSWORD, "short")
    expect(dialog.get_by_text("Не короче 8 знаков", exact=True)).to_be_visible()
    change(page, PASSWORD, NEW, "another")
    expect(dialog.get_by_text("Пароли не совпадают")).to_be_visible()
    change(page, "wrong", NEW)
    expect(dialog.get_by_role("alert")).to_contain_text("Текущий пароль неверен")
    assert violations(page) == []
    change(page, PASSWORD, NEW)
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("Пароль изменён")).to_be_visible()
    page.reload()
    whole_list(page)
    who = {"domain": "acme", "login": "777", "password": NEW}
    token = http.post(f"{served.address}/api/login", json=who).raise_for_status().json()["token"]
    back = http.post(
        f"{served.address}/api/me/password",
        json={"current": NEW, "new": PASSWORD},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert back.status_code == 204
    # At once: the other sessions ended with that change.
    expect(page.get_by_text("Сеанс закончился")).to_be_visible()


def test_escape_closes_it(page: Page) -> None:
    log_in(page, "777", PASSWORD)
    page.get_by_role("button", name="Учётная запись").click()
    page.get_by_role("button", name="Сменить пароль").click()
    expect(page.get_by_label("Текущий пароль")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
