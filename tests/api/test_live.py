"""The live socket: changes of calls, for those in the scope of the account."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import WebSocket
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from api.live.hub import LiveHub
from api.routes import live
from fonoteka.core.call_report import Direction, RecordingState, Result
from fonoteka.core.naming import call_id
from store.intake.write_calls import CallChange
from tests.api.conftest import Site, report, ship
from tests.data import seed
from tests.support.eventually import eventually
from tests.support.served import Served

BEGIN = datetime(2026, 11, 22, 16, 43, 42, 123000, tzinfo=UTC)


@asynccontextmanager
async def listening(site: Served, client: httpx.AsyncClient | None, **headers: str) -> AsyncIterator[ClientConnection]:
    authorization = {"Authorization": client.headers["authorization"]} if client else {}
    async with connect(site.address.replace("http", "ws") + "/api/live", additional_headers=authorization | headers) as socket:
        yield socket


async def next_message(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 60))
    return message


async def test_each_change_of_a_call_is_sent(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    call = seed.a_call(1, BEGIN)
    async with listening(site, admin) as socket:
        await report(agent, seed.but(call, revision=call.revision - 1, ended_at=None))
        began = await next_message(socket)
        await report(agent, call)
        ended = await next_message(socket)
        await ship(agent, call, 5000)
        again, ready = [await next_message(socket) for _ in range(2)]
    assert [(message["type"], message["call"]["ended_at"]) for message in (began, ended)] == [
        ("call", None),
        ("call", "2026-11-22T23:43:48.123+07:00"),
    ]
    assert again == ended, "the report came again: whoever took it first may have died before it told so"
    assert (ready["type"], ready["id"], ready["recording"]["state"]) == ("recording", began["call"]["id"], "ready")


async def test_each_user_gets_only_their_own_calls(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    call = seed.a_call(1, BEGIN)
    of_colleague = seed.but(seed.a_call(2, BEGIN), participants=("421",), employee="421", segments=())
    foreign = seed.but(seed.a_call(3, BEGIN), domain="other", participants=("900",), segments=())
    last = seed.but(seed.a_call(4, BEGIN), participants=("152", "421"), segments=())
    async with (
        await site.log_in("152") as own,
        await site.log_in("900", "other") as stranger,
        listening(site, own) as mine,
        listening(site, stranger) as other,
        listening(site, admin) as every,
    ):
        for changed_call in (call, of_colleague, foreign, last):
            await report(agent, changed_call)
        assert [(await next_message(mine))["call"]["linkedid"] for _ in range(2)] == [call.linkedid, last.linkedid]
        assert [(await next_message(every))["call"]["linkedid"] for _ in range(3)] == [
            call.linkedid,
            of_colleague.linkedid,
            last.linkedid,
        ]
        assert (await next_message(other))["call"]["linkedid"] == foreign.linkedid


async def test_a_merged_call_is_sent_as_gone(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    call = seed.but(seed.a_call(1, BEGIN), ended_at=None, segments=(), participants=("152", "421"))
    part = seed.but(seed.a_call(2, BEGIN), ended_at=None, segments=(), participants=("421",))
    await report(agent, call, part)
    async with (
        await site.log_in("421") as own,
        await site.log_in("130") as stranger,
        listening(site, admin) as of_admin,
        listening(site, own) as of_user,
        listening(site, stranger) as of_stranger,
    ):
        await report(agent, seed.but(part, revision=part.revision + 1, merged_into=call.linkedid))
        gone = {"type": "gone", "id": call_id("pbx1", part.linkedid)}
        assert await next_message(of_admin) == await next_message(of_user) == gone
        last = seed.but(seed.a_call(3, BEGIN), segments=(), participants=("130",))
        await report(agent, last)
        assert (await next_message(of_stranger))["call"]["linkedid"] == last.linkedid  # and nothing of the call of others


async def test_a_user_who_was_only_rung_gets_gone(site: Site, agent: httpx.AsyncClient) -> None:
    rings = seed.but(seed.unanswered(seed.a_call(1, BEGIN)), revision=1, ended_at=None, employee=None, participants=("152", "421"))
    async with await site.log_in("421") as own, listening(site, own) as mine:
        await report(agent, rings)
        assert (await next_message(mine))["type"] == "call"
        await report(agent, seed.but(seed.a_call(1, BEGIN), revision=2, ended_at=None, segments=()))
        assert await next_message(mine) == {"type": "gone", "id": call_id("pbx1", rings.linkedid)}


async def test_a_change_in_the_moment_of_opening_is_sent(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page loads its calls as soon as it has the answer; what changes after that it must hear."""
    call, accept = seed.but(seed.a_call(1, BEGIN), segments=()), WebSocket.accept

    async def accept_and_change(socket: WebSocket) -> None:
        await accept(socket)
        await report(agent, call)

    monkeypatch.setattr(WebSocket, "accept", accept_and_change)
    async with listening(site, admin) as socket:
        assert (await next_message(socket))["call"]["linkedid"] == call.linkedid


