"""Merged calls: one row with the recordings of both, in any order of arrival."""

from dataclasses import replace
from datetime import time, timedelta
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fonoteka.core.call_report import CallReport, RecordingState
from fonoteka.core.naming import call_id
from store.audit.write import Actor
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.people.accounts import Pbx
from store.queries.calls import page_of_calls
from store.retention.legal_hold import set_legal_hold
from store.selection.period import Period
from store.selection.selection import Kind, Selection, Sort
from tests.data import seed
from tests.store.test_audit_queries import scope_of
from tests.store.test_intake import BEGIN, seen, take

CUSTOMER, ASKING = seed.a_call(1, BEGIN), seed.a_call(2, BEGIN + timedelta(seconds=10))
LATER = max(CUSTOMER.revision, ASKING.revision) + 10
MERGED = replace(CUSTOMER, revision=LATER, segments=(*CUSTOMER.segments, *ASKING.segments))
PART = replace(ASKING, revision=LATER, segments=(), merged_into=CUSTOMER.linkedid)


@pytest.mark.parametrize("order", list(permutations(("customer's audio", "asking's audio", "merge"))), ids=" ".join)
async def test_one_row_has_the_recordings_of_both(store: Store, pbx: Pbx, order: tuple[str, ...]) -> None:
    await upsert_calls(store, pbx, [CUSTOMER, ASKING])
    for step in order:
        if step == "merge":
            await upsert_calls(store, pbx, [MERGED, PART])
        else:
            await take(store, pbx, CUSTOMER if step.startswith("customer") else ASKING)
    shown = await seen(store, CUSTOMER)
    assert shown is not None
    assert shown.recording.state is RecordingState.READY
    assert shown.recording.duration_ms == 10_000
    assert await seen(store, ASKING) is None
    assert await seen(store, ASKING, "152") is None


@pytest.mark.parametrize("batch", [[MERGED, PART], [MERGED]], ids=["merge", "its first half"])
async def test_a_legal_hold_passes_to_the_call_that_a_call_is_merged_into(store: Store, pbx: Pbx, batch: list[CallReport]) -> None:
    await upsert_calls(store, pbx, [CUSTOMER, replace(ASKING, ended_at=None)])
    scope, by = await scope_of(store), Actor(login="900", address="127.0.0.1")
    assert await set_legal_hold(store, scope, call_id(ASKING.pbx, ASKING.linkedid), legal_hold=True, why="", by=by, now=BEGIN)
    await upsert_calls(store, pbx, batch)
    shown = await seen(store, CUSTOMER)
    assert shown is not None
    assert shown.legal_hold


@pytest.mark.parametrize("report", [ASKING, PART])
async def test_a_late_report_of_the_merged_call_changes_nothing(store: Store, pbx: Pbx, report: CallReport) -> None:
    await upsert_calls(store, pbx, [CUSTOMER, ASKING])
    await upsert_calls(store, pbx, [MERGED, PART])
    await upsert_calls(store, pbx, [report])
    assert await seen(store, ASKING) is None
    shown = await seen(store, CUSTOMER)
    assert shown is not None
    assert shown.recording.state is RecordingState.PROCESSING


@pytest.mark.parametrize("filters", [{}, {"time_from": time()}, {"recorded": False}, {"kind": Kind.IN}, {"min_s": 0}], ids=str)
@pytest.mark.parametrize("login", ["152", None])
async def test_a_users_list_has_no_merged_call(store: Store, pbx: Pbx, login: str | None, filters: dict[str, Any]) -> None:
    await upsert_calls(store, pbx, [CUSTOMER, ASKING])
    await upsert_calls(store, pbx, [MERGED, PART])
    scope = replace(await scope_of(store), login=login)
    within, zone = Period(start=BEGIN - timedelta(days=1), end=BEGIN + timedelta(days=1)), ZoneInfo("Asia/Krasnoyarsk")
    selection = Selection(period=within, zone=zone, users=() if login else ("152",), **filters)
    for sort in Sort:
        listed = await page_of_calls(store, scope, selection, sort=sort, after=None, limit=50, now=BEGIN)
        assert [(call.linkedid, listed.total) for call in listed.items] == [(CUSTOMER.linkedid, 1)]
