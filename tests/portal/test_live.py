"""Calls that appear and change by themselves while the page is open."""

import asyncio
import re
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from api.dependencies.access import account_by
from api.dependencies.services import Services
from api.routes import live
from fonoteka.core.call_report import CallReport, Direction, PathStep, Reason, Result
from store.people.accounts import Account
from tests.data.seed import PASSWORD, a_call
from tests.portal.browser import all_looked, log_in, rows, whole_list
from tests.portal.served import Served

_numbers = count(50_000)
_LIST = re.compile(r"/api/calls(\?|$)")


def ringing(src: str) -> CallReport:
    """A call that rings at 152 now."""
    begun = a_call(next(_numbers), datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1))
    return replace(
        begun,
        src=src,
        revision=1,
        result=Result.NO_ANSWER,
        answered_by=None,
        answered_at=None,
        ended_at=None,
        talk_ms=0,
        segments=(),
        reason=Reason.NOT_ANSWERED,
        path=begun.path[:2],
    )


def talking(call: CallReport) -> CallReport:
    """The same call once 152 has taken it."""
    answered_at = call.started_at + timedelta(seconds=2)
    answer = PathStep(at=answered_at, what="answer", who="152")
    part = a_call(int(call.linkedid.rpartition(".")[2]), call.started_at).segments
    return replace(
        call, revision=2, result=Result.ANSWERED, answered_by="152", answered_at=answered_at, segments=part, reason=None,
        path=(*call.path, answer),
    )  # fmt: skip


def ended(call: CallReport) -> CallReport:
    """The same call after a talk of five seconds."""
    assert call.answered_at is not None
    end = call.answered_at + timedelta(seconds=5)
    return replace(call, revision=3, ended_at=end, talk_ms=5000, path=(*call.path, PathStep(at=end, what="end", who="")))


