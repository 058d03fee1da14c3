"""Selections of calls, their order and their pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.dialects import sqlite

from fonoteka.core.call_report import CallReport, Direction, Reason, Result
from store.database.schema import domains
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.people.accounts import Pbx
from store.queries.audio import audio_of_calls
from store.queries.calls import Page, live_calls, page_of_calls
from store.queries.page_keys import Place, keys_query
from store.retention.merged_calls import with_merged
from store.selection.period import period
from store.selection.scope import Scope, visible_calls
from store.selection.selection import Kind, Selection, Sort, conditions
from store.statistics.reports import qualities, waits
from tests.data import seed

ZONE = ZoneInfo("Asia/Krasnoyarsk")
NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)  # 21:00 by the domain's clock


def at(clock: str, day: int = 22) -> datetime:
    return datetime.combine(date(2026, 11, day), time.fromisoformat(clock), ZONE)


def table() -> dict[str, CallReport]:
    """The calls for the selections below, by letter."""
    off: dict[str, Any] = {"segments": (), "reason": Reason.USER_OFF}
    out: dict[str, Any] = {"direction": Direction.OUT, "number": None}
    calls = {
        "a": seed.a_call(1, at("00:00:00"), talk_ms=9000),
        "b": seed.but(seed.a_call(2, at("08:00:00"), talk_ms=29499), src="2667788", dst="2458888", number="2458888"),
        "c": seed.unanswered(seed.a_call(3, at("08:59:59.999"))),
        "d": seed.unanswered(seed.a_call(4, at("09:00:00")), Result.BUSY),
        "e": seed.but(seed.a_call(5, at("12:30:00")), src="152", dst="83912667788", answered_by="83912667788", **out, **off),
        "f": seed.but(
            seed.a_call(6, at("13:00:00")), src="421", employee="421", participants=("421",), result=Result.OTHER, **out, **off
        ),
        "g": seed.but(
            seed.a_call(7, at("20:00:00")), direction=Direction.INTERNAL, participants=("152", "421"), answered_by="421", **off
        ),
        "h": seed.but(seed.a_call(8, at("23:59:59.999")), src="Ромашка%_\\", employee=None, participants=(), **off),
        "i": seed.but(seed.a_call(9, at("20:59:30")), ended_at=None),  # goes on: 30 s at NOW
        "y": seed.a_call(10, at("23:59:59.999", day=21)),
        "z": seed.a_call(11, at("00:00:00", day=23)),
    }
    return calls | {"o": seed.but(seed.a_call(12, at("12:00:00")), domain="other", participants=("900",), **off)}


async def filled(store: Store, pbx: Pbx) -> dict[str, str]:
    """Store the calls; return the letters by linkedid."""
    calls = table()
    await upsert_calls(store, pbx, list(calls.values()))
    await seed.ship(store, pbx, calls["a"], (9000,))
    await seed.ship(store, pbx, calls["b"], (1000,))
    return {call.linkedid: letter for letter, call in calls.items()}


async def scope_of(store: Store, login: str | None = None, domain: str = "acme") -> Scope:
    async with store.reading() as connection:
        domain_id = (await connection.execute(select(domains.c.id).where(domains.c.name == domain))).scalar_one()
    return Scope(domain_id=domain_id, login=login)


async def page(
    store: Store, scope: Scope, sort: Sort = Sort.STARTED_UP, after: Place | None = None, limit: int = 500, **wanted: Any
) -> Page:
    within = period(wanted.pop("start", date(2026, 11, 22)), wanted.pop("end", None), ZONE, NOW)
    selection = Selection(period=within, zone=ZONE, **wanted)
    return await page_of_calls(store, scope, selection, sort=sort, after=after, limit=limit, now=NOW)


SELECTIONS: list[tuple[dict[str, Any], str]] = [
    ({}, "abcdefgih"),
    ({"start": None}, "abcdefgih"),
    ({"start": date(2026, 11, 21), "end": date(2026, 11, 21)}, "y"),
    ({"start": date(2026, 11, 21), "end": date(2026, 11, 23)}, "yabcdefgihz"),
    ({"start": None, "end": date(2026, 11, 21)}, "y"),
    ({"start": at("08:00:00"), "end": at("09:00:00")}, "bc"),
    ({"start": datetime(2026, 11, 22, 8), "end": datetime(2026, 11, 22, 9)}, "bc"),  # noqa: DTZ001 (the domain's clock)
    ({"start": datetime(2026, 11, 22, 1, tzinfo=UTC), "end": datetime(2026, 11, 22, 2, tzinfo=UTC)}, "bc"),
    ({"time_from": time(8), "time_to": time(9)}, "bc"),
    ({"time_from": time(9)}, "defgih"),
    ({"time_to": time(9)}, "abc"),
    ({"time_from": time(20), "time_to": time(8)}, "agih"),
    ({"start": date(2026, 11, 21), "end": date(2026, 11, 23), "time_from": time(23), "time_to": time(0)}, "yh"),
    ({"min_s": 10, "max_s": 10}, "a"),
    ({"min_s": 30}, "bi"),
    ({"min_s": 30, "max_s": 30}, "bi"),
    ({"max_s": 6}, "cdefgh"),
    ({"silence_min_s": 0}, "ab"),
    ({"silence_min_s": 1}, ""),
    ({"employee_share_min": 50}, "ab"),
    ({"employee_share_min": 60}, "b"),
    ({"directions": (Direction.OUT,)}, "ef"),
    ({"directions": (Direction.OUT, Direction.INTERNAL)}, "efg"),
    ({"results": (Result.BUSY, Result.NO_ANSWER)}, "cd"),
    ({"kind": Kind.IN}, "abcdih"),
    ({"kind": Kind.OUT}, "ef"),
    ({"kind": Kind.INTERNAL}, "g"),
    ({"kind": Kind.MISSED}, "cd"),
    ({"kind": Kind.MISSED_NOT_CALLED_BACK}, "cd"),
    ({"kind": Kind.RECORDED}, "ab"),
    ({"recorded": True}, "ab"),
    ({"recorded": False}, "cdefgih"),
    ({"users": ("421",)}, "fg"),
    ({"users": ("421", "152")}, "abcdefgi"),
    ({"users": ("nobody",)}, ""),
    ({"numbers": ("2458888",)}, "b"),
    ({"numbers": ("2458888", "2458152")}, "abcdgih"),
    ({"src": "66778"}, "b"),
    ({"src": "ромашка"}, "h"),
    ({"src": "РОМАШКА"}, "h"),
    ({"src": "%"}, "h"),
    ({"src": "_\\"}, "h"),
    ({"dst": "88"}, "be"),
    ({"answered_by": "391"}, "e"),
    ({"employee": "петров"}, "abcdegi"),
    ({"employee": "СОЛДАТОВ"}, "f"),
    ({"employee": "42"}, "f"),
    (
        {"kind": Kind.IN, "recorded": True, "src": "266", "min_s": 20, "users": ("152",), "time_from": time(8), "time_to": time(9)},
        "b",
    ),
    ({"kind": Kind.IN, "directions": (Direction.OUT,)}, ""),
]


async def test_each_selection_finds_its_calls(store: Store, pbx: Pbx) -> None:
    letters, scope = await filled(store, pbx), await scope_of(store)
    for wanted, expected in SELECTIONS:
        got = await page(store, scope, **wanted)
        assert "".join(letters[call.linkedid] for call in got.items) == expected, wanted
        assert (got.total, got.total_is_exact) == (len(expected), True), wanted


async def test_nothing_outside_the_scope_is_visible(store: Store, pbx: Pbx) -> None:
    letters = await filled(store, pbx)
    expected = {("152", "acme"): "abcdegi", ("421", "acme"): "fg", ("130", "acme"): "", (None, "other"): "o", ("152", "other"): ""}
    for (login, domain), calls in expected.items():
        scope = await scope_of(store, login, domain)
        for wanted in ({}, {"users": ("152", "421", "900")}, {"recorded": False}, {"recorded": True}):
            got = await page(store, scope, **wanted)
            assert {letters[call.linkedid] for call in got.items} <= set(calls), (login, domain, wanted)
        assert "".join(letters[call.linkedid] for call in (await page(store, scope)).items) == calls


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (Sort.STARTED_UP, "abcdefgih"),
        (Sort.STARTED_DOWN, "higfedcba"),
        (Sort.DURATION_UP, "cdefghabi"),
        (Sort.DURATION_DOWN, "ibahgfedc"),
    ],
)
async def test_pages_follow_each_other_without_gap_or_repeat(store: Store, pbx: Pbx, sort: Sort, expected: str) -> None:
    letters, scope, after, listed = await filled(store, pbx), await scope_of(store), None, ""
    while True:
        got = await page(store, scope, sort, after, limit=2)
        listed += "".join(letters[call.linkedid] for call in got.items)
        # A call that arrives meanwhile is newer than the first page, and in progress.
        newcomer = seed.but(seed.a_call(100 + len(listed), at("20:59:59.999")), ended_at=None)
        if sort is not Sort.STARTED_UP:
            letters[newcomer.linkedid] = "" if sort is Sort.STARTED_DOWN else "!"
        if sort is Sort.STARTED_DOWN:
            await upsert_calls(store, pbx, [newcomer])
        if got.next is None:
            break
        after = got.next
    assert listed.replace("!", "") == expected


async def test_only_counters_count_more_than_ten_thousand_calls(store: Store, pbx: Pbx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.selection.bounded_count.COUNTED_UP_TO", 8)
    await filled(store, pbx)
    some = await page(store, await scope_of(store), min_s=0, limit=2)
    assert (some.total, some.total_is_exact) == (8, False)
    from_counters = await page(store, await scope_of(store))
    assert (from_counters.total, from_counters.total_is_exact) == (9, True)


async def test_a_list_is_read_in_the_order_of_an_index(store: Store, pbx: Pbx) -> None:
    """Without sorting and scanning, a page is fast among tens of millions of calls."""
    if store.engine.dialect.name != "sqlite":
        return  # PostgreSQL plans by statistics, and rightly sorts a dozen rows
    await filled(store, pbx)
    for login, index in ((None, "COVERING INDEX ix_calls_"), ("152", "ix_participants_domain_id_login_started_at_call_id")):
        plan = await plan_of_first_page(store, await scope_of(store, login))
        assert any(index in line for line in plan), plan
        assert not any(line.startswith("SCAN calls") for line in plan), plan
        assert not any("TEMP B-TREE" in line for line in plan), plan


async def test_waits_are_read_from_their_index_alone(store: Store, pbx: Pbx) -> None:
    if store.engine.dialect.name != "sqlite":
        return  # PostgreSQL plans by statistics
    await filled(store, pbx)
    scope, today = await scope_of(store), Selection(period=period(None, None, ZONE, NOW), zone=ZONE)
    with statements(store) as executed:
        await waits(store, scope, today, 20, NOW)
        names: list[dict[str, Any]] = [{"queue": "sal"}, {"queue_names": ("sales",)}, {"trunk_names": ("PJSIP/trunk",)}]
        for filters in (*names, {"wait_min_s": 20}):
            await page(store, scope, **filters)
    queries = [(sql, values) for sql, values in executed if "calls.wait_ms" in sql or "calls.queue" in sql or "calls.trunk" in sql]
    async with store.reading() as connection:
        plans = [
            [row.detail for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
            for sql, values in queries
            if "calls.public_id" not in sql
        ]
    assert len(plans) == 5
    for plan in plans:
        assert any("COVERING INDEX ix_calls_waiting (domain_id=? AND started_at>? AND started_at<?)" in line for line in plan), plan


async def test_qualities_are_read_from_their_index_alone(store: Store, pbx: Pbx) -> None:
    if store.engine.dialect.name != "sqlite":
        return  # PostgreSQL plans by statistics
    await filled(store, pbx)
    scope, today = await scope_of(store), Selection(period=period(None, None, ZONE, NOW), zone=ZONE)
    with statements(store) as executed:
        await qualities(store, scope, today, 4.0, NOW)
        await page(store, scope, mos_below=4.0)
    queries = [(sql, values) for sql, values in executed if "calls.quality_mos" in sql and "calls.public_id" not in sql]
    async with store.reading() as connection:
        plans = [
            [row.detail for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)] for sql, values in queries
        ]
    assert len(plans) >= 2
    for plan in plans:
        assert any("ix_calls_quality (domain_id=? AND started_at>? AND started_at<?)" in line for line in plan), plan


async def test_calls_in_progress_are_read_by_their_index(store: Store, pbx: Pbx) -> None:
    """The few in progress are not searched among tens of thousands of ended calls of a day."""
    if store.engine.dialect.name != "sqlite":
        return  # PostgreSQL plans by statistics
    await filled(store, pbx)
    with statements(store) as executed:
        await live_calls(store, await scope_of(store), NOW)
    sql, values = next(executed for executed in executed if "ended_at IS NULL" in executed[0])
    async with store.reading() as connection:
        plan = [row.detail for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert any("ix_calls_in_progress" in line for line in plan), plan
    assert not any("TEMP B-TREE" in line for line in plan), plan


async def test_known_calls_are_read_by_key(store: Store, pbx: Pbx) -> None:
    """Archives, erasure and retention read some calls at a time, not all calls of the domain."""
    if store.engine.dialect.name != "sqlite":
        return  # PostgreSQL plans by statistics
    await filled(store, pbx)
    domain = await scope_of(store)
    with statements(store) as executed:
        for login in (None, "152"):
            await audio_of_calls(store, await scope_of(store, login), range(1, 51))
        async with store.reading() as connection:
            await with_merged(connection, domain.domain_id, range(1, 51))
    queries = [(sql, values) for sql, values in executed if " IN (" in sql]
    assert len(queries) == 4
    async with store.reading() as connection:
        for sql, values in queries:
            plan = [row.detail for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
            read_by_domain = [line for line in plan if "(domain_id=?" in line and "merged_into=?" not in line]
            assert not read_by_domain, plan


@contextmanager
def statements(store: Store) -> Iterator[list[tuple[str, Any]]]:
    """Collect the statements that the block executes, with their values."""
    executed: list[tuple[str, Any]] = []

    def collect(_connection: Any, _cursor: Any, sql: str, values: Any, *_: Any) -> None:
        executed.append((sql, values))

    event.listen(store.engine.sync_engine, "before_cursor_execute", collect)
    try:
        yield executed
    finally:
        event.remove(store.engine.sync_engine, "before_cursor_execute", collect)


async def plan_of_first_page(store: Store, scope: Scope) -> list[str]:
    visible = visible_calls(scope)
    selection = Selection(period=period(None, None, ZONE, NOW), zone=ZONE)
    query = keys_query(store.engine.dialect, visible, conditions(selection, visible, NOW), Sort.STARTED_DOWN, None, NOW, 50)
    sql = str(query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    async with store.reading() as connection:
        return [row.detail for row in await connection.execute(text(f"EXPLAIN QUERY PLAN {sql}".replace(":", "\\:")))]


async def test_hours_at_the_change_to_winter_time(store: Store, pbx: Pbx) -> None:
    """The hour that occurs twice is found twice, the hour that is skipped never."""
    zone = ZoneInfo("Europe/Berlin")
    calls = {hour: seed.a_call(hour, datetime(2026, 10, 25, 0, 30, tzinfo=UTC) + timedelta(hours=hour)) for hour in range(3)}
    await upsert_calls(store, pbx, list(calls.values()))
    within = period(date(2026, 10, 24), date(2026, 10, 26), zone, NOW)
    got = [
        len(
            (await page_of_calls(store, await scope_of(store), selection, sort=Sort.STARTED_UP, after=None, limit=9, now=NOW)).items
        )
        for hour in range(1, 5)
        for selection in [Selection(period=within, zone=zone, time_from=time(hour), time_to=time(hour + 1))]
    ]
    assert got == [0, 2, 1, 0]


async def test_the_filter_employee_finds_former_users(store: Store, pbx: Pbx) -> None:
    await filled(store, pbx)
    left = seed.but(
        seed.a_call(20, at("12:30:00")), employee="Ушёл-7", participants=("Ушёл-7",), segments=(), reason=Reason.USER_OFF
    )
    await upsert_calls(store, pbx, [left])
    scope = await scope_of(store)
    assert [call.linkedid for call in (await page(store, scope, employee="ушёл")).items] == [left.linkedid]
    nobody = await page(store, scope, employee="нет такого")
    assert (nobody.items, nobody.total, nobody.total_is_exact) == ((), 0, True)
