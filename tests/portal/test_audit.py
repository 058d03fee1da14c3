"""«Журнал»: who did what, in words, with the way to the call; and holding a call."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect
from pydantic import TypeAdapter

from fonoteka.core.call_report import CallReport, Reason
from store.evidence.verification import Verdict, examined
from tests.data import seed
from tests.data.seed import PASSWORD
from tests.portal.browser import answered as listed
from tests.portal.browser import log_in, rows
from tests.portal.served import Served
from tests.portal.test_looks import assert_suits_everybody, violations
from tests.support import http


def entries(page: Page) -> Locator:
    return page.locator("tr.entry")


def seen(page: Page) -> None:
    expect(page.locator("table[aria-busy]").first).to_have_attribute("aria-busy", "false")


@contextmanager
def answered(page: Page) -> Iterator[None]:
    """Do in the block what has other entries asked for; after it they are shown.

    The address and the pager are ahead of them.
    """
    with page.expect_response(re.compile(r"/api/audit\?")):
        yield
    seen(page)


def asked(served: Served, token: str, method: str, path: str, body: object = None) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    httpx.request(method, f"{served.address}{path}", json=body, headers=headers).raise_for_status()


def test_it_is_for_administrators(page: Page) -> None:
    log_in(page, "152", PASSWORD)
    expect(page.get_by_role("link", name="Журнал")).to_have_count(0)
    page.goto("/audit")
    expect(rows(page).first).to_be_visible()
    expect(page).to_have_title("Звонки · Fonoteka")


def test_what_was_done_is_told_in_words(admin: Page, admin_token: str, served: Served) -> None:
    asked(served, admin_token, "PATCH", "/api/users/130", {"record": "in"})
    asked(served, admin_token, "PATCH", "/api/users/130", {"record": "off"})
    admin.get_by_role("link", name="Журнал").click()
    seen(admin)
    expect(admin).to_have_title("Журнал · Fonoteka")
    newest = entries(admin).first
    expect(newest).to_contain_text("Директор Е.М.")
    expect(newest).to_contain_text("Настройки пользователя")
    expect(newest).to_contain_text("Запись: Входящие → Выключена")
    expect(newest.locator("td.address")).to_have_text("127.0.0.1")
    expect(newest.locator("td.at")).to_have_text(re.compile(r"\d\d\.\d\d\.\d{4} 1[23]:\d\d:\d\d"))
    assert violations(admin) == []
    admin.get_by_role("button", name="EN").click()
    expect(newest).to_contain_text("Recording: Incoming → Off")
    admin.get_by_role("button", name="RU").click()


def test_filters_are_in_the_address_and_back_undoes_them(reader: Page) -> None:
    reader.goto("/audit")
    seen(reader)
    with answered(reader):
        reader.get_by_label("Фильтр: Действие").select_option("logged_in")
    expect(reader).to_have_url(re.compile("action=logged_in"))
    assert {text.split("\n")[0] for text in reader.locator("tr.entry td.what").all_inner_texts()} == {"Вход"}
    with answered(reader):
        reader.get_by_label("Фильтр: Кто").select_option("900")
    expect(reader).to_have_url(re.compile("login=900"))
    for text in reader.locator("tr.entry td.who").all_inner_texts():
        assert "Директор Е.М." in text
    reader.reload()
    expect(reader.get_by_label("Фильтр: Кто")).to_have_value("900")
    reader.go_back()
    expect(reader.get_by_label("Фильтр: Кто")).to_have_value("")
    expect(reader).not_to_have_url(re.compile("login=900"))
    reader.get_by_role("button", name="Вчера").click()
    expect(reader.get_by_text("По вашему запросу ничего не найдено")).to_be_visible()
    expect(reader).to_have_url(re.compile("/audit.*from="))
    reader.get_by_role("button", name="Сбросить фильтры").first.click()
    expect(reader).not_to_have_url(re.compile("action="))


def test_a_call_leads_to_its_entries_and_they_are_exported(admin: Page) -> None:
    with listed(admin):
        admin.get_by_role("button", name="С записью").click()
    row = rows(admin).nth(3)
    call = row.get_attribute("data-call") or ""
    row.locator("td.src").click()
    expect(admin.locator("tr.path .kept")).to_contain_text(re.compile(r"Запись хранится до \d\d\.\d\d\.\d{4}"))
    row.locator("td.rec button").click()
    admin.wait_for_function("() => document.querySelector('audio')?.currentTime > 0")
    with answered(admin):
        admin.get_by_role("link", name="Кто слушал").click()
    expect(admin).to_have_url(re.compile(f"/audit.*call={call}"))
    expect(entries(admin)).to_have_count(1)
    expect(entries(admin).locator("td.what")).to_contain_text("Прослушивание")
    expect(admin.locator(".chip")).to_contain_text(re.compile("Звонок: .+ → .+"))
    with admin.expect_download() as saved:
        admin.get_by_role("link", name="Выгрузить в CSV").click()
    assert re.fullmatch(r"fonoteka-acme-audit-.*\.csv", saved.value.suggested_filename)
    titles, listened = saved.value.path().read_text("utf-8-sig").splitlines()
    assert titles.startswith('"Дата";"Время";"Логин"') and "Прослушивание" in listened and call in listened
    with answered(admin):
        admin.get_by_role("button", name="Показать записи обо всех звонках").click()
    expect(admin).not_to_have_url(re.compile("call="))
    expect(entries(admin).first.locator("td.subject")).to_contain_text("Журнал")  # the export itself
    expect(entries(admin).first).to_contain_text("Выгрузка")


@pytest.mark.expects_console_error("422")
def test_the_data_of_an_outside_party_are_found_saved_and_erased(admin: Page, served: Served) -> None:
    call = seed.but(seed.a_call(7007, datetime.now(UTC) - timedelta(minutes=1)), src="89137770077", segments=())
    reported = http.put(
        f"{served.address}/agent/v1/calls",
        content=TypeAdapter(list[CallReport]).dump_json([seed.but(call, reason=Reason.USER_OFF)]),
        headers={"Authorization": f"Bearer {seed.PBX_TOKEN}", "Content-Type": "application/json"},
    )
    reported.raise_for_status()
    admin.get_by_role("link", name="Журнал").click()
    seen(admin)
    admin.get_by_role("button", name="Данные абонента").click()
    dialog = admin.get_by_role("dialog", name="Данные абонента")
    number = dialog.get_by_label("Номер телефона")
    number.fill("Ромашка")
    dialog.get_by_role("button", name="Найти").click()
    expect(dialog.get_by_role("alert")).to_have_text("Это не номер внешнего абонента")
    number.fill("8 913 777-00-77")
    dialog.get_by_role("button", name="Найти").click()
    expect(dialog.get_by_role("status")).to_contain_text("+79137770077")
    expect(dialog.get_by_role("status")).to_contain_text("1 звонок, с записью: 0")
    assert violations(admin) == []
    with admin.expect_download() as saved:
        dialog.get_by_role("link", name="Скачать всё (ZIP)").click()
    with ZipFile(saved.value.path()) as archive:
        assert archive.namelist() == ["calls.json", "journal.json"]
    erase = dialog.get_by_role("button", name="Удалить навсегда: 1 звонок")
    expect(erase).to_be_disabled()
    dialog.get_by_label("Чтобы удалить, введите номер +79137770077").fill("+79137770077")
    erase.click()
    expect(dialog.get_by_role("status")).to_contain_text("Удалено: 1 звонок")
    dialog.get_by_role("button", name="Закрыть").click()
    expect(entries(admin).first).to_contain_text("Данные абонента удалены")
    expect(entries(admin).first.locator("td.subject")).to_have_text("…77")


def test_pages_follow_each_other(admin: Page, admin_token: str, served: Served) -> None:
    for turn in range(60):
        asked(served, admin_token, "PATCH", "/api/users/130", {"name": f"Иванова А.В.{'!' * (turn % 2)}"})
    asked(served, admin_token, "PATCH", "/api/users/130", {"name": "Иванова А.В."})
    admin.goto("/audit?action=user_changed")
    seen(admin)
    pager = admin.get_by_role("navigation", name="Страницы")
    expect(pager).to_contain_text("1–50 из")
    first = entries(admin).all_inner_texts()
    with answered(admin):
        pager.get_by_role("button", name="Вперёд").click()
    assert entries(admin).all_inner_texts() != first
    expect(pager).to_contain_text("51–")
    expect(admin).to_have_url(re.compile("cursor=.*page=2"))
    with answered(admin):
        pager.get_by_role("button", name="Назад").click()
    expect(pager).to_contain_text("1–50 из")
    assert entries(admin).all_inner_texts() == first


def test_a_call_is_held_with_a_reason_and_found_from_the_journal(admin: Page) -> None:
    with listed(admin):
        admin.get_by_role("button", name="С записью").click()
    row = rows(admin).nth(2)
    call = row.get_attribute("data-call") or ""
    row.locator("td.src").click()
    admin.get_by_role("button", name="Хранить бессрочно").click()
    dialog = admin.get_by_role("dialog", name="Хранить бессрочно")
    dialog.get_by_label("Причина").fill("Спор <b>с клиентом</b>")
    assert violations(admin) == []
    dialog.get_by_role("button", name="Хранить бессрочно").click()
    expect(dialog).to_have_count(0)
    mine = admin.locator(f"tr.call[data-call='{call}']")
    expect(mine.locator(".held")).to_be_visible()  # told live
    admin.get_by_role("link", name="Журнал").click()
    seen(admin)
    entry = entries(admin).first
    expect(entry).to_contain_text("Поставлен на хранение")
    expect(entry).to_contain_text("Спор <b>с клиентом</b>")
    entry.get_by_role("link").click()
    expect(admin.locator(f"tr.call.open[data-call='{call}'], .linked")).to_have_count(1)
    admin.get_by_role("button", name="Снять с хранения").click()
    admin.get_by_role("dialog").get_by_role("button", name="Снять с хранения").click()
    expect(admin.get_by_role("dialog")).to_have_count(0)
    expect(admin.get_by_role("button", name="Хранить бессрочно")).to_be_visible()


def test_evidence_of_a_call_is_downloaded_and_genuine(admin: Page, tmp_path: Path) -> None:
    with listed(admin):
        admin.get_by_role("button", name="С записью").click()
    rows(admin).nth(1).locator("td.src").click()
    with admin.expect_download() as download:
        admin.get_by_role("link", name="Скачать доказательство").click()
    download.value.save_as(tmp_path / "evidence.zip")
    lines = examined(tmp_path / "evidence.zip", None)
    assert [line.text for line in lines if line.verdict is Verdict.DIFFERS] == []
    admin.get_by_role("link", name="Журнал").click()
    expect(entries(admin).first).to_contain_text("Доказательство выгружено")


def test_who_is_no_administrator_holds_nothing(page: Page) -> None:
    log_in(page, "152", PASSWORD)
    rows(page).first.locator("td.src").click()
    expect(page.get_by_role("button", name="Скопировать ссылку на звонок")).to_be_visible()
    expect(page.get_by_role("button", name="Хранить бессрочно")).to_have_count(0)
    expect(page.get_by_role("link", name="Скачать доказательство")).to_have_count(0)


@pytest.mark.expects_console_error("503")
def test_where_it_cannot_be_had_that_is_said(admin: Page) -> None:
    admin.route("**/api/audit*", lambda route: route.fulfill(status=503, json={"type": "x", "title": "x"}))
    admin.goto("/audit")
    expect(admin.get_by_role("alert")).to_contain_text("Не удалось загрузить журнал")
    admin.unroute_all()
    admin.get_by_role("button", name="Повторить").click()
    expect(entries(admin).first).to_be_visible()


def test_axe_and_a_telephone(admin: Page) -> None:
    admin.set_viewport_size({"width": 390, "height": 844})
    admin.goto("/audit")
    expect(entries(admin).first).to_be_visible()
    assert admin.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    assert_suits_everybody(admin)
