"""«Нужна помощь»: from the login page and from the menu.

Said to be sent only when a real mail server took it.
"""

import pytest
from playwright.sync_api import Page, expect

from fonoteka.core.config import MailSection
from tests.data.seed import PASSWORD
from tests.portal.browser import log_in
from tests.portal.test_looks import violations
from tests.support.mail_server import SECOND, SUPPORT, MailServer

WORDS = "Не помню пароль.\nПерезвоните."


def write(page: Page, name: str | None = "Пётр") -> None:
    dialog = page.get_by_role("dialog", name="Нужна помощь")
    if name is not None:
        dialog.get_by_label("Имя").fill(name)
    dialog.get_by_label("Телефон или e-mail").fill("petr@acme.example")
    dialog.get_by_label("Сообщение").fill(WORDS)
    dialog.get_by_role("button", name="Отправить").click()


def test_somebody_who_cannot_log_in_is_heard(page: Page, mail: tuple[MailServer, MailSection]) -> None:
    page.goto("/")
    page.get_by_label("Домен").first.fill("acme")
    page.get_by_role("button", name="Нужна помощь").click()
    assert violations(page) == []
    write(page)
    expect(page.get_by_text("Сообщение отправлено")).to_be_visible()
    expect(page.get_by_text("Служба поддержки ответит: petr@acme.example")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("dialog").get_by_role("button", name="Закрыть").last.click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    taken = mail[0].taken[-1]
    assert taken.recipients == (SUPPORT, SECOND), "a company gets no words of strangers"
    assert WORDS in taken.message.get_content().replace("\r\n", "\n")
    assert taken.message["reply-to"].addresses[0].addr_spec == "petr@acme.example"


def test_who_is_logged_in_is_named(page: Page, mail: tuple[MailServer, MailSection]) -> None:
    log_in(page, "152", PASSWORD)
    page.get_by_role("button", name="Учётная запись").click()
    page.get_by_role("button", name="Нужна помощь").click()
    expect(page.get_by_role("dialog").get_by_label("Имя")).to_have_value("Петров П.П.")
    write(page, name=None)
    expect(page.get_by_text("Сообщение отправлено")).to_be_visible()
    assert "Вошёл как: 152, домен acme" in mail[0].taken[-1].message.get_content()


@pytest.mark.expects_console_error("502")
def test_what_was_not_sent_is_said_and_the_words_stay(page: Page, mail: tuple[MailServer, MailSection]) -> None:
    server, count = mail[0], len(mail[0].taken)
    page.goto("/")
    page.get_by_role("button", name="Нужна помощь").click()
    server.full = True
    try:
        write(page)
        alert = page.get_by_role("dialog").get_by_role("alert")
        expect(alert).to_contain_text("Не отправлено. Почтовый сервер не принял сообщение.")
    finally:
        server.full = False
    expect(page.get_by_role("link", name="8-800-77-55-117")).to_have_attribute("href", "tel:88007755117")
    expect(page.get_by_label("Сообщение")).to_have_value(WORDS)
    assert len(server.taken) == count
    page.get_by_role("button", name="Отправить").click()
    expect(page.get_by_text("Сообщение отправлено")).to_be_visible()
    assert len(server.taken) == count + 1


@pytest.mark.expects_console_error("ERR_")
def test_without_a_connection_it_is_not_said_to_be_sent(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Нужна помощь").click()
    page.route("**/api/support", lambda route: route.abort())
    write(page)
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Не отправлено. Нет связи с сервером.")


def test_an_empty_field_is_not_sent(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Нужна помощь").click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("button", name="Отправить").click()
    expect(page.get_by_text("Заполните все поля")).to_be_visible()
    assert asked == []


def test_where_nothing_can_be_sent_it_tells_whom_to_ring(page: Page) -> None:
    told = {"support_phone": "8-800-77-55-117", "support_email": None, "can_send_help": False}
    page.route("**/api/portal", lambda route: route.fulfill(json=told))
    page.goto("/")
    page.get_by_role("button", name="Нужна помощь").click()
    expect(page.get_by_text("Отправить сообщение отсюда нельзя")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_role("link", name="8-800-77-55-117")).to_be_visible()
    expect(page.get_by_role("button", name="Отправить")).to_have_count(0)


@pytest.mark.expects_console_error("401")
def test_a_failed_login_names_the_telephone(page: Page) -> None:
    page.goto("/")
    for label in ("Домен", "Пользователь (логин)", "Пароль"):
        page.get_by_label(label, exact=True).fill("wrong")
    page.get_by_role("button", name="Войти").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Телефон поддержки:")
    expect(alert.get_by_role("link", name="8-800-77-55-117")).to_be_visible()
    expect(alert).to_contain_text("helpdesk@acme.example")
