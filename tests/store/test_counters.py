"""Statistics from counters equal those from calls after any sequence of changes."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import delete, select

from fonoteka.core.call_report import CallReport, Direction, Result
from fonoteka.core.errors import IntakeDeferred, IntakeRefused
from store.database.counter_tables import group_counters, hour_counters
from store.database.schema import calls, domains
from store.database.store import Store
from store.intake.counters import Unit, day_number, hour_began_ms
from store.intake.intake import store_recording, upsert_calls
from store.intake.write_counters import rebuild_counters
from store.people.accounts import Pbx
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from store.queries.calls import page_of_calls
from store.retention.removal import remove_calls
from store.selection.period import period
from store.selection.scope import Scope
from store.selection.selection import Kind, Selection, Sort
from store.statistics import reports as statistics
from store.statistics.counters_read import split_into_days_and_months
from tests.data import seed
from tests.store.test_intake import AUDIO, NOW, chunks

ZONES = ("Asia/Krasnoyarsk", "Asia/Kolkata", "Australia/Lord_Howe", "Europe/Berlin")
# Lord Howe changes its clock by half an hour on 4 October, Berlin by an hour on the 25th.
MOMENTS = [
    datetime(2026, 10, day, hour, minute, 59, 999000, tzinfo=UTC)
    for day in (3, 24, 25, 31)
    for hour in (14, 15, 16, 17, 23)
    for minute in (14, 29, 44, 59)
] + [
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 0, tzinfo=UTC),
]
OUTSIDE = ("89131234567", "+79131234567", "84951112233", "anonymous")
LENGTHS_MS = (0, 400, 29_499, 29_500, 59_500, 179_500, 599_499, 599_500, 10**6)


@some.composite
def reports(draw: some.DrawFn) -> CallReport:
    """Any report of one of six calls."""
    number, revision = draw(some.integers(0, 5)), draw(some.integers(1, 9))
    call = seed.a_call(number, draw(some.sampled_from(MOMENTS)), talk_ms=draw(some.sampled_from(LENGTHS_MS)))
    who = draw(some.sampled_from(("152", "421", None)))
    fields: dict[str, Any] = {
        "revision": revision,
        "direction": draw(some.sampled_from(Direction)),
        "result": draw(some.sampled_from(Result)),
        "employee": who,
        "participants": (who,) if who else (),
        "number": draw(some.sampled_from(("2458888", "2458152", None))),
        "src": draw(some.sampled_from(OUTSIDE)),
        "dst": draw(some.sampled_from(OUTSIDE)),
        "answered_at": draw(some.sampled_from((None, call.answered_at, draw(some.sampled_from(MOMENTS))))),
        "ended_at": draw(some.sampled_from((None, call.ended_at))),
        "domain": draw(some.sampled_from(("acme", "acme", "acme", "other"))),
        "merged_into": draw(some.sampled_from((None, None, None, "1795391022.0"))),
    }
    return replace(call, **fields)


STEPS = some.lists(
    some.one_of(
        some.tuples(some.just("report"), some.lists(reports(), min_size=1, max_size=4)),
        some.tuples(some.just("record"), some.integers(0, 5)),
        some.tuples(some.just("remove"), some.integers(0, 5)),
        some.tuples(some.just("zone"), some.sampled_from(ZONES)),
    ),
    max_size=8,
)
SELECTIONS: list[dict[str, Any]] = [
    {},
    {"end": date(2026, 10, 24)},
    {"start": date(2026, 10, 25)},
    {"time_from": time(1), "time_to": time(3)},
    {"time_from": time(22), "time_to": time(2)},
    {"start": datetime(2026, 10, 3, 2), "end": datetime(2026, 10, 25, 3)},  # noqa: DTZ001 (the domain's clock)
    {"weekdays": (6, 7)},
    {"directions": (Direction.OUT,)},
    {"results": (Result.ANSWERED, Result.BUSY)},
    {"kind": Kind.IN},
    {"kind": Kind.MISSED, "results": (Result.BUSY,)},
    {"kind": Kind.MISSED_CALLED_BACK},
    {"kind": Kind.MISSED_NOT_CALLED_BACK, "directions": (Direction.IN, Direction.OUT)},
    {"kind": Kind.RECORDED},
    {"min_s": 30},
    {"min_s": 1, "max_s": 600, "kind": Kind.OUT, "time_from": time(15)},
    {"talk_min_s": 30, "start": date(2026, 10, 25)},
    {"max_s": 59, "talk_max_s": 29, "results": (Result.ANSWERED,)},
    {"min_s": 10**6, "talk_max_s": 10**6},
    {"recorded": True},
    {"recorded": False},
    {"numbers": ("2458888",)},
    {"employee_logins": ("152",), "kind": Kind.OUT},
    {"numbers": ("2458888", "2458152"), "employee_logins": ("421",)},
]


ASKED = some.lists(some.sampled_from(SELECTIONS), min_size=3, max_size=3)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, zone=some.sampled_from(ZONES), asked=ASKED)
async def test_counters_give_the_same_statistics_as_calls(
    store: Store, pbx: Pbx, steps: list[tuple[str, Any]], zone: str, asked: list[dict[str, Any]]
) -> None:
    await check_statistics(store, pbx, steps, zone, asked)


async def check_statistics(store: Store, pbx: Pbx, steps: list[tuple[str, Any]], zone: str, asked: list[dict[str, Any]]) -> None:
    await delete_calls(store)
    zone = await perform(store, pbx, zone, [("zone", zone), *steps])
    before = await counters(store)
    async with store.writing() as connection:
        for domain_id in (await connection.execute(select(domains.c.id))).scalars():
            await connection.run_sync(rebuild_counters, domain_id)
    assert before == await counters(store)
    for wanted in asked:
        from_counters = await all_statistics(store, zone, wanted)
        with without_counters():
            assert from_counters == await all_statistics(store, zone, wanted), wanted
    if not any(what == "remove" for what, _ in steps):
        await check_called_back(store)


async def perform(store: Store, pbx: Pbx, zone: str, steps: list[tuple[str, Any]]) -> str:
    """Perform the steps; return the final zone of the domain acme."""
    for what, value in steps:
        if what == "report":
            await upsert_calls(store, pbx, value)
        elif what == "record":
            call = seed.a_call(value, MOMENTS[0])
            manifest, made = seed.manifest_of(replace(call, revision=0), call.segments[0]), seed.mixed_of(AUDIO, 5000)
            with suppress(IntakeRefused, IntakeDeferred):  # a merged call, and the other does not have the segment
                await store_recording(store, pbx, manifest, made, seed.peaks(5000), chunks(AUDIO), NOW)
        elif what == "remove":
            async with store.writing() as connection:
                selected = calls.c.linkedid == seed.a_call(value, MOMENTS[0]).linkedid
                for row in (await connection.execute(select(calls.c.id, calls.c.domain_id).where(selected))).all():
                    await remove_calls(connection, row.domain_id, [row.id], NOW)
        else:
            zone = value
            await apply(store, parse_directory(seed.DIRECTORY.replace("Asia/Krasnoyarsk", zone), source="test"))
    return zone


async def delete_calls(store: Store) -> None:
    async with store.writing() as connection:
        for table in (calls, hour_counters, group_counters):
            await connection.execute(delete(table))


async def counters(store: Store) -> set[tuple[Any, ...]]:
    """The rows of counters that are not zero."""
    async with store.reading() as connection:
        return {
            (table.name, *row)
            for table in (hour_counters, group_counters)
            for row in await connection.execute(select(table))
            if any(list(row)[len(table.primary_key) :])
        }


async def all_statistics(store: Store, zone: str, wanted: dict[str, Any]) -> tuple[Any, ...]:
    """All statistics of a selection."""
    async with store.reading() as connection:
        domain_id = (await connection.execute(select(domains.c.id).where(domains.c.name == "acme"))).scalar_one()
    clock, scope = ZoneInfo(zone), Scope(domain_id=domain_id, login=None)
    more = {"start": date(2026, 10, 1), "end": date(2026, 11, 10)} | wanted
    within = period(more.pop("start"), more.pop("end"), clock, NOW)
    selection = Selection(period=within, zone=clock, **more)
    # Pages of one call: a first page that is also the last is not counted.
    page = await page_of_calls(store, scope, selection, sort=Sort.STARTED_UP, after=None, limit=1, now=NOW)
    assert page.total_is_exact
    return (
        page.total,
        await statistics.by_hour(store, scope, selection, NOW),
        await statistics.by_party(store, scope, selection, Direction.IN, NOW),
        await statistics.by_party(store, scope, selection, Direction.OUT, NOW),
        await statistics.by_length(store, scope, selection, 29, NOW),
        await statistics.call_backs(store, scope, selection, NOW),
    )


@contextmanager
def without_counters() -> Iterator[None]:
    """Answer from the calls, as if there were no counters."""

    async def unanswered(*_: object) -> None:
        return None

    with pytest.MonkeyPatch.context() as patch:
        for name in ("select_hours", "select_groups", "select_counters"):
            patch.setattr(f"store.statistics.from_counters.{name}", lambda *_: None)
        patch.setattr("store.queries.calls.count_calls", unanswered)
        yield


async def check_called_back(store: Store) -> None:
    async with store.reading() as connection:
        rows = (await connection.execute(select(calls).where(calls.c.merged_into.is_(None)))).all()
    for row in rows:
        missed = row.direction == Direction.IN and row.result != Result.ANSWERED and row.outside_number is not None
        reached = (
            other.answered_at
            for other in rows
            if (other.domain_id, other.outside_number, other.direction, other.result)
            == (row.domain_id, row.outside_number, Direction.OUT, Result.ANSWERED)
            if other.answered_at is not None and other.answered_at > row.started_at
        )
        assert row.called_back_at == (min(reached, default=None) if missed else None)


def test_an_hour_in_which_the_clock_changes_by_half_an_hour() -> None:
    """2:00 becomes 2:30, so the hour begins at 2:30; the hour before it is complete."""
    zone, put = ZoneInfo("Australia/Lord_Howe"), datetime(2026, 10, 3, 15, 30, tzinfo=UTC)
    began = [hour_began_ms(put + timedelta(minutes=minutes), zone) for minutes in (-61, -60, -1, 0, 29, 30)]
    minutes = [(ms - put.timestamp() * 1000) / 60_000 for ms in began]
    assert minutes == [-120, -60, -60, 0, 0, 30]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (date(2026, 1, 1), date(2026, 2, 1), {(Unit.MONTH, 672, 673)}),
        (date(2026, 1, 2), date(2026, 2, 1), {(Unit.DAY, 20455, 20485)}),
        (date(2026, 1, 31), date(2026, 3, 2), {(Unit.DAY, 20484, 20485), (Unit.MONTH, 673, 674), (Unit.DAY, 20513, 20514)}),
        (date(2025, 12, 31), date(2026, 1, 1), {(Unit.DAY, 20453, 20454)}),
        (date(2025, 11, 15), date(2025, 12, 15), {(Unit.DAY, 20407, 20437)}),
    ],
)
def test_days_and_months(first: date, last: date, expected: set[tuple[Unit, int, int]]) -> None:
    parts = {(unit, begin, end) for unit, begin, end in split_into_days_and_months(first, last) if begin < end}
    assert parts == expected
    days = sum(end - begin for unit, begin, end in parts if unit is Unit.DAY)
    assert days + sum(31 if begin == 672 else 28 for unit, begin, _ in parts if unit is Unit.MONTH) == day_number(
        last
    ) - day_number(first)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"min_s": 0}, "ended day-long going-on just-begun days-long"),
        ({"min_s": 31}, "ended day-long going-on days-long"),
        ({"min_s": 32}, "day-long going-on days-long"),
        ({"max_s": 31}, "ended just-begun"),
        ({"max_s": 10}, "just-begun"),
        ({"min_s": 4 * 86_400 + 1}, "day-long"),
        ({"min_s": 1, "max_s": 3 * 86_400}, "ended going-on just-begun"),
        ({"talk_min_s": 6, "max_s": 100}, "ended"),
        ({"talk_max_s": 5}, "going-on just-begun days-long"),
        ({"min_s": 32, "time_from": time(22)}, "going-on"),
    ],
)
async def test_reports_by_length_include_calls_in_progress(store: Store, pbx: Pbx, wanted: dict[str, Any], expected: str) -> None:
    """The reports count as many calls as the list has. `NOW` is midnight in Krasnoyarsk."""
    day = timedelta(days=1)
    ended = [
        seed.a_call(1, NOW - day, talk_ms=30_000),  # ended: 31 s
        seed.a_call(2, NOW - 6 * day, talk_ms=5 * 86_400_000),  # day-long: 5 days
    ]
    began = (NOW - timedelta(seconds=3603), NOW - timedelta(seconds=10), NOW - 4 * day)  # going on, just begun, days long
    going_on = [replace(seed.a_call(number, at), ended_at=None) for number, at in enumerate(began, 3)]
    await upsert_calls(store, pbx, [replace(call, direction=Direction.OUT) for call in (*ended, *going_on)])
    asked = wanted | {"start": date(2026, 11, 1), "end": None}
    total, by_hour, _, _, (bands, longer), _ = from_counters = await all_statistics(store, "Asia/Krasnoyarsk", asked)
    number = len(expected.split())
    assert (total, sum(hour.counts.out for hour in by_hour), sum(band.calls for band in bands)) == (number, number, number)
    assert longer == sum(name in {"ended", "day-long"} for name in expected.split())
    with without_counters():
        assert from_counters == await all_statistics(store, "Asia/Krasnoyarsk", asked)
