"""The agent's shipper sends the reports of calls to the real API: none holds up the others."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from agent.shipping.api_client import ApiClient, encoded
from agent.shipping.call_shipper import CallShipper
from agent.shipping.refused_calls import RefusedCalls
from api.http import body_limit
from api.routes import agent as routes
from fonoteka.cli import spool as command
from fonoteka.core.call_report import CallReport, PathStep
from fonoteka.core.spool import Spool
from store.intake import intake
from tests.api.conftest import Site
from tests.data import seed
from tests.support.eventually import eventually

STARTED = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path / "spool")
    made.prepare()
    return made


def ring_all(number: int, stations: int = 300) -> CallReport:
    """A call that rang many stations at once, of which one answered."""
    call = seed.a_call(number, STARTED + timedelta(seconds=number))
    rings = tuple(
        PathStep(at=call.started_at, what=what, who=str(1000 + station))
        for what in ("ring", "no_answer")
        for station in range(stations)
    )
    return replace(call, path=(*call.path[:2], *rings, *call.path[2:]), segments=())


@asynccontextmanager
async def shipping(site: Site, spool: Spool) -> AsyncIterator[tuple[CallShipper, set[str]]]:
    """Run a shipper; yields it and the linkedids that it acknowledged."""
    api, acknowledged = ApiClient(site.address, seed.PBX_TOKEN), set[str]()
    shipper = CallShipper(api, RefusedCalls(spool.refused), lambda linkedid, _: acknowledged.add(linkedid))
    running = asyncio.create_task(shipper.run())
    try:
        yield shipper, acknowledged
    finally:
        assert not running.done(), running
        running.cancel()
        await asyncio.wait([running])
        await api.close()


async def stored(admin: httpx.AsyncClient) -> int:
    """The number of calls that the portal shows."""
    days = {"from": (STARTED - timedelta(days=1)).isoformat(), "to": (STARTED + timedelta(days=2)).isoformat()}
    return int((await admin.get("/api/calls", params=days)).raise_for_status().json()["total"])


def of(calls: list[CallReport]) -> set[str]:
    return {call.linkedid for call in calls}


async def test_200_calls_of_300_stations_arrive_although_they_are_larger_than_a_request(
    site: Site, admin: httpx.AsyncClient, spool: Spool
) -> None:
    calls = [ring_all(number) for number in range(200)]
    assert sum(len(encoded(call)) for call in calls) > body_limit.max_bytes("/agent/v1/calls")
    async with shipping(site, spool) as (shipper, acknowledged):
        for call in calls:
            shipper.send(call)
        await eventually(lambda: acknowledged == of(calls))
    assert await stored(admin) == 200
    assert list(spool.refused.iterdir()) == []


async def test_a_batch_that_is_too_large_is_halved(
    site: Site, admin: httpx.AsyncClient, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy may take less than the API. One call alone is set aside, and sent when asked for."""
    calls = [ring_all(number, 2) for number in range(16)]
    huge = ring_all(16, 300)
    monkeypatch.setattr(body_limit, "_MAX_BYTES_OF_CALLS", 4 * len(encoded(calls[0])))
    with capture_logs() as logs:
        async with shipping(site, spool) as (shipper, acknowledged):
            for call in (huge, *calls):
                shipper.send(call)
            await eventually(lambda: acknowledged == of([huge, *calls]))
            assert await stored(admin) == 16
            assert any(line["event"] == "calls.batch_halved" for line in logs)
            (aside,) = command.contents(spool).set_aside
            assert (aside.kind, "413" in aside.reason) == ("call", True)

            monkeypatch.undo()
            command.retry(spool, aside.name)
            shipper._rescan_at = 0.0
            shipper.send(calls[0])  # wakes it: it would look within five seconds
            await eventually(lambda: not list(spool.refused.iterdir()))
            assert await stored(admin) == 17


def invalid(call: CallReport) -> CallReport:
    return replace(call, talk_ms=-1)


def deleted(call: CallReport) -> CallReport:
    return replace(call, started_at=datetime(2001, 1, 1, tzinfo=UTC), answered_at=None, ended_at=None, path=())


@pytest.mark.parametrize(("spoil", "kept"), [(invalid, True), (deleted, False)])
async def test_a_call_that_the_store_never_takes_is_set_aside_unless_it_was_deleted(
    site: Site, admin: httpx.AsyncClient, spool: Spool, spoil: Callable[[CallReport], CallReport], kept: bool
) -> None:
    await set_calls_retention(site)
    calls = [ring_all(number, 2) for number in range(3)]
    async with shipping(site, spool) as (shipper, acknowledged):
        for call in (spoil(calls[0]), *calls[1:]):
            shipper.send(call)
        await eventually(lambda: acknowledged == of(calls))
        assert (await stored(admin), len(command.contents(spool).set_aside)) == (2, kept)
        shipper.send(replace(calls[0], revision=calls[0].revision + 1))

        async def is_taken() -> bool:
            return await stored(admin) == 3

        await eventually(is_taken)
        await eventually(lambda: not list(spool.refused.iterdir()))


async def set_calls_retention(site: Site) -> None:
    from sqlalchemy import update

    from store.database.schema import domains

    async with site.services.store.writing() as connection:
        await connection.execute(update(domains).values(calls_retention_days=1000))


async def test_a_call_on_which_the_api_fails_lets_the_others_go_first(
    site: Site, admin: httpx.AsyncClient, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [ring_all(number, 2) for number in range(5)]
    upsert, fails = intake.upsert_calls, True

    async def crash(*arguments: object, **options: object) -> object:
        if fails and calls[0] in arguments[2]:  # type: ignore[operator]
            raise ZeroDivisionError
        return await upsert(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(routes, "upsert_calls", crash)
    with capture_logs():  # a traceback takes seconds to print
        async with shipping(site, spool) as (shipper, acknowledged):
            for call in calls:
                shipper.send(call)
            await eventually(lambda: acknowledged == of(calls[1:]))
            fails = False
            await eventually(lambda: acknowledged == of(calls))
    assert await stored(admin) == 5
    assert json.loads(command.to_json(command.contents(spool)))["set_aside"] == []
