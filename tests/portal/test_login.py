"""Logging in: the three fields, the one wording, the warnings, what is remembered."""

import pytest
from playwright.sync_api import Page, expect

from tests.data.seed import PASSWORD
from tests.portal.browser import log_in, whole_list

_REFUSED = pytest.mark.expects_console_error("401")


@_REFUSED
@pytest.mark.parametrize(
    ("domain", "login", "password"),
    [("acme", "900", "wrong"), ("acme", "nobody", PASSWORD), ("elsewhere", "900", PASSWORD)],
)
def test_whatever_is_wrong_is_said_in_one_wording(page: Page, domain: str, login: str, password: str) -> None:
    page.goto("/")
    page.get_by_label("Домен").first.fill(domain)
    page.get_by_label("Пользователь (логин)").fill(login)
    page.get_by_label("Пароль", exact=True).fill(password)
    page.get_by_role("button", name="Войти").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Войти не удалось. Проверьте:")
    expect(alert.get_by_role("listitem")).to_have_count(4)
    expect(alert).to_contain_text("раскладку клавиатуры")


def test_an_administrator_comes_to_the_calls(page: Page) -> None:
    log_in(page, "900", PASSWORD)
    whole_list(page)
    expect(page.get_by_role("link", name="Пользователи")).to_be_visible()
    expect(page).to_have_title("Звонки · Fonoteka")


def test_who_looks_is_asked_once_and_the_mark_goes(page: Page) -> None:
    """`before-paint.js` asks while the portal is under way; the portal takes that answer."""
    log_in(page, "900", PASSWORD)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/api/me") else None)
    page.goto("/users", wait_until="commit")
    expect(page.locator("#content h1, #content table").first).to_be_visible()
    expect(page.locator("#opening")).to_have_count(0)
    assert len(asked) == 1


def test_a_user_sees_only_themself(page: Page) -> None:
    log_in(page, "421", PASSWORD)
    whole_list(page)
    expect(page.get_by_role("link", name="Пользователи")).to_have_count(0)
    panel = page.get_by_role("complementary")
    expect(panel.locator("tbody tr")).to_have_count(1)
    expect(panel.get_by_role("combobox")).to_have_count(0)
    expect(panel).to_contain_text("Все звонки")


def test_logging_out_ends_the_session(page: Page) -> None:
    log_in(page, "900", PASSWORD)
    whole_list(page)  # a request under way would come back as a 401
    page.get_by_role("button", name="Выйти").click()
    expect(page.get_by_role("heading", name="Вход в личный кабинет")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Вход в личный кабинет")).to_be_visible()


def test_empty_fields_are_named_without_asking_the_server(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/")
    page.get_by_role("button", name="Войти").click()
    expect(page.get_by_text("Заполните это поле")).to_have_count(3)
    assert not [url for url in asked if "/api/" in url and not url.endswith("/api/portal")]


def test_cyrillic_in_a_latin_login_is_warned_of(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Пользователь (логин)").fill("Гыук_1")
    expect(page.get_by_text("Здесь есть русские буквы")).to_be_visible()
    page.get_by_label("Пользователь (логин)").fill("User_1")
    expect(page.get_by_text("Здесь есть русские буквы")).to_have_count(0)


def test_capslock_is_warned_of(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Пароль", exact=True).focus()
    press = "on => window.dispatchEvent(new KeyboardEvent('keydown', {key: 'a', modifierCapsLock: on}))"
    page.evaluate(press, True)
    expect(page.get_by_text("Нажат CapsLock")).to_be_visible()
    page.evaluate(press, False)
    expect(page.get_by_text("Нажат CapsLock")).to_have_count(0)


def test_domain_and_login_are_remembered_the_password_never(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Запомнить домен и логин").check()
    log_in_fields = {"Домен": "acme", "Пользователь (логин)": "900"}
    for label, value in log_in_fields.items():
        page.get_by_label(label).first.fill(value)
    page.get_by_label("Пароль", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Войти").click()
    whole_list(page)  # a request under way would come back as a 401
    page.get_by_role("button", name="Выйти").click()
    expect(page.locator("#domain")).to_have_value("acme")
    expect(page.locator("#login")).to_have_value("900")
    expect(page.locator("#password")).to_have_value("")
    expect(page.locator("#password")).to_be_focused()
    assert PASSWORD not in page.evaluate("() => JSON.stringify(localStorage)").replace("fonoteka.", "")


@pytest.mark.expects_console_error("401")
def test_a_session_that_ends_by_itself_leads_to_the_login(page: Page) -> None:
    log_in(page, "900", PASSWORD)
    whole_list(page)
    page.context.clear_cookies()
    page.get_by_role("button", name="Обновить").click()
    expect(page.get_by_text("Сеанс закончился")).to_be_visible()
