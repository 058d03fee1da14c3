"""The longest periods and lengths are answered, at little cost."""

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from store.database.store import Store
from store.people.accounts import Pbx
from store.queries.calls import page_of_calls
from store.selection.period import period
from store.selection.scope import Scope, visible_calls
from store.selection.selection import Selection, Sort, conditions
from store.statistics import reports as statistics

_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_SUMMER_TIMES = ZoneInfo("America/New_York")
_EVER = period(date(1971, 1, 1), date(2199, 12, 31), _SUMMER_TIMES, _NOW)


def test_two_centuries_of_summer_times_are_one_condition() -> None:
    selection = Selection(period=_EVER, zone=_SUMMER_TIMES, time_from=time(22), time_to=time(6), weekdays=(1, 3))
    visible = visible_calls(Scope(domain_id=1, login=None))
    statement = str(select(visible.call_id).where(conditions(selection, visible, _NOW)))
    # SQLite takes seconds to plan 201 conditions.
    assert (statement.count("CASE WHEN"), statement.count(" OR ")) == (2, 0)


@pytest.mark.parametrize("length", [{"talk_min_s": 10**9}, {"talk_max_s": 10**9}, {"min_s": 10**9}, {"max_s": 10**9}])
@pytest.mark.parametrize("login", [None, "152"])
async def test_the_longest_length_fits_every_database(store: Store, pbx: Pbx, length: dict[str, Any], login: str | None) -> None:
    scope, selection = Scope(domain_id=1, login=login), Selection(period=_EVER, zone=_SUMMER_TIMES, **length)
    page = await page_of_calls(store, scope, selection, sort=Sort.STARTED_DOWN, after=None, limit=50, now=_NOW)
    assert page.items == ()
    bands, longer = await statistics.by_length(store, scope, selection, 10**9, _NOW)
    assert (sum(band.calls for band in bands), longer) == (0, 0)
