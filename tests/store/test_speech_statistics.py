"""Who spoke how long, by employee."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from fonoteka.core.manifest import Speech
from store.database.store import Store
from store.people.accounts import Pbx
from store.queries.calls import page_of_calls
from store.selection.period import period
from store.selection.scope import Scope
from store.selection.selection import Selection, Sort
from store.statistics.speech import SpeechOfEmployee, by_employee
from tests.store.test_call_queries import NOW, ZONE, filled, scope_of

DAY = Selection(period=period(None, None, ZONE, NOW), zone=ZONE)


async def listed(store: Store, scope: Scope, selection: Selection) -> int | None:
    page = await page_of_calls(store, scope, selection, sort=Sort.STARTED_DOWN, after=None, limit=50, now=NOW)
    return page.total


@pytest.mark.parametrize("login", [None, "152"])
async def test_the_calls_with_known_speech_are_added_up(store: Store, pbx: Pbx, login: str | None) -> None:
    """Of call a the recording has 9 s, of call b 1 s; the parties take turns of a second."""
    await filled(store, pbx)
    scope = await scope_of(store, login)
    spoken = Speech(outside_ms=4000, employee_ms=6000, overlap_ms=0, silence_ms=0, longest_silence_ms=0)
    assert await by_employee(store, scope, DAY, NOW) == [SpeechOfEmployee(login="152", name="Петров П.П.", calls=2, speech=spoken)]
    opened = replace(DAY, employee_logins=("152",), silence_min_s=0)
    assert await listed(store, scope, opened) == 2


async def test_a_user_sees_no_speech_of_others(store: Store, pbx: Pbx) -> None:
    await filled(store, pbx)
    assert await by_employee(store, await scope_of(store, "421"), DAY, NOW) == []
    assert await by_employee(store, await scope_of(store, domain="other"), DAY, NOW) == []


async def test_the_report_is_read_from_its_index(store: Store, pbx: Pbx) -> None:
    """SQLite says so of the condition that the report adds to every selection."""
    if store.engine.dialect.name != "sqlite":
        return  # PostgreSQL plans by statistics
    await filled(store, pbx)
    query = """EXPLAIN QUERY PLAN SELECT employee, count(*), sum(spoken_outside_ms), sum(spoken_employee_ms),
        sum(spoken_both_ms), sum(silence_ms), max(longest_silence_ms) FROM calls WHERE domain_id = 1
        AND merged_into IS NULL AND started_at >= 0 AND started_at < 9 AND longest_silence_ms IS NOT NULL GROUP BY employee"""
    async with store.reading() as connection:
        plan = [row.detail for row in await connection.execute(text(query))]
    assert any("ix_calls_speech" in step for step in plan), plan
