"""A portal of its own for the reports.

Two weeks of calls of every kind, many employees and numbers, none of them by chance.

The fixtures here take the place of conftest's in the modules that import them.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from fonoteka.core.call_report import CallReport, Direction, Quality, Result
from fonoteka.core.manifest import Speech
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.people.accounts import pbx_of
from tests.data import seed
from tests.portal.browser import rows, settled
from tests.portal.own_server import admin_token, context
from tests.portal.served import Served, filled, serving

__all__ = [
    "admin_token",
    "complete",
    "context",
    "counted",
    "drawn",
    "figure",
    "look",
    "opened",
    "report",
    "served",
    "two_weeks",
]

CALLS = 700
_ROWS_OF_PAGE = 50
_BATCH = 200
_PEOPLE = ("152", "421", "130", "777", None, *(f"5{one:02}" for one in range(90)))
_LINES = ("2458888", "2458152", "2458421", None, *(f"24600{one:02}" for one in range(30)))
_TALKS_MS = (400, 3_000, 29_400, 29_500, 30_000, 45_000, 59_000, 179_499, 179_500, 600_000, 900_000)


def two_weeks(now: datetime, count: int = CALLS) -> Iterator[CallReport]:
    """Calls that ended before `now`: half in two days, the rest in the twelve days before."""
    chance = Random(391)  # noqa: S311 (no secret)
    for number in range(count):
        ago_s = chance.randrange(1_000, 30 * 3600 if number % 2 else 13 * 86_400)
        who, line = chance.choice(_PEOPLE[: 5 if number % 3 else None]), chance.choice(_LINES[: 4 if number % 3 else None])
        call = seed.a_call(80_000 + number, now - timedelta(seconds=ago_s), talk_ms=chance.choice(_TALKS_MS))
        outside = f"8913{chance.randrange(40):07d}"
        direction = chance.choice((Direction.IN, Direction.IN, Direction.OUT, Direction.OUT, Direction.INTERNAL))
        parties = {"dst": outside, "src": who or "152"} if direction is Direction.OUT else {"src": outside}
        fields: dict[str, Any] = {"employee": who, "number": line, "participants": (who,) if who else (), "segments": ()}
        if direction is Direction.IN:
            mos = (4.3, 3.95, 3.05, None)[number // 3 % 4]
            fields["quality"] = mos and Quality(mos=mos, loss_pct=10 * (4.4 - mos), jitter_ms=2, rtt_ms=None)
            fields |= {"queue": ("sales", "support", None)[number % 3], "wait_ms": (4_000, 19_000, 31_000, None)[number // 2 % 4]}
        call = seed.but(call, direction=direction, **parties, **fields)
        result = chance.choice((Result.ANSWERED, Result.ANSWERED, Result.ANSWERED, Result.NO_ANSWER, Result.BUSY, Result.OTHER))
        yield call if result is Result.ANSWERED else seed.unanswered(call, result)


async def with_speech(folder: Path, now: datetime, count: int) -> None:
    """Fill the store, with four calls whose recordings tell who spoke; one has no employee."""
    await filled(folder, now, count)
    store = await Store.open(seed.section(folder), sweep=True)
    try:
        pbx = await pbx_of(store, seed.PBX_TOKEN)
        assert pbx is not None
        for number, (who, silence_ms) in enumerate((("152", 700), ("152", 12_300), ("421", 0), (None, 0))):
            call = seed.a_call(90_000 + number, now - timedelta(minutes=5 + number))
            segment = seed.but(call.segments[0], user=who or "130")
            call = seed.but(call, employee=who, participants=(segment.user,), segments=(segment,))
            spoken = {"outside_ms": 1_500, "employee_ms": 1_000 * (1 + number), "overlap_ms": 500}
            speech = Speech(**spoken, silence_ms=silence_ms, longest_silence_ms=silence_ms, first_word_ms=0)
            await upsert_calls(store, pbx, [call])
            await seed.ship(store, pbx, call, (call.talk_ms,), speech=speech)
    finally:
        await store.close()


def tell(served: Served, calls: Iterator[CallReport]) -> None:
    """Ship them as an agent does."""
    reports = list(calls)
    for start in range(0, len(reports), _BATCH):
        served.report(*reports[start : start + _BATCH])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The portal on two weeks of calls; tests leave it as they found it."""
    with serving(tmp_path_factory.mktemp("reported") / "store", count=0, filled=with_speech) as one:
        # The same hours at any minute.
        tell(one, two_weeks(one.now.replace(minute=0, second=0, microsecond=0)))
        yield one


@pytest.fixture
def report(reader: Page) -> Page:
    """The administrator's report of today."""
    look(reader, "/stats")
    return reader


def look(page: Page, address: str) -> None:
    """Go to a report, and wait for all its figures and charts."""
    page.goto(address)
    complete(page)


def complete(page: Page) -> None:
    """Wait for all figures and charts of a report."""
    counted(page)
    drawn(page)


def counted(page: Page) -> None:
    """Wait for all figures of a report."""
    expect(page.locator("section.block")).to_have_count(18)
    expect(page.locator("section[aria-busy='true']")).to_have_count(0)
    expect(page.locator("section.block .skeletons")).to_have_count(0)


def drawn(page: Page) -> None:
    """Wait for all charts of a report.

    Those that are far down are drawn when the reader comes near.
    """
    at = page.evaluate("() => scrollY")
    for chart in page.locator(".chart").all():
        if chart.get_attribute("data-drawn") == "false":
            chart.scroll_into_view_if_needed()
            expect(chart).to_have_attribute("data-drawn", "true")
    page.evaluate("at => scrollTo(0, at)", at)


def figure(text: str) -> int:
    """`1 234` → 1234."""
    return int("".join(text.split()))


def opened(page: Page) -> int:
    """How many calls the list has that a click has opened, as the reader sees it."""
    expect(page.locator("table[aria-busy='false'] tbody tr.call, .nothing").first).to_be_visible()
    settled(page)
    shown = page.locator("nav[aria-label='Страницы'] .shown")
    if rows(page).count() >= _ROWS_OF_PAGE:
        expect(shown).to_be_visible()  # the pager comes after the rows
    return figure(shown.inner_text().partition("из")[2]) if shown.count() else rows(page).count()
