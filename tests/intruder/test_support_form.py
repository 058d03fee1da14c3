"""«Нужна помощь»: a stranger writes to support alone, and leaves room for others."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from api.support.quotas import SupportQuotas
from api.support.request import HelpRequest
from tests.api.conftest import Site, serving
from tests.api.test_support import BOSS, desk, folder
from tests.support.eventually import eventually
from tests.support.mail_server import SECOND, SUPPORT, mute_server

__all__ = ["folder"]
ASKED: Final = {"name": "Пётр Петров", "contact": "8-913-000-00-00", "message": "Не помню пароль."}
ALONE: Final = (SUPPORT, SECOND)
WITH_COPY: Final = (SUPPORT, SECOND, BOSS)


async def ask(client: httpx.AsyncClient, domain: str | None = None) -> int:
    answer = await client.post("/api/support", json=ASKED | ({} if domain is None else {"domain": domain}))
    return answer.status_code


@asynccontextmanager
async def from_address(site: Site, address: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(local_address=address)
    async with httpx.AsyncClient(base_url=site.address, transport=transport, timeout=60) as client:
        yield client


# Who asks, which domain is named, and who gets the letter.
COPIES: Final = [
    (None, None, ALONE),
    (None, "acme", ALONE),
    (None, "other", ALONE),
    (None, "nowhere", ALONE),
    ("wrong token", "acme", ALONE),
    (("acme", "152"), None, WITH_COPY),
    (("acme", "152"), "other", WITH_COPY),
    (("acme", "900"), "acme", WITH_COPY),
    (("other", "900"), "acme", ALONE),  # `other` has no notify_email
]


async def test_a_company_gets_a_copy_of_what_its_own_users_write(folder: Path) -> None:
    async with desk(folder) as (server, site):
        for who, domain, recipients in COPIES:
            client = await site.log_in(who[1], who[0]) if isinstance(who, tuple) else site.client(who)
            async with client:
                assert await ask(client, domain) == 204, (who, domain)
            assert server.taken[-1].recipients == recipients, (who, domain)


async def test_after_a_logout_it_is_a_stranger_who_writes(folder: Path) -> None:
    async with desk(folder) as (server, site), await site.log_in("152") as client:
        assert (await client.post("/api/logout")).is_success
        assert await ask(client, "acme") == 204
    assert [letter.recipients for letter in server.taken] == [ALONE]


async def test_strangers_do_not_use_up_what_others_may_send(folder: Path) -> None:
    async with desk(folder) as (server, site):
        flood = []
        for host in range(20):  # 20 addresses, and 8 letters of each
            async with from_address(site, f"127.0.1.{host + 1}") as stranger:
                flood += [await ask(stranger, "acme") for _ in range(8)]
        sent = flood.count(204)
        assert sent == 6 * 5 + 14, "five of each address, and when there are thirty one of each"
        async with from_address(site, "127.0.2.1") as stranger:
            assert [await ask(stranger) for _ in range(2)] == [204, 429]
        async with await site.log_in("152") as user, from_address(site, "127.0.1.1") as neighbour:
            assert [await ask(user) for _ in range(6)] == [204] * 5 + [429]
            neighbour.headers.update((await site.log_in("421")).headers)
            assert await ask(neighbour) == 204, "from the very address of a stranger"
    assert len(server.taken) == sent + 1 + 5 + 1


AT: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)


def request(address: str = "192.0.2.1", *, user: str | None = None) -> HelpRequest:
    """A request of an address, or of `domain/login`."""
    domain, _, login = (user or "").partition("/")
    return HelpRequest(**ASKED, domain=domain or "acme", login=login or None, address=address, at=AT)


# Requests in an hour, how many of them are sent, and whether a stranger and a user may then ask.
QUOTAS: Final[dict[str, tuple[list[Mapping[str, Any]], int, bool, bool]]] = {
    "one address": ([{"address": "198.51.100.1"}] * 9, 5, True, True),
    "one network of IPv6": ([{"address": f"2001:db8::{n:x}"} for n in range(99)], 5, True, True),
    "neighbours": ([{"address": f"198.51.100.{n % 50}"} for n in range(99)], 50, True, True),
    "the whole world": ([{"address": f"198.51.{n}.1"} for n in range(200)], 120, False, True),
    "one user": ([{"user": "acme/421"}] * 9, 5, True, True),
    "one user from many addresses": ([{"user": "acme/421", "address": f"198.51.100.{n}"} for n in range(9)], 5, True, True),
    "one company": ([{"user": f"acme/{n}"} for n in range(99)], 30, True, False),
    "another company": ([{"user": f"other/{n}"} for n in range(99)], 30, True, True),
}


@pytest.mark.parametrize(("asked", "sent", "stranger", "user"), QUOTAS.values(), ids=QUOTAS)
def test_quotas(asked: list[Mapping[str, Any]], sent: int, stranger: bool, user: bool) -> None:
    quotas, count = SupportQuotas(), 0
    for one in asked:
        if not quotas.remaining_wait(request(**one), AT):
            quotas.count(request(**one), AT)
            count += 1
    assert count == sent
    free = [not quotas.remaining_wait(sender, AT) for sender in (request(), request(user="acme/152"))]
    assert free == [stranger, user]
    later = AT + timedelta(hours=1)
    assert not any(quotas.remaining_wait(request(**one), later) for one in asked)


def test_what_was_not_sent_is_not_counted() -> None:
    quotas = SupportQuotas()
    for sender in (request(), request(user="acme/152")):
        for _ in range(200):
            assert not quotas.remaining_wait(sender, AT)
            quotas.count(sender, AT)
            quotas.take_back(sender)


async def test_strangers_do_not_take_the_places_of_users(folder: Path) -> None:
    """A mail server that says nothing holds four deliveries of strangers, and others of users."""
    with mute_server(folder) as section:
        patient = section.model_copy(update={"timeout": 60.0})
        async with serving(folder, mail=patient) as site, await site.log_in("152") as user, site.client() as stranger:
            waiting = [asyncio.create_task(ask(stranger)) for _ in range(8)]
            await eventually(lambda: sum(task.done() for task in waiting) == 4)
            asking = asyncio.create_task(ask(user))
            await eventually(lambda: site.services.support._deliveries.in_use == 5)
            for task in (*waiting, asking):
                task.cancel()
            await asyncio.gather(*waiting, asking, return_exceptions=True)
