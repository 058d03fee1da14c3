"""Logging in and out, throttling, cross-site requests, security headers."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import httpx
import pytest
from argon2 import extract_parameters
from structlog.testing import capture_logs

from api.limits.login_throttle import FailureBackoff, LoginAttempt, LoginThrottle
from api.routes import directory, session
from store.people import passwords
from store.people.accounts import log_in
from tests.api.conftest import Site
from tests.data import seed
from tests.support.eventually import eventually

RIGHT = {"domain": "acme", "login": "152", "password": seed.PASSWORD}
ME = {
    "login": "152",
    "name": "Петров П.П.",
    "role": "user",
    "domain": {"name": "acme", "title": "ООО «Акме»", "timezone": "Asia/Krasnoyarsk"},
    "store_disk": None,
    "quota_nearly_used": None,
}


async def test_a_browser_gets_a_cookie_that_scripts_cannot_read(site: Site) -> None:
    async with site.client(**{"Sec-Fetch-Site": "same-origin"}) as browser:
        answer = await browser.post("/api/login", json=RIGHT)
        assert (answer.status_code, answer.json()["me"]) == (200, ME)
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie and "secure" not in cookie
        assert (await browser.get("/api/me")).json() == ME
        assert (await browser.post("/api/logout")).status_code == 204
        assert (await browser.get("/api/me")).status_code == 401


async def test_behind_https_the_cookie_is_secure(site_behind_proxy: Site) -> None:
    async with site_behind_proxy.client(**{"X-Forwarded-Proto": "https"}) as browser:
        assert "; secure" in (await browser.post("/api/login", json=RIGHT)).headers["set-cookie"].lower()


@pytest.mark.usefixtures("stopped_login_clock")
async def test_where_no_proxy_is_configured_none_is_believed(site: Site) -> None:
    async with site.client(**{"X-Forwarded-Proto": "https"}) as browser:
        assert "; secure" not in (await browser.post("/api/login", json=RIGHT)).headers["set-cookie"].lower()
        wrong = RIGHT | {"password": "wrong"}
        forwarded = [{"X-Forwarded-For": f"192.0.2.{number}"} for number in range(11)]
        answers = [await browser.post("/api/login", json=wrong, headers=headers) for headers in forwarded]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]


async def test_a_token_ends_with_its_session(site: Site) -> None:
    async with await site.log_in("152") as program:
        assert (await program.get("/api/me")).status_code == 200
        assert (await program.post("/api/logout")).status_code == 204
        assert (await program.get("/api/me")).status_code == 401


WRONG = [
    {"domain": "acme", "login": "152", "password": "wrong"},
    {"domain": "acme", "login": "nobody", "password": seed.PASSWORD},
    {"domain": "nowhere", "login": "152", "password": seed.PASSWORD},
    {"domain": "other", "login": "152", "password": seed.PASSWORD},
    {"domain": "", "login": "", "password": ""},
    {"domain": "acme\0", "login": "152'--", "password": "\0"},
]


async def test_the_answer_to_wrong_credentials_does_not_tell_which_part_is_wrong(site: Site) -> None:
    async with site.client() as client:
        answers = [await client.post("/api/login", json=wrong) for wrong in WRONG]
    assert {(answer.status_code, answer.text) for answer in answers} == {
        (401, '{"type":"/problems/login-failed","title":"Unauthorized","status":401,"detail":"domain, login or password is wrong"}')
    }
    assert not any("set-cookie" in answer.headers for answer in answers)


async def test_a_login_that_does_not_exist_costs_as_much_as_a_wrong_password(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt checks the password once, against a hash with the same parameters."""
    verify, costs = passwords.verifies, list[object]()

    def counted(password_hash: str, password: str) -> bool:
        costs.append(extract_parameters(password_hash))
        return verify(password_hash, password)

    monkeypatch.setattr(passwords, "verifies", counted)
    async with site.client() as client:
        for wrong in WRONG:
            answer = await client.post("/api/login", json=wrong)
            assert answer.status_code == 401
    assert len(costs) == len(WRONG) and costs == [costs[0]] * len(WRONG)


@pytest.mark.usefixtures("stopped_login_clock")
async def test_repeated_failures_are_slowed_for_that_login_alone(site: Site) -> None:
    async with site.client() as client:
        answers = [await client.post("/api/login", json=RIGHT | {"password": "wrong"}) for _ in range(11)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429]
        assert (answers[-1].json()["type"], answers[-1].headers["retry-after"]) == ("/problems/too-many-attempts", "1")
        assert (await client.post("/api/login", json=RIGHT)).status_code == 429
        assert (await client.post("/api/login", json=RIGHT | {"login": "421"})).status_code == 200


def test_each_further_failure_doubles_the_wait() -> None:
    throttle, now = FailureBackoff[str](free_failures=3, max_delay=timedelta(seconds=5)), datetime(2026, 11, 22, tzinfo=UTC)
    waits = []
    for _ in range(7):
        throttle.count("x", now)
        waits.append(throttle.remaining_wait("x", now).total_seconds())
    assert waits == [0, 0, 1, 2, 4, 5, 5]
    assert throttle.remaining_wait("x", now + timedelta(seconds=3)).total_seconds() == 2
    assert throttle.remaining_wait("y", now) == timedelta()
    assert throttle.remaining_wait("x", now + timedelta(minutes=16)) == timedelta()
    throttle.take_back("x")
    assert throttle.remaining_wait("x", now) == timedelta(seconds=5)
    throttle.forget("x")
    assert throttle.remaining_wait("x", now) == timedelta()


