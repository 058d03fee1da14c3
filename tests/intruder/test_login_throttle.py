"""Guessing is slowed; a device or network from which the user logged in lately is not.

Who: an intruder with many addresses, who guesses the password of a user. What the user gets: logins
that succeed at once from a known device or address, and the change of the own password.
"""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import httpx
import pytest

from api.limits.login_throttle import LoginAttempt, LoginThrottle
from api.limits.network import network_of
from api.routes import session
from store.database.store import Store
from store.people import origins as store_origins
from store.people.accounts import Pbx, log_in
from store.people.origins import KNOWN_FOR, device_origin, is_known_device, known_origin, network_origin
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.api.conftest import Site
from tests.data import seed
from tests.support.eventually import eventually

RIGHT = {"domain": "acme", "login": "152", "password": seed.PASSWORD}
WRONG = RIGHT | {"password": "a guess"}
HOME, OFFICE = "203.0.113.9", "203.0.113.10"
NOW = datetime(2026, 11, 29, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("stopped_login_clock")


def at(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


def browser(site: Site) -> httpx.AsyncClient:
    return site.client(**{"Sec-Fetch-Site": "same-origin"})


async def logins(client: httpx.AsyncClient, credentials: dict[str, str], *addresses: str) -> Counter[int]:
    answers = [await client.post("/api/login", json=credentials, headers=at(address)) for address in addresses]
    return Counter(answer.status_code for answer in answers)


async def guess(site: Site, *, times: int = 100) -> Counter[int]:
    """Guess from 11 addresses, as the intruder of the issue did, and then further."""
    async with site.client() as intruder:
        return await logins(intruder, WRONG, *(f"198.51.100.{number % 11}" for number in range(times)))


async def test_a_known_device_logs_in_during_the_guesses(site_behind_proxy: Site) -> None:
    async with browser(site_behind_proxy) as own, browser(site_behind_proxy) as stranger:
        assert await logins(own, RIGHT, HOME) == {200: 1}
        assert await guess(site_behind_proxy) == {401: 100}
        assert await guess(site_behind_proxy, times=30) == {429: 30}
        travels = [f"192.0.2.{number}" for number in range(32)]
        assert await logins(own, RIGHT, *travels) == {200: 32}
        assert await logins(stranger, RIGHT, "192.0.2.200") == {429: 1}
        assert await guess(site_behind_proxy, times=30) == {429: 30}


async def test_a_known_address_logs_in_during_the_guesses(site_behind_proxy: Site) -> None:
    async with site_behind_proxy.client() as program:
        assert await logins(program, RIGHT, HOME) == {200: 1}
        assert await guess(site_behind_proxy, times=130) == {401: 100, 429: 30}
        assert await logins(program, RIGHT, *[HOME] * 32) == {200: 32}
        assert await logins(program, RIGHT, OFFICE) == {429: 1}


@pytest.mark.parametrize("days", [2, -2])
async def test_a_wall_clock_that_jumps_locks_nobody_out(site: Site, monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """A login waits by the monotonic clock, and a session lasts longer than the jump."""

    class Jumped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(days=days)

    async with await site.log_in("152") as user, site.client() as stranger:
        assert await logins(stranger, RIGHT | {"login": "421", "password": "a guess"}, *[HOME] * 11) == {401: 10, 429: 1}
        for module in ("routes.session", "dependencies.access"):
            monkeypatch.setattr(f"api.{module}.datetime", Jumped)
        assert (await user.get("/api/me")).status_code == 200
        refused = await stranger.post("/api/login", json=RIGHT | {"login": "421"})
        assert (refused.status_code, int(refused.headers["Retry-After"]) <= 60) == (429, True)
        assert (await user.post("/api/login", json=RIGHT)).status_code == 200


async def test_a_known_device_logs_in_beside_an_intruder_at_the_same_address(site_behind_proxy: Site) -> None:
    async with browser(site_behind_proxy) as own, site_behind_proxy.client() as intruder:
        assert await logins(own, RIGHT, HOME) == {200: 1}
        assert await logins(intruder, WRONG, *[HOME] * 60) == {401: 10, 429: 50}
        assert await logins(own, RIGHT, *[HOME] * 32) == {200: 32}


async def test_guessing_on_a_known_device_is_limited(site_behind_proxy: Site) -> None:
    async with browser(site_behind_proxy) as thief:
        assert await logins(thief, RIGHT, HOME) == {200: 1}
        assert await logins(thief, WRONG, *[f"192.0.2.{number}" for number in range(40)]) == {401: 10, 429: 30}


async def test_the_device_of_one_user_is_a_stranger_to_another(site_behind_proxy: Site) -> None:
    async with browser(site_behind_proxy) as colleague:
        assert await logins(colleague, RIGHT | {"login": "421"}, HOME) == {200: 1}
        assert await guess(site_behind_proxy) == {401: 100}
        assert await logins(colleague, WRONG, HOME) == {429: 1}
        assert await logins(colleague, RIGHT | {"login": "421"}, HOME) == {200: 1}


async def test_users_who_share_a_device_are_both_known(site_behind_proxy: Site) -> None:
    async with browser(site_behind_proxy) as shared:
        for login in ("421", "152", "421"):
            assert await logins(shared, RIGHT | {"login": login}, HOME) == {200: 1}
        await guess(site_behind_proxy)
        assert await logins(shared, RIGHT, OFFICE) == {200: 1}


async def test_a_cookie_that_somebody_else_put_there_is_replaced(site_behind_proxy: Site) -> None:
    async with browser(site_behind_proxy) as own:
        own.cookies.set(session.DEVICE_COOKIE, "planted", domain="127.0.0.1", path="/api/login")
        answer = await own.post("/api/login", json=RIGHT, headers=at(HOME))
        device = next(cookie for cookie in answer.headers.get_list("set-cookie") if cookie.startswith(session.DEVICE_COOKIE))
    assert "planted" not in device
    assert all(part in device.lower() for part in ("httponly", "samesite=strict", "path=/api/login", "max-age=7776000"))


async def test_a_program_gets_no_cookie_of_a_device(site_behind_proxy: Site) -> None:
    async with site_behind_proxy.client() as program:
        answer = await program.post("/api/login", json=RIGHT)
    assert [cookie for cookie in answer.headers.get_list("set-cookie") if cookie.startswith(session.DEVICE_COOKIE)] == []


async def test_strangers_do_not_delay_the_change_of_the_own_password(site_behind_proxy: Site) -> None:
    async with site_behind_proxy.client() as client:
        token = (await client.post("/api/login", json=RIGHT, headers=at(HOME))).json()["token"]
    assert await guess(site_behind_proxy, times=130) == {401: 100, 429: 30}
    change = {"current": seed.PASSWORD, "new": "another password"}
    async with site_behind_proxy.client(token) as own:
        for address in (HOME, OFFICE, "198.51.100.1"):
            wrong = await own.post("/api/me/password", json=change | {"current": "wrong"}, headers=at(address))
            assert wrong.status_code == 403
        assert (await own.post("/api/me/password", json=change, headers=at("198.51.100.1"))).status_code == 204


async def test_strangers_do_not_take_the_slots_of_known_devices(site_behind_proxy: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = asyncio.Event()

    async def slow_for_strangers(*arguments: Any, **options: Any) -> object:
        if arguments[2] != "152":
            await finish.wait()
        return await log_in(*arguments, **options)

    async with browser(site_behind_proxy) as own, site_behind_proxy.client() as intruder:
        assert await logins(own, RIGHT, HOME) == {200: 1}
        monkeypatch.setattr(session, "log_in", slow_for_strangers)
        flood = [WRONG | {"login": f"nobody-{number}"} for number in range(60)]
        requests = [asyncio.create_task(intruder.post("/api/login", json=credentials)) for credentials in flood]
        await eventually(lambda: sum(request.done() for request in requests) == 40)
        assert await logins(own, RIGHT, *[HOME] * 32) == {200: 32}
        finish.set()
        assert Counter(answer.status_code for answer in await asyncio.gather(*requests)) == {401: 20, 503: 40}


NETWORKS = [
    ("203.0.113.9", "203.0.113.9"),
    ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
    ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
    ("::ffff:203.0.113.9", "203.0.113.9"),
    ("fe80::1%eth0", "fe80::/64"),
    ("unknown", "unknown"),
]


@pytest.mark.parametrize(("address", "network"), NETWORKS)
def test_of_ipv6_the_network_counts(address: str, network: str) -> None:
    assert network_of(address) == network


def test_all_addresses_of_an_ipv6_network_are_one_stranger() -> None:
    throttle = LoginThrottle()

    def attempts(address: str) -> int:
        made = (LoginAttempt(domain="acme", login="152", address=address.format(number)) for number in range(50))
        return sum(not throttle.begin(attempt, NOW) for attempt in made)

    assert [attempts("2001:db8:1:2::{}"), attempts("2001:db8:1:2:5::{}"), attempts("2001:db8:1:{}::1")] == [10, 0, 49]


async def test_what_is_known_is_of_one_user_and_of_a_time(store: Store, pbx: Pbx) -> None:
    device, here = device_origin("a token"), network_origin("192.0.2.1")
    asked = [device, here]
    assert await log_in(store, "acme", "152", seed.PASSWORD, NOW, origins=[here]) is not None
    assert await known_origin(store, "acme", "152", asked, NOW) == here
    assert await log_in(store, "acme", "152", seed.PASSWORD, NOW, origins=asked) is not None
    assert await known_origin(store, "acme", "152", asked, NOW) == device
    assert (await is_known_device(store, "a token"), await is_known_device(store, "another")) == (True, False)
    for domain, login in (("acme", "421"), ("other", "900"), ("other", "152"), ("nowhere", "152")):
        assert await known_origin(store, domain, login, asked, NOW) is None, (domain, login)
    assert await known_origin(store, "acme", "152", asked, NOW + KNOWN_FOR - timedelta(seconds=1)) == device
    assert await known_origin(store, "acme", "152", asked, NOW + KNOWN_FOR) is None
    await apply(store, parse_directory("", source=""), prune=True)
    assert await known_origin(store, "acme", "152", asked, NOW) is None


async def test_a_wrong_password_makes_nothing_known(store: Store, pbx: Pbx) -> None:
    here = network_origin("192.0.2.1")
    assert await log_in(store, "acme", "152", "a guess", NOW, origins=[here]) is None
    assert await known_origin(store, "acme", "152", [here], NOW) is None


async def test_the_newest_origins_of_a_user_are_kept(store: Store, pbx: Pbx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_origins, "_MOST_OF_A_USER", 3)
    networks = [network_origin(f"192.0.2.{number}") for number in range(5)]
    for number, network in enumerate(networks):
        assert await log_in(store, "acme", "152", seed.PASSWORD, NOW + timedelta(minutes=number), origins=[network]) is not None
    known = [await known_origin(store, "acme", "152", [network], NOW + timedelta(hours=1)) is not None for network in networks]
    assert known == [False, False, True, True, True]
