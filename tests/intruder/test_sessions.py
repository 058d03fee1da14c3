"""Sessions end, are seen by their user, and can be ended by the user and by the administrator.

Who: a session that somebody else may use. What it gets: nothing after its end.
"""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from store.audit.write import Actor
from store.database.store import Store
from store.people.accounts import Pbx, account_of, log_in
from store.people.sessions import SESSION_ENDS, SESSION_LASTS, end_other_sessions, end_session, sessions_of
from store.provisioning.directory import domain_id_of
from store.selection.scope import Scope
from tests.api.conftest import Site
from tests.api.test_audit import entries
from tests.data import seed

NOW = datetime(2026, 11, 29, 5, 0, tzinfo=UTC)
BOSS = Actor(login="900", address="192.0.2.9")
PHONE = "Mozilla/5.0 (Linux; Android 15) Chrome/131.0 Mobile Safari/537.36"


async def opened(store: Store, login: str = "152", now: datetime = NOW, **options: str) -> str:
    token, _ = await log_in(store, "acme", login, seed.PASSWORD, now, **options) or pytest.fail("cannot log in")
    return token


async def test_a_session_ends_after_thirty_days_however_often_it_is_used(store: Store, pbx: Pbx) -> None:
    token = await opened(store)
    used = [NOW + timedelta(days=13) * number for number in range(1, 5)]
    assert [await account_of(store, token, moment) is not None for moment in used] == [True, True, False, False]
    often = await opened(store, now=NOW)
    last = NOW
    while await account_of(store, often, last) is not None:
        last += timedelta(hours=12)
    assert last == NOW + SESSION_ENDS == NOW + timedelta(days=30)


async def test_a_session_ends_fourteen_days_after_its_last_use(store: Store, pbx: Pbx) -> None:
    unused, used = await opened(store), await opened(store)
    assert await account_of(store, used, NOW + timedelta(days=3)) is not None
    almost = NOW + SESSION_LASTS - timedelta(seconds=1)
    assert [await account_of(store, token, almost + timedelta(seconds=1)) is not None for token in (unused, used)] == [False, True]


async def test_the_list_names_each_open_session(store: Store, pbx: Pbx) -> None:
    over = await opened(store, now=NOW - SESSION_ENDS)
    there = await opened(store, now=NOW - timedelta(days=2), address="192.0.2.1", device=PHONE)
    here = await opened(store, address="2001:db8::1", device="x\0" * 400)
    await opened(store, "421")
    later = NOW + timedelta(hours=2)
    assert await account_of(store, over, NOW) is None
    assert await account_of(store, there, later) is not None
    scope = await scope_of(store)
    listed = await sessions_of(store, scope, "152", later, token=here)
    assert listed is not None
    assert [(session.address, session.begun_at, session.seen_at, session.is_current) for session in listed] == [
        ("192.0.2.1", NOW - timedelta(days=2), later, False),
        ("2001:db8::1", NOW, NOW, True),
    ]
    assert [session.device for session in listed] == [PHONE, "x" * 300]
    assert len({session.id for session in listed}) == 2
    assert not any(token in repr(listed) for token in (here, there))


async def scope_of(store: Store, domain: str = "acme", login: str | None = None) -> Scope:
    domain_id = await domain_id_of(store, domain)
    assert domain_id is not None
    return Scope(domain_id=domain_id, login=login)


# Who asks (domain, login of a user or None for the administrator), of whom, and whether it is done.
ENDS = [
    ("acme", None, "152", True),
    ("acme", "152", "152", True),
    ("acme", "421", "152", False),
    ("acme", None, "421", False),
    ("acme", None, "nobody", False),
    ("other", None, "152", False),
    ("other", None, "900", False),
]


