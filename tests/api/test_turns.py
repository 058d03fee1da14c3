"""One account's hundred questions wait for each other, and no other account's waits for them."""

import asyncio

import httpx
import pytest

from api.limits.concurrency import Turns
from store.statistics import reports as statistics
from tests.api.conftest import Site


async def test_a_hundred_figures_at_once_are_four_at_a_time(
    site: Site, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, inside, most, opened = statistics.by_hour, 0, 0, asyncio.Event()

    async def slowly(*given: object) -> object:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await opened.wait()
        inside -= 1
        return await counted(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(statistics, "by_hour", slowly)
    asked = [asyncio.create_task(admin.get("/api/stats/week")) for _ in range(40)]
    async with asyncio.timeout(10):
        while inside < 4:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    async with await site.log_in("152") as other:
        assert (await other.get("/api/calls")).status_code == 200
    assert inside == 4
    opened.set()
    assert {(await one).status_code for one in asked} == {200}
    assert most == 4


async def test_a_line_that_nobody_stands_in_is_forgotten() -> None:
    turns = Turns[str](1)
    async with turns.taken("x"), turns.taken("y"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), turns.taken("x"):
                pass
    async with asyncio.timeout(1), turns.taken("x"):
        pass
    assert not turns._lines and not turns._there
