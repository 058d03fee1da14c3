"""The calls that `bench/copied_weeks.py` copies are such as the store writes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import func, select, text

from bench.copied_weeks import TAKEN, WEEKS
from bench.office_history import COMPANIES, history
from bench.portal_queries import fill
from fonoteka.core.config import StoreSection
from store.database.later_indexes import LATER_INDEXES
from store.database.schema import call_paths, calls, domains, participants, segments
from store.database.store import Store
from store.integrity.counter_check import counter_steps
from tests.support.new_stores import create_database, drop_database

HISTORY = history(8000, datetime(2026, 11, 28, 9, 30, tzinfo=UTC))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def copied(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    """A store with half a year of calls: the intake took the last week, the rest are copies."""
    name, folder = f"test_{uuid4().hex}", tmp_path_factory.mktemp("copied")
    await create_database(postgresql, name, "migrated")
    section = StoreSection(database=f"{postgresql}/{name}", objects=f"file://{folder}/objects")
    await fill(section, HISTORY, copied=True)
    store = await Store.open(section)
    yield store
    await store.close()
    await drop_database(postgresql, name)


async def test_every_company_has_as_many_calls_in_each_week(copied: Store) -> None:
    week = {name: len(list(of)) for name, of in groupby(HISTORY.last_week(WEEKS, TAKEN), lambda call: call.domain)}
    by_domain = select(domains.c.name, func.count()).join(calls, calls.c.domain_id == domains.c.id).group_by(domains.c.name)
    async with copied.reading() as connection:
        counts = {name: number for name, number in await connection.execute(by_domain)}  # noqa: C416 (a row is no tuple to mypy)
        first, last = (await connection.execute(select(func.min(calls.c.started_at), func.max(calls.c.started_at)))).one()
    assert len(week) == TAKEN and len(counts) == COMPANIES
    assert {name: counts[name] for name in week} == {name: number * WEEKS for name, number in week.items()}
    assert {counts[name] for name in counts.keys() - {HISTORY.companies[0].name}} == {week["company1"] * WEEKS}
    assert timedelta(days=175) < last - first <= timedelta(days=182)


async def test_the_rows_are_in_the_order_of_time_and_have_their_parts_and_indexes(copied: Store) -> None:
    out_of_order = (
        "SELECT count(*) FROM calls AS one JOIN calls AS next ON next.id = one.id + 1 AND next.started_at < one.started_at"
    )
    indexes = text("SELECT indexname FROM pg_indexes WHERE tablename = 'calls'")
    async with copied.reading() as connection:
        assert (await connection.execute(text(out_of_order))).scalar_one() == 0
        number = (await connection.execute(select(func.count()).select_from(calls))).scalar_one()
        parts = {
            table.name: (await connection.execute(select(func.count(table.c.call_id.distinct())))).scalar_one()
            for table in (call_paths, participants, segments)
        }
        present = set((await connection.execute(indexes)).scalars())
    assert parts["call_paths"] == parts["participants"] == number > parts["segments"] > number / 2
    assert present >= {"ix_calls_list", "ix_calls_missed", *LATER_INDEXES}


@pytest.mark.parametrize("after", ["0:0", f"{COMPANIES - 1}:0"], ids=["the first company", "the last ones"])
async def test_the_counters_are_what_counting_the_calls_gives(copied: Store, after: str) -> None:
    months = 0
    async for step in counter_steps(copied, after):
        months += 1
        assert step.found == []
        if months == 6:
            break
    assert months == 6