@pytest.mark.parametrize(("domain", "asker", "login", "done"), ENDS)
async def test_who_may_end_whose_session(store: Store, pbx: Pbx, domain: str, asker: str | None, login: str, *, done: bool) -> None:
    token, scope = await opened(store), await scope_of(store, domain, asker)
    of_acme = await sessions_of(store, await scope_of(store), "152", NOW, token=token)
    assert of_acme is not None
    assert await end_session(store, scope, login, of_acme[0].id, by=BOSS, now=NOW) == done
    assert (await account_of(store, token, NOW) is None) == done
    await end_other_sessions(store, scope, login, token="another", by=BOSS, now=NOW)
    seen = await sessions_of(store, scope, login, NOW, token=token)
    assert (seen is None) == (login == "nobody" or (domain == "other" and login == "152") or asker == "421")


def browser(site: Site) -> httpx.AsyncClient:
    return site.client(**{"Sec-Fetch-Site": "same-origin", "User-Agent": PHONE})


async def test_a_user_ends_the_own_sessions(site: Site, admin: httpx.AsyncClient) -> None:
    credentials = {"domain": "acme", "login": "152", "password": seed.PASSWORD}
    async with await site.log_in("152") as there, await site.log_in("152") as stolen, browser(site) as here:
        await here.post("/api/login", json=credentials)
        listed = (await here.get("/api/me/sessions")).json()
        assert [session["current"] for session in listed].count(True) == 1
        current = next(session for session in listed if session["current"])
        assert (current["device"], current["address"]) == (PHONE, "127.0.0.1")
        assert current["begun_at"].endswith("+07:00") and current["last_seen_at"] == current["begun_at"]
        other = (await stolen.get("/api/me/sessions")).json()
        id = next(session["id"] for session in other if session["current"])
        assert (await here.delete(f"/api/me/sessions/{id}")).status_code == 204
        assert [(await client.get("/api/me")).status_code for client in (here, there, stolen)] == [200, 200, 401]
        assert (await here.delete(f"/api/me/sessions/{id}")).status_code == 404
        assert (await here.post("/api/me/sessions/end-others")).status_code == 204
        assert [(await client.get("/api/me")).status_code for client in (here, there, stolen)] == [200, 401, 401]
        assert (await here.delete(f"/api/me/sessions/{current['id']}")).status_code == 204
        assert (await here.get("/api/me")).status_code == 401
    ended = await entries(admin, action="session_ended")
    assert [(entry["login"], entry["subject"]) for entry in ended] == [("152", "152")] * 3
    assert PHONE in [entry["detail"]["device"] for entry in ended]


ASKERS = [("900", "acme", 200, 204), ("421", "acme", 403, 403), ("152", "acme", 403, 403), ("900", "other", 404, 404)]


@pytest.mark.parametrize(("asker", "domain", "listed", "ended"), ASKERS)
async def test_an_administrator_ends_the_sessions_of_others(site: Site, asker: str, domain: str, listed: int, ended: int) -> None:
    async with await site.log_in("152") as user, await site.log_in(asker, domain) as client:
        id = (await user.get("/api/me/sessions")).json()[0]["id"]
        answer = await client.get("/api/users/152/sessions")
        assert answer.status_code == listed
        assert (await client.delete(f"/api/users/152/sessions/{id}")).status_code == ended
        assert (await user.get("/api/me")).status_code == (401 if ended == 204 else 200)


async def test_another_site_ends_no_session(site: Site) -> None:
    async with browser(site) as own:
        await own.post("/api/login", json={"domain": "acme", "login": "152", "password": seed.PASSWORD})
        evil = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        assert (await own.post("/api/me/sessions/end-others", headers=evil)).status_code == 403


async def test_logins_and_logouts_are_in_the_journal(site: Site, admin: httpx.AsyncClient) -> None:
    async with await site.log_in("152") as client:
        assert (await client.post("/api/logout")).status_code == 204
        assert (await client.post("/api/logout")).status_code == 204
    assert [(entry["login"], entry["address"]) for entry in await entries(admin, action="logged_out")] == [("152", "127.0.0.1")]
