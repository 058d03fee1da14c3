"""Changing the own password."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError

from tests.api.conftest import Site, report
from tests.api.test_audit import entries
from tests.api.test_live import listening, next_message
from tests.data import seed

NEW = "новый пароль"
WRONG = {"current": "wrong", "new": NEW}
RIGHT = {"current": seed.PASSWORD, "new": NEW}


async def test_the_new_password_is_valid_and_the_other_sessions_end(
    site: Site, admin: httpx.AsyncClient, agent: httpx.AsyncClient
) -> None:
    async with (
        await site.log_in("152") as here,
        await site.log_in("152") as there,
        await site.log_in("421") as colleague,
        listening(site, there) as socket,
    ):
        assert (await here.post("/api/me/password", json=RIGHT)).status_code == 204
        assert [(await client.get("/api/me")).status_code for client in (here, there, colleague)] == [200, 401, 200]
        await report(agent, seed.a_call(1, datetime.now(UTC)))
        with pytest.raises(ConnectionClosedError):
            await next_message(socket)
    async with site.client() as client:
        who = {"domain": "acme", "login": "152", "password": seed.PASSWORD}
        assert (await client.post("/api/login", json=who)).status_code == 401
        assert (await client.post("/api/login", json=who | {"password": NEW})).status_code == 200
        assert (await client.post("/api/login", json=who | {"login": "421"})).status_code == 200
    changes = await entries(admin, action="password_changed")
    assert [(entry["login"], entry["address"], entry["subject"]) for entry in changes] == [("152", "127.0.0.1", "152")]


@pytest.mark.usefixtures("stopped_login_clock")
async def test_a_wrong_current_password_is_refused_and_throttled(site: Site, admin: httpx.AsyncClient) -> None:
    async with await site.log_in("152") as client:
        answer = await client.post("/api/me/password", json=WRONG)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/wrong-password")
        statuses = [(await client.post("/api/me/password", json=WRONG)).status_code for _ in range(10)]
        assert statuses == [403] * 9 + [429]
        assert (await client.post("/api/me/password", json=RIGHT)).status_code == 429
        assert (await client.get("/api/me")).status_code == 200
    async with await site.log_in("152") as client:  # neither the login nor another session waits
        assert (await client.post("/api/me/password", json=WRONG)).status_code == 403
    assert await entries(admin, action="password_changed") == []


@pytest.mark.parametrize("new", ["", "1234567", " " * 8, "x" * 1001, None])
async def test_a_password_that_breaks_the_rule_is_refused(site: Site, new: str | None) -> None:
    async with await site.log_in("152") as client:
        assert (await client.post("/api/me/password", json=RIGHT | {"new": new})).status_code == 422
        await client.post("/api/logout")
    async with await site.log_in("152") as client:
        assert (await client.get("/api/me")).status_code == 200


async def test_of_two_concurrent_changes_the_second_is_refused(site: Site) -> None:
    async with await site.log_in("152") as first, await site.log_in("152") as second:
        answers = await asyncio.gather(
            first.post("/api/me/password", json=RIGHT), second.post("/api/me/password", json=RIGHT | {"new": "another one"})
        )
    assert sorted(answer.status_code for answer in answers) in ([204, 401], [204, 403])


async def test_from_another_site_nothing_is_changed(site: Site) -> None:
    async with await site.log_in("152") as client:
        token = client.headers["authorization"].removeprefix("Bearer ")
    headers = {"Cookie": f"fonoteka_session={token}", "Origin": "https://evil.example"}
    async with site.client(**headers) as browser:
        assert (await browser.post("/api/me/password", json=RIGHT)).status_code == 403
    async with await site.log_in("152"):
        pass
