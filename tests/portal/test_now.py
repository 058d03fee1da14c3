"""The page of live calls: the parties, the time, the state of the recording, and the buttons."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from fonoteka.core.agent_protocol import Refusal
from fonoteka.core.call_report import Action, CallReport, UserRecordingStatus
from fonoteka.core.naming import call_id
from tests.data.seed import PASSWORD
from tests.portal.browser import all_looked, log_in, rows
from tests.portal.going_on import BY_RULE, IS_OFF, NOT_ASKED, ON_PAUSE, going_on, over
from tests.portal.served import Served
from tests.portal.test_looks import assert_suits_everybody

_ROOT = Path(__file__).parents[2]
_numbers = count(70_000)


@pytest.fixture
def told(served: Served) -> Iterator[list[CallReport]]:
    """Calls that this test has going on; they end with it."""
    calls: list[CallReport] = []
    yield calls
    served.report(*(over(call) for call in calls))


@pytest.fixture
def now(admin: Page) -> Page:
    """The administrator's page of what is going on."""
    admin.get_by_role("link", name="Сейчас").click()
    expect(admin.get_by_role("heading", name="Сейчас")).to_be_visible()
    return admin


def begin(served: Served, told: list[CallReport], *sides: UserRecordingStatus, src: str = "89131234567") -> CallReport:
    call = going_on(next(_numbers), *sides, src=src)
    told.append(call)
    served.report(call)
    return call


def row(page: Page, call: CallReport) -> Locator:
    return page.locator(f"li[data-call='{call_id(call.pbx, call.linkedid)}']")


def test_a_call_appears_is_taken_and_ends_before_ones_eyes(now: Page, served: Served, told: list[CallReport]) -> None:
    rings = begin(served, told)
    mine = row(now, rings)
    expect(mine).to_contain_text("Вызов")
    expect(mine).to_contain_text("89131234567 → 2458152")
    number = int(rings.linkedid.rpartition(".")[2])
    talks = going_on(number, BY_RULE, revision=2)
    told[:] = [talks]
    served.report(talks)
    expect(mine).to_contain_text("Разговор")
    expect(mine).to_contain_text("89131234567 — Петров П.П. (152)")
    expect(mine).to_contain_text("Идёт запись")
    shown = mine.get_by_role("timer")
    expect(shown).to_have_text(re.compile(r"^1:\d\d$"))
    before = shown.inner_text()
    expect(shown).not_to_have_text(before)
    expect(now.get_by_role("navigation").get_by_title("Идёт звонков")).to_have_text(re.compile(r"\d"))
    served.report(over(talks))
    expect(mine).to_contain_text("Завершён")
    expect(mine).to_have_count(0)


BUTTONS = [
    ((BY_RULE,), "900", "Идёт запись", ["Пауза", "Остановить"]),
    ((BY_RULE,), "152", "Идёт запись", ["Пауза"]),
    ((ON_PAUSE,), "900", "Запись на паузе", ["Продолжить", "Остановить"]),
    ((NOT_ASKED,), "777", "Не записывается: запись не включали", ["Записать"]),
    ((IS_OFF,), "900", "Не записывается: запись выключена", []),
]


@pytest.mark.parametrize(("sides", "login", "said", "buttons"), BUTTONS, ids=["rule", "own", "paused", "on demand", "off"])
def test_the_buttons_are_those_that_are_allowed(
    page: Page,
    served: Served,
    told: list[CallReport],
    sides: tuple[UserRecordingStatus, ...],
    login: str,
    said: str,
    buttons: list[str],
) -> None:
    call = begin(served, told, *sides)
    log_in(page, login, PASSWORD)
    page.get_by_role("link", name="Сейчас").click()
    expect(row(page, call)).to_contain_text(said)
    assert [text.strip() for text in row(page, call).locator(".controls button").all_inner_texts()] == buttons


def test_a_pause_is_busy_until_the_pbx_has_done_it(now: Page, served: Served, told: list[CallReport]) -> None:
    call = begin(served, told, BY_RULE)
    button = row(now, call).get_by_role("button", name="Пауза")
    button.click()
    expect(button).to_have_attribute("aria-busy", "true")
    expect(row(now, call).get_by_role("button", name="Остановить")).to_be_disabled()
    command = served.asked()
    assert (command.action, command.linkedid, command.login) == (Action.PAUSE, call.linkedid, None)
    assert call.live is not None
    paused = replace(call, revision=2, live=replace(call.live, sides=(ON_PAUSE,)))
    served.answer(command, report=paused)
    expect(row(now, call)).to_contain_text("Запись на паузе")
    expect(row(now, call).get_by_role("button", name="Продолжить")).to_be_enabled()
    expect(row(now, call).get_by_role("alert")).to_have_count(0)


