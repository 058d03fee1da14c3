"""Changing one's own password, and seeing and ending sessions."""

import pytest
from playwright.sync_api import Page, Route, expect

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


def logged_in(served: Served, login: str, device: str) -> dict[str, str]:
    """Log in elsewhere; return the headers of that session."""
    who = {"domain": "acme", "login": login, "password": PASSWORD}
    answer = http.post(f"{served.address}/api/login", json=who, headers={"User-Agent": device})
    return {"Authorization": f"Bearer {answer.raise_for_status().json()['token']}"}


def status(served: Served, session: dict[str, str]) -> int:
    return http.get(f"{served.address}/api/me", headers=session).status_code


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ones_own_sessions_are_seen_and_ended(page: Page, served: Served, scheme: str) -> None:
    stolen, forgotten = logged_in(served, "421", "stolen/1"), logged_in(served, "421", "forgotten/1")
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    log_in(page, "421", PASSWORD)
    page.get_by_role("button", name="Учётная запись").click()
    page.get_by_role("button", name="Где вы вошли").click()
    dialog = page.get_by_role("dialog", name="Где вы вошли")
    current = dialog.get_by_role("listitem").filter(has_text="Текущий сеанс")
    expect(current).to_have_count(1)
    expect(current).to_contain_text("Chrome, Linux")
    expect(current).to_contain_text("127.0.0.1")
    expect(current.get_by_role("button")).to_have_count(0)
    assert violations(page) == []
    dialog.get_by_role("button", name="Завершить: stolen, 127.0.0.1").click()
    expect(dialog.get_by_role("listitem").filter(has_text="stolen")).to_have_count(0)
    expect(page.get_by_text("Сеанс завершён: stolen")).to_be_visible()
    assert [status(served, session) for session in (stolen, forgotten)] == [401, 200]
    dialog.get_by_role("button", name="Завершить все остальные").click()
    expect(dialog.get_by_role("listitem")).to_have_count(1)
    assert status(served, forgotten) == 401
    page.reload()
    whole_list(page)


def test_an_administrator_ends_a_users_session(admin: Page, served: Served) -> None:
    session = logged_in(served, "130", "elsewhere/1")
    admin.goto("/users")
    admin.get_by_role("button", name="Сеансы: Иванова А.В.").click()
    dialog = admin.get_by_role("dialog", name="Сеансы: Иванова А.В.")
    assert violations(admin) == []
    dialog.get_by_role("button", name="Завершить: elsewhere, 127.0.0.1").click()
    expect(dialog.get_by_role("listitem").filter(has_text="elsewhere")).to_have_count(0)
    assert status(served, session) == 401
    buttons = dialog.get_by_role("button", name="Завершить: ")
    for left in reversed(range(buttons.count())):  # of earlier tests
        buttons.first.click()
        expect(buttons).to_have_count(left)
    expect(dialog.get_by_text("Открытых сеансов нет")).to_be_visible()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"store_disk": "full"}, "Диск с записями заполнен: новые записи ждут на АТС"),
        ({"quota_nearly_used": True}, "Квота записей почти исчерпана"),
    ],
)
def test_an_administrator_sees_that_there_is_no_space(page: Page, said: dict[str, object], words: str) -> None:
    """Also after the login, when the portal asks again; other users do not."""
    page.clock.install()
    log_in(page, "900", PASSWORD)
    banner = page.get_by_text(words)
    expect(banner).to_have_count(0)

    def without_space(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), **said})

    page.route("**/api/me", without_space)
    page.clock.fast_forward("01:05")
    expect(banner).to_be_visible()
    assert violations(page) == []
    page.unroute("**/api/me")
    page.clock.fast_forward("01:05")
    expect(banner).to_have_count(0)
