"""Batches of a selection add up to it; the audio of many calls equals that of each."""

from datetime import date

import pytest

from store.database.store import Store
from store.people.accounts import Pbx
from store.queries.audio import audio_of, audio_of_calls
from store.queries.calls import page_of_calls
from store.queries.export_reader import all_calls
from store.selection.period import period
from store.selection.selection import Selection, Sort
from tests.store.test_call_queries import NOW, ZONE, filled, scope_of


@pytest.mark.parametrize("login", [None, "152", "421", "130"])
async def test_stretches_and_their_sound(store: Store, pbx: Pbx, login: str | None) -> None:
    await filled(store, pbx)
    scope, everybody = await scope_of(store, login), await scope_of(store)
    for selection in (
        Selection(period=period(date(2026, 11, 21), date(2026, 11, 23), ZONE, NOW), zone=ZONE),
        Selection(period=period(date(2026, 11, 22), date(2026, 11, 22), ZONE, NOW), zone=ZONE, employee="петров"),
        Selection(period=period(date(2026, 11, 20), date(2026, 11, 20), ZONE, NOW), zone=ZONE),
    ):
        for sort in Sort:
            page = await page_of_calls(store, scope, selection, sort=sort, after=None, limit=500, now=NOW)
            for length in (1, 2, 3, 500):
                stretches = [some async for some in all_calls(store, scope, selection, sort=sort, now=NOW, stretch=length)]
                assert all(0 < len(some) <= length for some in stretches)
                assert tuple(seen for some in stretches for seen in some) == page.items
        shown = await page_of_calls(store, everybody, selection, sort=Sort.STARTED_UP, after=None, limit=500, now=NOW)
        each = {seen.call_id: await audio_of(store, scope, seen.public_id) for seen in page.items}
        heard = {call_id: parts for call_id, parts in each.items() if parts}
        # A call outside the scope has no audio, even when it is requested by its key.
        assert await audio_of_calls(store, scope, [seen.call_id for seen in shown.items]) == heard
        assert bool(heard) == (login in (None, "152") and bool(each))