@pytest.mark.expects_console_error("409")
def test_a_refusal_is_told_where_one_clicked(now: Page, served: Served, told: list[CallReport]) -> None:
    call, other = begin(served, told, BY_RULE), begin(served, told, BY_RULE, src="89130000001")
    row(now, call).get_by_role("button", name="Остановить").click()
    served.answer(served.asked(), refusal=Refusal.NOT_RECORDING)
    expect(row(now, call).get_by_role("alert")).to_have_text("Разговор не записывается")
    expect(row(now, call).get_by_role("button", name="Остановить")).to_be_enabled()
    expect(row(now, other).get_by_role("alert")).to_have_count(0)


@pytest.mark.expects_console_error("504")
def test_a_pbx_that_does_not_answer_is_told(now: Page, served: Served, told: list[CallReport]) -> None:
    call = begin(served, told, NOT_ASKED)
    row(now, call).get_by_role("button", name="Записать").click()
    expect(row(now, call).get_by_role("alert")).to_contain_text("АТС не отвечает")
    expect(row(now, call).get_by_role("button", name="Записать")).to_be_enabled()


def test_every_refusal_has_words_in_both_languages() -> None:
    words = (_ROOT / "portal" / "src" / "pages" / "now" / "words.ts").read_text(encoding="utf-8")
    assert [kind for kind in Refusal if words.count(f'"{kind}":') != 2] == []


def test_the_path_opens_and_the_address_holds_it(now: Page, served: Served, told: list[CallReport]) -> None:
    call = begin(served, told, BY_RULE)
    row(now, call).get_by_role("button", name="Показать путь звонка").click()
    expect(row(now, call)).to_contain_text("Отвечает Петров П.П. (152)")
    assert "/now?call=" in now.url
    now.reload()
    expect(row(now, call)).to_contain_text("Отвечает Петров П.П. (152)")
    now.go_back()


def test_a_paused_recording_is_told_in_the_table_of_calls_too(admin: Page, served: Served, told: list[CallReport]) -> None:
    call = begin(served, told, ON_PAUSE, src="83915550001")
    shown = rows(admin).filter(has_text="83915550001")
    expect(shown).to_contain_text("Запись на паузе")
    shown.locator("td.src").click()
    path = admin.locator("tr.path")
    expect(path.get_by_role("button", name="Продолжить")).to_be_visible()
    path.get_by_role("button", name="Продолжить").click()
    command = served.asked()
    assert (command.action, command.linkedid) == (Action.RESUME, call.linkedid)
    assert call.live is not None
    served.answer(command, report=replace(call, revision=2, live=replace(call.live, sides=(BY_RULE,))))
    expect(path).to_contain_text("Идёт запись")
    expect(path.get_by_role("button", name="Пауза")).to_be_visible()


def test_a_call_that_became_part_of_another_is_gone_at_once(admin: Page, served: Served, told: list[CallReport]) -> None:
    """Even from under the reader, where other news waits; and not at the table's next look."""
    whole, part = begin(served, told, BY_RULE, src="83915550002"), begin(served, told, BY_RULE, src="83915550003")
    mine = rows(admin).filter(has_text="83915550003")
    expect(mine).to_be_visible()
    mine.locator("td.src").click()
    expect(admin.locator("tr.path li").first).to_be_visible()
    all_looked(admin)
    asked: list[str] = []
    admin.on("request", lambda request: asked.append(request.url) if "/api/calls?" in request.url else None)
    merged = replace(part, revision=2, merged_into=whole.linkedid, live=None)
    told[:] = [whole]
    served.report(merged)
    expect(mine).to_have_count(0)
    expect(admin.locator("tr.path")).to_have_count(0)
    expect(rows(admin).filter(has_text="83915550002")).to_be_visible()
    assert asked == []


def test_with_nobody_talking_it_says_so(page: Page) -> None:
    page.route("**/api/live/calls", lambda route: route.fulfill(json={"items": []}))
    page.route_web_socket("**/api/live", lambda _: None)
    log_in(page, "900", PASSWORD)
    page.get_by_role("link", name="Сейчас").click()
    page.route_web_socket("**/api/live", lambda _: None)
    expect(page.get_by_text("Сейчас никто не разговаривает")).to_be_visible()


def test_axe_finds_nothing_serious_in_it(now: Page, served: Served, told: list[CallReport]) -> None:
    for sides in ((BY_RULE,), (ON_PAUSE,), (NOT_ASKED,), ()):
        begin(served, told, *sides)
    expect(row(now, told[-1])).to_be_visible()
    for width in (1440, 390):
        now.set_viewport_size({"width": width, "height": 900})
        assert_suits_everybody(now)
        assert now.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
