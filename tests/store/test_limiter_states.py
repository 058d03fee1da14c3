"""What limits remember for all APIs, on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from api.limits.login_throttle import LoginAttempt, LoginThrottle
from api.limits.logins import Logins
from api.limits.shared_limiter import SharedLimiter
from api.support.quotas import SupportQuotas
from fonoteka.core.config import StoreSection
from store import limiter_states as states
from store.database.schema import limiter_states
from store.database.store import Store
from store.limiter_states import held_states
from tests.intruder.test_support_form import AT, request
from tests.store.test_signals import on_postgresql, opened

__all__ = ["on_postgresql"]
HOUR = timedelta(hours=1)


@pytest.fixture
async def apis(on_postgresql: StoreSection) -> AsyncIterator[tuple[Store, Store]]:
    """The stores of two APIs."""
    async with opened(on_postgresql) as one, opened(on_postgresql) as other:
        yield one, other


async def remembered(store: Store, name: str) -> list[int] | None:
    async with held_states(store, [name], kept=HOUR) as held:
        return held.states[name]


async def test_a_state_is_held_written_and_forgotten(apis: tuple[Store, Store]) -> None:
    one, other = apis

    async def count_up(store: Store) -> None:
        async with held_states(store, ["x", "y"], kept=HOUR) as held:
            before = held.states["x"] or [0]
            held.states = {"x": [before[0] + 1], "y": None}

    await asyncio.gather(*(count_up(store) for store in (one, other) * 10))
    assert (await remembered(one, "x"), await remembered(other, "y")) == ([20], None)
    async with held_states(other, ["x"], kept=timedelta(milliseconds=-1)) as held:
        held.states = {"x": [1]}
    assert await remembered(one, "x") is None


async def test_what_fails_is_not_written(apis: tuple[Store, Store]) -> None:
    with pytest.raises(ZeroDivisionError):
        async with held_states(apis[0], ["x"], kept=HOUR) as held:
            held.states = {"x": [1 // 0]}
    assert await remembered(apis[1], "x") is None


async def test_there_are_at_most_so_many(apis: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "_MOST", 3)
    monkeypatch.setattr(states, "_TRIMMED_ONCE_IN", 1)
    for number in range(6):
        async with held_states(apis[0], [str(number)], kept=timedelta(minutes=10 + number)) as held:
            held.states = {str(number): [number]}
    async with apis[0].reading() as connection:
        assert (await connection.execute(select(func.count()).select_from(limiter_states))).scalar_one() == 3
    assert [await remembered(apis[1], str(number)) for number in (2, 3)] == [None, [3]]


def attempt(number: int = 0, **fields: str) -> LoginAttempt:
    return LoginAttempt(**{"domain": "acme", "login": "152", "address": f"192.0.2.{number}"} | fields)


async def test_attempts_to_log_in_count_together(apis: tuple[Store, Store]) -> None:
    logins = [Logins(store) for store in apis]
    waits = [await logins[number % 2].begin(attempt()) for number in range(20)]
    assert not any(waits[:10]) and any(waits), "each by itself would take ten"
    neighbour = attempt(1)
    assert not await logins[0].begin(neighbour)
    await logins[1].not_tried(neighbour)
    known = attempt(known="device x")
    for _ in range(50):
        assert not await logins[0].begin(known)
        await logins[1].succeeded(known)


async def test_requests_for_help_count_together(apis: tuple[Store, Store]) -> None:
    shared, asked = [SharedLimiter(store, SupportQuotas) for store in apis], []
    for number in range(7):
        async with shared[number % 2].holding(request()) as (quotas, now):
            asked.append(not quotas.remaining_wait(request(), now))
            if asked[-1]:
                quotas.count(request(), now)
    assert asked == [True] * 5 + [False] * 2
    async with shared[0].holding(request()) as (quotas, _):
        quotas.take_back(request())
    async with shared[1].holding(request()) as (quotas, now):
        assert not quotas.remaining_wait(request(), now)


@pytest.mark.parametrize("known", [None, "device x"])
def test_a_throttle_goes_on_where_another_one_was(known: str | None) -> None:
    one, other, tried = LoginThrottle(), LoginThrottle(), attempt(known=known) if known else attempt()
    for _ in range(11):
        one.begin(tried, AT)
    for entry, of_other in zip(one.entries(tried), other.entries(tried), strict=True):
        assert entry.key == of_other.key
        of_other.replace(entry.read())
    assert other.begin(tried, AT) == one.begin(tried, AT) > timedelta()
    keys = [entry.key for entry in one.entries(tried)]
    assert len(set(keys)) == len(keys)


async def test_with_an_index_in_a_file_nothing_is_written(tmp_path: Path) -> None:
    async with opened(StoreSection(database=f"sqlite:///{tmp_path}/x.db", objects=f"file://{tmp_path}/objects")) as store:
        assert not await Logins(store).begin(attempt())
        async with store.reading() as connection:
            assert (await connection.execute(select(limiter_states))).all() == []
