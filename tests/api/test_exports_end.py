"""An export needs a session that lasts, and a request from the portal's own page."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from api.dependencies import while_allowed
from store.database.store import Store
from store.people.accounts import set_password
from tests.api.conftest import Site, ship
from tests.api.test_audit import awaited, entries
from tests.data import seed
from tests.data.many_calls import repeat
from tests.support.eventually import eventually

_LONG = "from=2026-11-01&to=2026-11-22"
_COUNT = 40_000
_SOME = 4_000


@pytest.fixture(params=[_COUNT])
async def history(site: Site, agent: httpx.AsyncClient, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """More calls than socket buffers hold as CSV, or as many as the test says."""
    call = seed.a_call(1, datetime(2026, 11, 22, 12, tzinfo=UTC))
    await ship(agent, call, 5000)
    store = await Store.open(site.configuration.store)
    await repeat(store, call.linkedid, request.param)
    yield store
    await store.close()


@pytest.mark.parametrize("how", ["logout", "password"])
async def test_an_export_ends_with_its_session(
    history: Store, site: Site, admin: httpx.AsyncClient, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(while_allowed, "_SESSION_CHECKED_EACH_S", 0.0)
    come = bytearray()
    async with await site.log_in("152") as thief:
        with pytest.raises(httpx.RemoteProtocolError):
            async with thief.stream("GET", f"/api/calls.csv?{_LONG}") as answer:
                async for piece in answer.aiter_raw():
                    if not come:
                        if how == "logout":
                            await thief.post("/api/logout")
                        else:
                            await set_password(history, "acme", "152", "a new password")
                    come += piece
    assert come.count(b"\r\n") < _COUNT
    entry = await eventually(lambda: ended_export(admin))
    assert entry is not None
    assert 0 < int(entry["detail"]["calls"]) < _COUNT, "the rows that were sent are counted"


async def ended_export(client: httpx.AsyncClient) -> dict[str, Any] | None:
    """Return the only export of the audit once it has ended."""
    (entry,) = await entries(client, action="exported")
    return entry if "calls" in entry["detail"] else None


@pytest.mark.parametrize("history", [_SOME], indirect=True)
async def test_a_session_that_lasts_gets_all_rows(history: Store, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(while_allowed, "_SESSION_CHECKED_EACH_S", 0.0)
    async with await site.log_in("152") as client:
        answer = await client.get(f"/api/calls.csv?{_LONG}")
    assert answer.content.count(b"\r\n") == _SOME + 2


@pytest.mark.parametrize("kind", ["csv", "xlsx", "zip"])
async def test_another_sites_link_exports_nothing(site: Site, admin: httpx.AsyncClient, kind: str) -> None:
    cookie = {"Cookie": f"fonoteka_session={admin.headers['authorization'].removeprefix('Bearer ')}"}
    for fetch_site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200), (None, 200)):
        headers = {} if fetch_site is None else {"Sec-Fetch-Site": fetch_site}
        async with site.client(**cookie, **headers) as browser:
            answer = await browser.get(f"/api/calls.{kind}")
        assert answer.status_code == status, fetch_site
        if status == 403:
            assert answer.json()["type"] == "/problems/cross-site"
    assert len(await awaited(admin, 3, action="exported")) == 3


async def test_long_parameters_are_cut_in_the_audit(site: Site, admin: httpx.AsyncClient) -> None:
    many = "&".join(f"user=u{number:030}" for number in range(1000))
    assert (await admin.get(f"/api/calls.csv?{many}&number=2458888")).status_code == 200
    (entry,) = await awaited(admin, 1, action="exported")
    assert entry["detail"]["user"].startswith("u000000000000000000000000000000, u0000") and len(entry["detail"]["user"]) <= 501
    assert entry["detail"]["number"] == "…88"
