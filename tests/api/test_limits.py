"""Queries of one account wait for each other, not for those of other accounts; both limits."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from api.limits.concurrency_limit import ConcurrencyLimit
from api.limits.rate_limit import RateLimit
from store.statistics import reports
from tests.api.conftest import Site
from tests.support.eventually import eventually


async def test_forty_queries_of_an_account_run_four_at_a_time(
    site: Site, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hour, running, peak, finish = reports.by_hour, 0, 0, asyncio.Event()

    async def slow(*arguments: object) -> object:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await finish.wait()
        running -= 1
        return await by_hour(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(reports, "by_hour", slow)
    requests = [asyncio.create_task(admin.get("/api/stats/week")) for _ in range(40)]
    await eventually(lambda: site.services.account_queries.in_use == 40 and running == 4)
    async with await site.log_in("152") as other:
        assert (await other.get("/api/calls")).status_code == 200
    assert running == 4
    finish.set()
    assert {(await request).status_code for request in requests} == {200}
    assert peak == 4


async def test_a_full_key_is_refused_or_waits_and_other_keys_do_not() -> None:
    limit = ConcurrencyLimit[str](2)
    async with limit.try_enter("x") as first, limit.enter("x"), limit.try_enter("y") as other:
        async with limit.try_enter("x") as third:
            assert (first, third, other, limit.in_use) == (True, False, True, 3)
        waiting = asyncio.create_task(_enter(limit, "x"))
        await eventually(lambda: limit.in_use == 4)
        assert not waiting.done()
    await waiting
    async with limit.try_enter("x") as again:
        assert again
    assert limit.in_use == 0


async def test_the_first_to_wait_is_the_first_to_enter() -> None:
    limit, entered = ConcurrencyLimit[None](1), list[int]()

    async def enter(number: int) -> None:
        async with limit.enter(None):
            entered.append(number)

    async with limit.enter(None):
        waiting = [asyncio.create_task(enter(number)) for number in range(3)]
        await eventually(lambda: limit.in_use == 4)
        async with limit.try_enter(None) as free:
            assert not free
    await asyncio.gather(*waiting)
    assert entered == [0, 1, 2]


async def test_a_cancelled_wait_gives_its_slot_back() -> None:
    limit = ConcurrencyLimit[str](1)
    async with limit.enter("x"):
        waiting = asyncio.create_task(_enter(limit, "x"))
        await eventually(lambda: limit.in_use == 2)
        waiting.cancel()
        await asyncio.wait([waiting])
    await _enter(limit, "x")
    assert limit.in_use == 0 and not limit._slots and not limit._users


async def _enter(limit: ConcurrencyLimit[str], key: str) -> None:
    async with limit.enter(key):
        pass


def test_hits_leave_the_window_one_by_one() -> None:
    limit, now = RateLimit[str](limit=2, window=timedelta(minutes=10)), datetime(2026, 11, 22, tzinfo=UTC)
    limit.hit("x", now)
    limit.hit("x", now + timedelta(minutes=4))
    assert limit.remaining_wait("x", now + timedelta(minutes=5)) == timedelta(minutes=5)
    assert (limit.remaining_wait("y", now), limit.remaining_wait("x", now + timedelta(minutes=10))) == (timedelta(), timedelta())
    limit.hit("x", now + timedelta(minutes=10))
    assert limit.remaining_wait("x", now + timedelta(minutes=11)) == timedelta(minutes=3)
    limit.take_back("x")
    assert limit.remaining_wait("x", now + timedelta(minutes=11)) == timedelta()


def test_the_oldest_of_too_many_keys_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.limits.rate_limit._MAX_KEYS", 2)
    limit, now = RateLimit[str](limit=1, window=timedelta(minutes=10)), datetime(2026, 11, 22, tzinfo=UTC)
    for key in ("x", "y", "z"):
        limit.hit(key, now)
    assert [bool(limit.remaining_wait(key, now)) for key in ("x", "y", "z")] == [False, True, True]