@pytest.mark.parametrize(
    ("origin", "heard"),
    [("{own}", True), ("https://evil.example", False), (None, False)],
    ids=["own page", "another site", "unsaid"],
)
async def test_a_cookie_opens_it_for_our_own_page_alone(
    site: Site, admin: httpx.AsyncClient, origin: str | None, heard: bool
) -> None:
    token = admin.headers["authorization"].removeprefix("Bearer ")
    headers = {"Cookie": f"fonoteka_session={token}"} | ({"Origin": origin.format(own=site.address)} if origin else {})
    async with listening(site, None, **headers) as socket:
        if heard:
            pong = await socket.ping()
            await asyncio.wait_for(pong, 60)
        else:
            with pytest.raises(ConnectionClosedError) as closed:
                await asyncio.wait_for(socket.recv(), 60)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401


async def test_a_session_that_ends_ends_it(site: Site, agent: httpx.AsyncClient) -> None:
    async with await site.log_in("152") as client, listening(site, client) as socket:
        await client.post("/api/logout")
        await report(agent, seed.a_call(1, BEGIN))
        with pytest.raises(ConnectionClosedError):
            await next_message(socket)


async def test_messages_of_the_client_are_ignored(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    async with listening(site, admin) as socket:
        for message in (b"\xff\0", "text", b""):
            await socket.send(message)
        await report(agent, seed.a_call(1, BEGIN))
        assert (await next_message(socket))["type"] == "call"


async def test_when_sending_fails_the_socket_is_closed(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise EOFError

    monkeypatch.setattr(live, "call_of", crash)
    with capture_logs() as logs:
        async with listening(site, admin) as socket:
            await report(agent, seed.a_call(1, BEGIN))
            with pytest.raises(ConnectionClosedError) as closed:
                await next_message(socket)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1011
    assert [line["event"] for line in logs] == ["live_socket.failed"]


async def test_changes_that_were_not_taken_become_one() -> None:
    hub = LiveHub()
    with hub.listening(1) as listener:
        hub.call_changed(1, "1", recording_only=True)
        hub.call_changed(1, "2", recording_only=True)
        hub.call_changed(1, "1", recording_only=False)
        hub.call_changed(1, "1", recording_only=True)
        assert await listener.take() == ({"1": False, "2": True}, False)
        for number in range(1500):
            hub.call_changed(1, str(number), recording_only=False)
        pending, overflowed = await listener.take()
        assert (len(pending), overflowed) == (500, True)
        hub.missed()
        assert await listener.take() == ({}, True)


def test_a_new_call_is_more_than_a_change_of_its_recording() -> None:
    def change(*, is_new: bool) -> CallChange:
        return CallChange(
            call_id=1,
            public_id="id",
            domain_id=2,
            direction=Direction.IN,
            result=Result.ANSWERED,
            ended_at=None,
            was_ended=False,
            is_new=is_new,
            was=None,
            recording=RecordingState.NONE,
            reason=None,
        )

    assert str(change(is_new=True).signal(recording_only=True)) == "call 2 id"
    assert str(change(is_new=False).signal(recording_only=True)) == "recording 2 id"


async def test_the_sockets_of_an_account_are_limited(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(listening(site, admin)) for _ in range(20)]
        await asyncio.gather(*[asyncio.wait_for(await socket.ping(), 60) for socket in sockets])
        async with listening(site, admin) as one_more:
            with pytest.raises(ConnectionClosedError) as closed:
                await asyncio.wait_for(one_more.recv(), 60)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4429
        async with await site.log_in("152") as colleague, listening(site, colleague) as theirs:
            await report(agent, seed.a_call(1, BEGIN))
            assert (await next_message(theirs))["type"] == "call"
        assert (await next_message(sockets[-1]))["type"] == "call"
        assert "fonoteka_live_sockets 20.0" in (await admin.get("/metrics")).text
        await sockets.pop().close()
        async with listening(site, admin) as again:
            await report(agent, seed.a_call(2, BEGIN))
            assert (await next_message(again))["type"] == "call"


async def test_a_session_that_ends_closes_its_sockets_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_SESSION_CHECKED_EACH_S", 3600.0)
    async with (
        await site.log_in("152") as client,
        await site.log_in("152") as other,
        listening(site, client) as socket,
        listening(site, other) as stays,
    ):
        await client.post("/api/logout")
        with pytest.raises(ConnectionClosedError) as closed:
            await asyncio.wait_for(socket.recv(), 60)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401
        await asyncio.wait_for(await stays.ping(), 60)


async def test_the_long_polls_of_a_pbx_are_limited(site: Site, agent: httpx.AsyncClient) -> None:
    version = (await agent.get("/agent/v1/settings")).json()["version"]
    paths = ("/agent/v1/settings", "/agent/v1/commands")
    async with site.client(seed.PBX_TOKEN) as patient:
        polls = [
            asyncio.create_task(
                patient.get(paths[number % 2], params={"wait_s": 60} | ({"known": version} if number % 2 == 0 else {}))
            )
            for number in range(16)
        ]
        await eventually(lambda: site.services.agent_polls.in_use == 16)
        refused = [await agent.get(path, params={"wait_s": 1}) for path in paths]
        assert [(answer.status_code, answer.json()["type"]) for answer in refused] == [(429, "/problems/too-many-polls")] * 2
        assert {answer.headers["retry-after"] for answer in refused} == {"10"}
        await site.services.settings.release()
        await site.services.commands.release()
        assert {answer.status_code for answer in await asyncio.gather(*polls)} == {200, 204}
    assert (await agent.get("/agent/v1/settings")).status_code == 200
