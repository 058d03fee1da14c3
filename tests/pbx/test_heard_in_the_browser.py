"""The whole way of a call: telephones talk through a real Asterisk.

A manager watches, pauses, finds and hears it in Chromium.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import pytest
from playwright.async_api import Page, async_playwright, expect

from lab.asterisk.server import LabAsterisk
from lab.base.company import ACME
from lab.base.lateness import Lateness
from lab.scenarios.steps import answered, talk_and_leave
from lab.sip.handset import TRUNK, handset
from lab.sip.line import Line
from lab.tools.installation import Fonoteka
from tests.portal.browser import CHROMIUM, FLAGS, SLOWEST_MS

_NUMBERS = count(89139990001)  # each call has a caller of its own


@asynccontextmanager
async def administrators_page(fonoteka: Fonoteka) -> AsyncIterator[Page]:
    """Logged in; an error in the console fails the test."""
    admin = next(user for user in ACME.users if user.role == "admin")
    expect.set_options(timeout=SLOWEST_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(base_url=str(fonoteka.http.base_url), locale="ru-RU")
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.set_default_timeout(SLOWEST_MS)
        await page.goto("/")
        await page.get_by_label("Домен").first.fill(ACME.name)
        await page.get_by_label("Пользователь (логин)").fill(admin.extension)
        await page.get_by_label("Пароль", exact=True).fill(admin.password)
        await page.get_by_role("button", name="Войти").click()
        await expect(page.get_by_role("navigation", name="Основное меню")).to_be_visible()
        await page.mouse.move(5, 5)  # new calls are held back while the pointer is in the table
        yield page
        await browser.close()
    assert errors == []


@asynccontextmanager
async def called_by(pbx: LabAsterisk, number: str) -> AsyncIterator[tuple[Line, Line]]:
    """A customer with this number talks with 152: both lines."""
    async with handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk:
        yield await answered(outside, "2458152", desk, user=number)


async def test_a_call_just_made_is_found_and_heard(pbx: LabAsterisk, fonoteka: Fonoteka) -> None:
    number = str(next(_NUMBERS))
    with Lateness() as lateness:
        async with administrators_page(fonoteka) as page:
            row = page.locator("tr.call", has_text=number)
            async with called_by(pbx, number) as (customer, employee):
                await expect(row).to_contain_text("Идёт запись")  # the row is there while they talk
                await talk_and_leave(customer, employee)
            await row.locator("td.rec button").click()  # and the button once the recording is
            await page.wait_for_function("() => document.querySelector('audio')?.currentTime > 0.5")
            length_s = await page.locator("audio").evaluate("audio => audio.duration")
        assert length_s == pytest.approx(employee.sip_call.talk_s, abs=0.2 + lateness.allowance_s(since=0.0))


async def test_a_talk_is_watched_and_its_recording_paused(pbx: LabAsterisk, fonoteka: Fonoteka) -> None:
    """The page of live calls, its buttons, and the pause in path and player, of one real call."""
    before, number = await fonoteka.ids(), str(next(_NUMBERS))
    async with administrators_page(fonoteka) as page:
        await page.get_by_role("link", name="Сейчас").click()
        row = page.locator("li[data-call]", has_text=number)
        async with handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk:
            customer = outside.dial("2458152", user=number)
            ringing = await desk.rung()
            await expect(row).to_contain_text("Вызов")
            employee = await ringing.answer()
            await expect(row).to_contain_text("Идёт запись")
            await row.get_by_role("button", name="Пауза").click()
            await expect(row).to_contain_text("Запись на паузе")
            await asyncio.sleep(1)
            await row.get_by_role("button", name="Продолжить").click()
            await expect(row).to_contain_text("Идёт запись")
            await talk_and_leave(customer, employee)
        await expect(row).to_have_count(0)
        (segment,) = (await fonoteka.settled(before))["recording"]["segments"]
        (pause,) = segment["muted"]
        await page.get_by_role("link", name="Звонки").click()
        found = page.locator("tr.call", has_text=number)
        await found.locator("td.rec button").click()
        await expect(page.locator(".sound .muted")).to_have_count(1)
        await found.locator("td.src").click()
        path = page.locator("tr.path")
        await expect(path).to_contain_text("Запись на паузе: ")
        await expect(path).to_contain_text("Запись продолжается: ")
        minutes, seconds = re.findall(r"(\d+):(\d\d)", await path.locator(".badge").inner_text())[-1]
        assert 60 * int(minutes) + int(seconds) == pytest.approx((pause["to_ms"] - pause["from_ms"]) / 1000, abs=1)


async def test_a_figure_opens_the_calls_that_were_really_made(pbx: LabAsterisk, fonoteka: Fonoteka) -> None:
    """A real call is counted within seconds.

    A figure is the number of rows that it opens, and a file of them holds it.
    """
    before, number = await fonoteka.ids(), str(next(_NUMBERS))
    async with called_by(pbx, number) as (customer, employee):
        await talk_and_leave(customer, employee)
    call = await fonoteka.settled(before)
    async with administrators_page(fonoteka) as page:
        await page.get_by_role("link", name="Статистика").click()
        answered = page.get_by_role("region", name="Входящие. По сотрудникам").locator("tbody tr[data-key='152'] td a").first
        figure = int(await answered.inner_text())
        assert figure >= 1
        await answered.click()
        await expect(page.locator("tr.call")).to_have_count(figure)
        await expect(page.locator("tr.call", has_text=number)).to_have_count(1)
        await page.get_by_role("button", name="Выгрузка").click()
        async with page.expect_download() as downloading:
            await page.get_by_role("menuitem", name="CSV").click()
        lines = (await (await downloading.value).path()).read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 1 + figure
    (mine,) = (line for line in lines if number in line)
    assert f'"{call["dst"]}"' in mine