def test_a_call_that_begins_before_the_line_is_up_is_not_missed(
    page: Page, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list has been read without it by then: the page waits for the line half a second."""
    up = threading.Event()

    async def once_up(services: Services, token: str | None) -> Account | None:
        while not up.is_set():
            await asyncio.sleep(0.02)
        return await account_by(services, token)

    monkeypatch.setattr(live, "account_by", once_up)
    log_in(page, "900", PASSWORD)
    whole_list(page)
    page.mouse.move(5, 5)
    served.report(ringing("83912000021"))
    up.set()
    expect(rows(page).filter(has_text="83912000021")).to_be_visible()


def happens_meanwhile(page: Page, served: Served, call: CallReport, seconds: float) -> None:
    """Report a call when the next list has been read, and delay the answer to the page."""
    held: list[str] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
            return
        held.append(route.request.url)
        answer = route.fetch()
        served.report(call)
        time.sleep(seconds)
        route.fulfill(response=answer)

    page.route(_LIST, hold)


def test_a_call_that_begins_while_the_list_is_read_is_not_missed(admin: Page, served: Served) -> None:
    all_looked(admin)
    # Longer than the page waits between two looks.
    happens_meanwhile(admin, served, ringing("83912000022"), 2)
    admin.get_by_role("button", name="Обновить").click()
    expect(rows(admin).filter(has_text="83912000022")).to_be_visible()


def test_what_happens_while_the_list_is_read_is_not_undone(admin: Page, served: Served) -> None:
    """The answer still says that the call goes on, and comes after the news that it has ended."""
    admin.mouse.move(5, 5)
    call = talking(ringing("83912000023"))
    served.report(call)
    row = rows(admin).filter(has_text="83912000023")
    expect(row).to_contain_text("Разговор")
    all_looked(admin)
    happens_meanwhile(admin, served, ended(call), 1)  # the news is there by then
    with admin.expect_response(_LIST):
        admin.get_by_role("button", name="Обновить").click()
    expect(admin.locator("table[aria-busy='true']")).to_have_count(0)
    expect(row).to_contain_text("Успешный")
    expect(row).not_to_contain_text("Разговор")


def test_a_call_appears_is_taken_and_ends_in_its_row(admin: Page, served: Served) -> None:
    admin.mouse.move(5, 5)
    call = ringing("83912000001")
    served.report(call)
    row = rows(admin).filter(has_text="83912000001")
    expect(row).to_contain_text("Звонит")
    expect(rows(admin).first).to_contain_text("83912000001")
    call = talking(call)
    served.report(call)
    expect(row).to_contain_text("Разговор")
    expect(row).to_contain_text("Идёт запись")
    ticking = int(row.locator("td.duration").inner_text())
    admin.wait_for_function(
        "([id, then]) => Number(document.querySelector(`[data-call='${id}'] td.duration`).textContent) > then",
        arg=[row.get_attribute("data-call"), ticking],
    )
    served.report(ended(call))
    expect(row).to_contain_text("Успешный")
    expect(row.locator("td.duration")).to_have_text("7")
    expect(row).to_contain_text("Готовится")


def test_nothing_moves_under_the_reader_until_he_asks(admin: Page, served: Served) -> None:
    rows(admin).nth(3).hover()
    top = rows(admin).first.get_attribute("data-call")
    box = rows(admin).nth(3).bounding_box()
    served.report(ringing("83912000002"), ringing("83912000003"))
    fresh = admin.get_by_role("button", name="Новых: 2")
    expect(fresh).to_be_visible()
    expect(rows(admin).first).to_have_attribute("data-call", top or "")
    assert rows(admin).nth(3).bounding_box() == box
    fresh.click()
    expect(fresh).to_have_count(0)
    expect(rows(admin).filter(has_text="8391200000")).not_to_have_count(0)
    expect(rows(admin).filter(has_text="83912000003")).to_be_visible()


def test_what_a_caller_calls_himself_is_only_text(admin: Page, served: Served) -> None:
    hostile = "<img src=x onerror=alert(1)>{@html 1}"
    admin.mouse.move(5, 5)
    served.report(ringing(hostile))
    row = rows(admin).filter(has_text="onerror")
    expect(row.locator("td.src")).to_have_text(hostile)
    row.locator("td.dst").click()
    expect(admin.locator("tr.path")).to_be_visible()
    expect(admin.locator("main img")).to_have_count(0)


def test_a_call_outside_the_filter_does_not_appear(admin: Page, served: Served) -> None:
    admin.get_by_role("button", name="Исходящие").click()
    admin.mouse.move(5, 5)
    expect(admin.locator("td.direction").first).to_contain_text("Исходящий")
    with admin.expect_response(lambda answer: "/api/calls?" in answer.url):
        served.report(ringing("83912000004"))
    expect(rows(admin).filter(has_text="83912000004")).to_have_count(0)


def test_the_line_is_taken_up_again(admin: Page, served: Served) -> None:
    lines: list[str] = []

    def cut_the_first(line: WebSocketRoute) -> None:
        lines.append(line.url)
        if len(lines) == 1:
            line.close()
        else:
            line.connect_to_server()

    # What a worker asks for cannot be met here: see test_tabs.
    admin.add_init_script("delete window.SharedWorker")
    admin.route_web_socket("**/api/live", cut_the_first)
    admin.reload()
    whole_list(admin)
    admin.mouse.move(5, 5)
    served.report(ringing("83912000005"))
    expect(rows(admin).filter(has_text="83912000005")).to_be_visible()
    assert len(lines) > 1


def test_a_missed_call_says_that_it_was_called_back(admin: Page, served: Served) -> None:
    """The row hears of another call: the one in which its caller was reached."""
    rang = ringing("83912000077")
    served.report(replace(rang, revision=2, ended_at=rang.started_at + timedelta(seconds=9)))
    row = rows(admin).filter(has=admin.locator("td.src", has_text="83912000077"))
    expect(row).to_contain_text("Нет ответа")
    expect(row.get_by_role("img")).to_have_count(0)
    back = talking(replace(ringing("152"), started_at=rang.started_at + timedelta(seconds=310)))
    served.report(replace(back, direction=Direction.OUT, dst="+7 391 200-00-77", answered_by="83912000077", number=None))
    said = re.compile(r"^Перезвонили (\d\d\.\d\d\.\d{4} )?в \d\d:\d\d, через 5 мин$")
    expect(row.get_by_role("img", name=said)).to_be_visible()
    row.locator("td.src").click()
    expect(admin.locator("tr.path .aside").get_by_text(said)).to_be_visible()
