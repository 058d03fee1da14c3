"""A call's path in words: calls of a real Asterisk, as reported by the agent, in the browser."""

from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from fonoteka.core.call_report import CallReport, PathStep
from fonoteka.core.naming import call_id
from tests.data.seed import a_call
from tests.portal.served import Served
from tests.unit.agent.calls.test_recorded_streams import read_stream
from tests.unit.agent.fixtures import play, report_of

PETROV, SOLDATOV, IVANOVA = "Петров П.П. (152)", "Солдатов Н.С. (421)", "Иванова А.В. (130)"
CUSTOMER, AWAY = "89131234567", "84951234567"
_TO_152 = (f"{CUSTOMER} звонит на 2458152", f"Вызов: {PETROV}", f"Отвечает {PETROV}", f"Идёт запись: {PETROV}")
_SENT_AWAY = (
    f"Переадресация: {SOLDATOV} → {AWAY}",
    f"Вызов: {AWAY}",
    f"Отвечает {AWAY}",
    f"Не записывается ({SOLDATOV}): переадресован на межгород",
    f"{CUSTOMER} кладёт трубку",
)
_HANGS_UP = f"{CUSTOMER} кладёт трубку"

STORIES = {
    "in_answered": (*_TO_152, _HANGS_UP),
    "in_given_up": (*_TO_152[:2], f"{CUSTOMER} кладёт трубку, не дождавшись ответа"),
    "in_busy": (*_TO_152[:2], f"Занято: {PETROV}", "Звонок завершён"),
    "in_absent": (_TO_152[0], "Не удалось вызвать: 2458152", "Звонок завершён"),
    "group_130_busy": (
        f"{CUSTOMER} звонит на 2458800", f"Вызов: {PETROV}, {IVANOVA} Занято: {IVANOVA}", *_TO_152[2:],
        f"{PETROV} кладёт трубку",
    ),
    "out_city": (
        f"{PETROV} набирает 2123456", "Вызов: 2123456", "Отвечает 2123456", f"Идёт запись: {PETROV}", f"{PETROV} кладёт трубку",
    ),
    "forward_always": (f"{CUSTOMER} звонит на 2458421", *_SENT_AWAY),
    "forward_no_answer": (f"{CUSTOMER} звонит на 2458421", f"Вызов: {SOLDATOV}", f"Нет ответа: {SOLDATOV}", *_SENT_AWAY),
    "phone_302": (f"{CUSTOMER} звонит на 2458421", f"Вызов: {SOLDATOV}", *_SENT_AWAY[:-1], f"{AWAY} кладёт трубку"),
    "queue_leads_out": (
        f"{CUSTOMER} звонит на 2458901", f"Переадресация по правилу АТС → {AWAY}", *_SENT_AWAY[1:3],
        "Не записывается: переадресован на межгород", _HANGS_UP,
    ),
    "blind_by_phone_to_130": (
        *_TO_152, f"{PETROV} переводит звонок → {IVANOVA}", f"Вызов: {IVANOVA}", f"Отвечает {IVANOVA}",
        f"Не записывается ({IVANOVA}): запись выключена", _HANGS_UP,
    ),
    "attended_by_keys_taken_back": (
        *_TO_152, f"{PETROV} ставит собеседника на удержание", f"{PETROV} вызывает: {SOLDATOV}", f"Отвечает {SOLDATOV}",
        f"{SOLDATOV} кладёт трубку", f"{PETROV} возвращается к разговору", _HANGS_UP,
    ),
    "attended_by_phone": (
        *_TO_152, f"{PETROV} ставит собеседника на удержание", f"{PETROV} вызывает: {SOLDATOV}", f"Отвечает {SOLDATOV}",
        f"{PETROV} переводит звонок → {SOLDATOV}", f"Идёт запись: {SOLDATOV}", _HANGS_UP,
    ),
    "parked_by_phone": (
        *_TO_152, f"{PETROV} оставляет звонок на парковке 701", f"{SOLDATOV} забирает звонок с парковки 701",
        f"Идёт запись: {SOLDATOV}", f"{SOLDATOV} кладёт трубку",
    ),
    "picked_up": (
        *_TO_152[:2], f"{SOLDATOV} перехватывает вызов: {PETROV}", f"Идёт запись: {SOLDATOV}", _HANGS_UP,
    ),
    "hold_and_resume": (*_TO_152, f"{PETROV} ставит собеседника на удержание · 0:01", _HANGS_UP),
    "conference_with_customer": (
        *_TO_152, f"{PETROV} переводит звонок → 8000", f"{CUSTOMER} входит в конференцию", _HANGS_UP,
    ),
    "withheld": ("Номер скрыт звонит на 2458152", *_TO_152[1:], "Номер скрыт кладёт трубку"),
}  # fmt: skip


def the_call_of(name: str) -> CallReport:
    """What the agent tells of a recorded stream's call."""
    rows = [report_of(call) for call in play(read_stream(name)).calls.values()]
    return next(row for row in rows if row.merged_into is None)


def story(page: Page, call: CallReport, served: Served) -> list[str]:
    """Report a call and read its path in the portal, line by line."""
    served.report(call)
    page.goto(f"/?call={call_id(call.pbx, call.linkedid)}")
    lines = page.locator(".inside ol li .sentence")
    expect(lines.first).to_be_visible()
    return [" ".join(text.split()) for text in lines.all_inner_texts()]


@pytest.mark.parametrize("name", STORIES)
def test_a_manager_reads_what_happened(reader: Page, served: Served, name: str) -> None:
    call = the_call_of(name)
    assert story(reader, call, served) == list(STORIES[name])


def queue_of(many: int, rounds: int) -> CallReport:
    """Many telephones that ring, again and again, until one of them is taken."""
    call = a_call(60_000 + many, the_call_of("in_answered").started_at, talk_ms=20_000)
    steps = [call.path[0]]
    for number in range(rounds):
        at = call.started_at + timedelta(milliseconds=number * 100)
        steps += [PathStep(at=at, what="ring", who=str(200 + one)) for one in range(many)]
        steps += [PathStep(at=at, what="no_answer", who=str(200 + one)) for one in range(many)]
    return replace(call, path=(*steps, *call.path[2:]))


def test_many_rings_are_one_line_that_can_be_opened(reader: Page, served: Served) -> None:
    lines = story(reader, queue_of(40, 4), served)
    assert lines[1] == "Вызов: 200, 201, 202 и ещё 37 · 4 раза Нет ответа: 40"
    assert len(lines) == 4
    reader.get_by_role("button", name="и ещё 37").click()
    assert reader.locator(".inside ol li .sentence").nth(1).inner_text().count("239") == 2


def test_in_english_too(admin: Page, served: Served) -> None:
    admin.get_by_role("button", name="EN").click()
    expect(admin.get_by_role("button", name="Refresh")).to_be_visible()
    assert story(admin, the_call_of("parked_by_phone"), served)[4:6] == [
        f"{PETROV} parks the call at 701",
        f"{SOLDATOV} fetches the call from parking place 701",
    ]
    admin.get_by_role("button", name="RU").click()