@pytest.mark.one_machine
@pytest.mark.usefixtures("stopped_login_clock")
async def test_attempts_sent_at_once_are_counted_before_any_is_looked_at(site: Site) -> None:
    wrong = RIGHT | {"password": "wrong"}
    async with site.client() as client:
        answers = await asyncio.gather(*(client.post("/api/login", json=wrong) for _ in range(60)))
    assert Counter(answer.status_code for answer in answers) == {401: 10, 429: 50}
    elsewhere = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
    async with httpx.AsyncClient(base_url=site.address, transport=elsewhere) as colleague:
        assert (await colleague.post("/api/login", json=RIGHT)).status_code == 200


async def test_concurrent_logins_are_limited(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = asyncio.Event()

    async def slow(*arguments: Any, **options: Any) -> object:
        await finish.wait()
        return await log_in(*arguments, **options)

    monkeypatch.setattr(session, "log_in", slow)
    async with site.client() as client:
        logins = [RIGHT | {"login": f"nobody-{number}"} for number in range(60)]
        requests = [asyncio.create_task(client.post("/api/login", json=login)) for login in logins]
        await eventually(lambda: sum(request.done() for request in requests) == 40)
        finish.set()
        answers = await asyncio.gather(*requests)
        busy = [answer for answer in answers if answer.status_code == 503]
        assert Counter(answer.status_code for answer in answers) == {401: 20, 503: 40}
        assert {(answer.json()["type"], answer.headers["retry-after"]) for answer in busy} == {("/problems/busy", "1")}
        assert (await client.post("/api/login", json=RIGHT)).status_code == 200


def test_guesses_from_many_addresses_are_throttled() -> None:
    throttle, now = LoginThrottle(), datetime(2026, 11, 22, tzinfo=UTC)

    def attempts(domain: str = "acme", login: str = "152", address: str = "192.0.2.{}") -> int:
        """Return how many of 150 attempts are not delayed."""
        return sum(
            not throttle.begin(LoginAttempt(domain=domain, login=login.format(n), address=address.format(n)), now)
            for n in range(150)
        )

    assert attempts() == 100
    assert attempts(login="someone-{}", address="198.51.100.1") == 100
    assert attempts(login="421", address="203.0.113.1") == 10
    office = LoginAttempt(domain="acme", login="900", address="203.0.113.2")
    for _ in range(500):
        assert not throttle.begin(office, now)
        throttle.succeeded(office)


CROSS_SITE = [
    ({"Sec-Fetch-Site": "same-origin"}, 200),
    ({"Origin": "{own}"}, 200),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "none"}, 403),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://["}, 403),
    ({"Origin": ""}, 403),
    ({"Origin": "{own}.evil.example"}, 403),
    ({}, 403),
]


async def test_with_a_cookie_only_our_own_page_may_change_anything(site: Site) -> None:
    async with site.client() as browser:
        await browser.post("/api/login", json=RIGHT | {"login": "900"})
        for place, (headers, status) in enumerate(CROSS_SITE):
            sent = {name: value.format(own=site.address) for name, value in headers.items()}
            answer = await browser.patch("/api/users/152", json={"name": f"name {place}"}, headers=sent)
            assert answer.status_code == status, (headers, answer.text)
            users = {user["login"]: user["name"] for user in (await browser.get("/api/users")).json()}
            assert (users["152"] == f"name {place}") == (status == 200), headers


async def test_another_site_cannot_log_somebody_in(site: Site) -> None:
    for origin in ("https://evil.example", "http://["):
        async with site.client(Origin=origin) as browser:
            assert (await browser.post("/api/login", json=RIGHT)).status_code == 403


NEEDS_LOGIN = ["/api/me", "/api/calls", "/api/calls/x", "/api/calls/x/audio", "/api/calls/x/peaks", "/api/users", "/api/numbers"]


async def test_requests_without_a_session_are_refused(site: Site) -> None:
    for token, path in product((None, "wrong", seed.PBX_TOKEN), NEEDS_LOGIN):
        async with site.client(token) as stranger:
            answer = await stranger.get(path)
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/not-logged-in"), (token, path)


async def test_every_answer_carries_the_security_headers(site: Site, admin: httpx.AsyncClient) -> None:
    for path in ("/", "/api/me", "/api/nothing", "/healthz", "/api/calls?limit=x"):
        headers = (await admin.get(path)).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self';" in policy and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "same-origin")
    assert (await admin.get("/api/me")).headers["cache-control"] == "no-store"


async def test_a_crash_is_a_problem_with_the_security_headers_too(
    site: Site, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise EOFError("a secret")

    monkeypatch.setattr(directory, "users_of", crash)
    with capture_logs() as logs:
        answer = await admin.get("/api/users")
    assert (answer.status_code, answer.json()) == (
        500,
        {"type": "/problems/internal-error", "title": "Internal Server Error", "status": 500},
    )
    assert answer.headers["content-type"] == "application/problem+json"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert [(line["event"], line["path"]) for line in logs] == [("request.crashed", "/api/users")]
