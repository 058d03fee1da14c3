"""The AMI client against a server that misbehaves (docs/decisions/0003-ami-client.md)."""

import asyncio
import socket
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from agent.ami.client import AmiClient, LinkDown, LinkUp
from fonoteka.core.errors import AmiActionFailed, AmiError, AmiRefused, AmiTimeout, AmiUnreachable, AmiUnsafe
from tests.support.ami_server import (
    EVENTS,
    LIMIT_S,
    SECRET,
    AmiServer,
    connected_client,
    event,
    make_client,
    next_event,
    next_item,
    next_link_down,
    running,
)

LIST_BEGIN = b"Response: Success\r\nActionID: {id}\r\nEventList: start\r\nMessage: will follow\r\n\r\n"
LIST_ITEM = b"Event: CoreShowChannel\r\nActionID: {id}\r\nChannel: PJSIP/%d\r\n\r\n"
LIST_END = b"Event: CoreShowChannelsComplete\r\nActionID: {id}\r\nEventList: Complete\r\nListItems: 2\r\n\r\n"


# ---- login


async def test_events_before_the_login_response_are_delivered_after_link_up() -> None:
    server = AmiServer()
    server.before_login = event("FullyBooted")
    server.with_login = event("Hangup", 1)
    await server.start()
    client = make_client(server)
    async with running(client):
        assert await next_item(client) == LinkUp(version="11.0.0")
        assert client.connected
        assert [(await next_event(client)).name for _ in range(2)] == ["FullyBooted", "Hangup"]
    assert await next_link_down(client) == "the client was stopped"
    assert not client.connected
    await server.stop()


async def test_a_list_can_be_requested_as_soon_as_the_link_is_up() -> None:
    async with connected_client() as (server, client):
        server.answers["CoreShowChannels"] = LIST_BEGIN + LIST_END
        assert await client.listing("CoreShowChannels") == []


async def test_the_secret_is_neither_sent_nor_shown() -> None:
    server = AmiServer()
    server.secret = "another"
    await server.start()
    client = make_client(server)
    with capture_logs() as logs, pytest.raises(AmiRefused) as refusal:
        await client.run()
    shown = [repr(client), str(vars(client)), repr(refusal.value), repr(refusal.value.__cause__), repr(logs)]
    assert SECRET.encode() not in server.bytes_received
    assert not [text for text in shown if SECRET in text]
    await server.stop()


async def _refused(server: AmiServer) -> None:
    server.secret = "another"


async def _another_service(server: AmiServer) -> None:
    server.greeting = b"SSH-2.0-OpenSSH_9.2\r\n"


async def _silent(server: AmiServer) -> None:
    server.frozen = True


async def _stopped(server: AmiServer) -> None:
    await server.stop()


@pytest.mark.parametrize(
    ("prepare", "login_timeout_s", "error", "message"),
    [
        (
            _refused,
            LIMIT_S,
            AmiRefused,
            "turned the user 'fonoteka' down (Login: Authentication failed); check pbx.ami_user and pbx.ami_secret",
        ),
        (_another_service, LIMIT_S, AmiRefused, "the service there is not Asterisk's manager interface; check pbx.ami"),
        (_silent, 0.1, AmiUnreachable, "no answer from Asterisk within 0.1 s); is it Asterisk's manager port, and Asterisk well?"),
        (_stopped, LIMIT_S, AmiUnreachable, "nobody listens there; is Asterisk running, with enabled = yes in manager.conf?"),
    ],
)
async def test_the_reason_of_a_failed_connection_is_one_line(
    prepare: object, login_timeout_s: float, error: type[AmiError], message: str
) -> None:
    server = AmiServer()
    await server.start()
    await prepare(server)  # type: ignore[operator]
    client = make_client(server, login_timeout_s=login_timeout_s)
    failure = await _first_failure(client)
    assert type(failure) is error
    assert str(failure).startswith(f"pbx.ami = 127.0.0.1:{server.address[1]}: ")
    assert message in str(failure)
    assert len(str(failure).splitlines()) == 1
    await server.stop()


async def test_an_unknown_host() -> None:
    failure = await _first_failure(AmiClient(("no-such-host.invalid", 5038), "f", "x", events=EVENTS))
    assert type(failure) is AmiUnreachable
    assert str(failure).startswith("pbx.ami = no-such-host.invalid:5038: no such host")


async def _first_failure(client: AmiClient) -> AmiError:
    """Return the first failure: AmiRefused is raised, LinkDown reports that it is unreachable."""
    run, first = asyncio.create_task(client.run()), asyncio.create_task(client.next())
    await asyncio.wait((run, first), timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
    try:
        if run.done():
            with pytest.raises(AmiRefused) as refusal:
                run.result()
            return refusal.value
        with pytest.raises(AmiUnreachable, match="not connected"):
            await client.action("Ping")
        link = first.result()
        assert isinstance(link, LinkDown)
        return AmiUnreachable(link.reason)
    finally:
        run.cancel()
        first.cancel()
        with suppress(asyncio.CancelledError, AmiRefused):
            await run


async def test_a_login_refused_later_is_retried_with_waits_that_grow_to_the_limit() -> None:
    async with connected_client(first_retry_s=0.02, most_retry_s=0.1) as (server, client):
        server.secret = "another"
        with capture_logs() as logs:
            server.disconnect()
            assert await next_link_down(client) == "Asterisk closed the connection"
            await server.wait_received("Login", times=7)
        assert "turned the user 'fonoteka' down" in logs[-1]["reason"]
        steps_s = (0.02, 0.04, 0.08, 0.1, 0.1)
        assert all(step / 2 <= log["retry_in_s"] <= step for step, log in zip(steps_s, logs, strict=False))
        server.secret = SECRET
        assert isinstance(await next_item(client), LinkUp)


async def test_the_waits_start_over_after_an_answered_ping() -> None:
    async with connected_client(first_retry_s=0.02, most_retry_s=1.0, ping_every_s=0.02) as (server, client):
        server.secret = "another"
        server.disconnect()
        await server.wait_received("Login", times=4)
        server.secret = SECRET
        assert isinstance(await next_item(client), LinkDown)
        assert isinstance(await next_item(client), LinkUp)
        await server.wait_received("Ping", times=len(server.sent("Ping")) + 2)
        with capture_logs() as logs:
            server.disconnect()
            assert isinstance(await next_item(client), LinkDown)
            assert isinstance(await next_item(client), LinkUp)
        assert logs[0]["retry_in_s"] <= 0.02


# ---- staying connected


SHUTTING_DOWN = b"Response: Error\r\nActionID: {id}\r\nMessage: Asterisk is shutting down\r\n\r\n"


async def test_a_ping_refused_by_an_asterisk_that_is_shutting_down_ends_the_session_alone() -> None:
    async with connected_client(ping_every_s=0.02) as (server, client):
        answered, server.answers["Ping"] = server.answers["Ping"], SHUTTING_DOWN
        await next_link_down(client)
        server.answers["Ping"] = answered
        assert isinstance(await next_item(client), LinkUp)
        server.answers["Originate"] = SHUTTING_DOWN
        with pytest.raises(AmiUnreachable, match="Originate: Asterisk is shutting down"):
            await client.action("Originate")


async def test_a_first_login_to_an_asterisk_that_is_shutting_down_is_retried() -> None:
    server = AmiServer()
    await server.start()
    server.answers["Challenge"] = SHUTTING_DOWN
    client = make_client(server)
    async with running(client):
        assert "shutting down" in await next_link_down(client)
        del server.answers["Challenge"]
        assert isinstance(await next_item(client), LinkUp)
    await server.stop()


async def test_a_ping_answered_with_another_error_is_an_answer() -> None:
    async with connected_client(ping_every_s=0.02) as (server, client):
        server.answers["Ping"] = b"Response: Error\r\nActionID: {id}\r\nMessage: Permission denied\r\n\r\n"
        await server.wait_received("Ping", times=3)
        assert client.connected
        assert server.logins == 1


async def test_a_frozen_server_is_detected_by_ping() -> None:
    async with connected_client(ping_every_s=0.05, ping_timeout_s=0.1) as (server, client):
        server.frozen = True
        assert await next_link_down(client) == "Asterisk did not answer a ping within 0.1 s"
        assert not client.connected
        server.frozen = False
        assert isinstance(await next_item(client), LinkUp)


@pytest.mark.parametrize(
    "forged",
    [
        b"Event: Shutdown\r\nPrivilege: system,all\r\nShutdown: Cleanly\r\n\r\n",
        b"Response: Goodbye\r\nMessage: Thanks for all the fish.\r\n\r\n",
    ],
    ids=["shutdown", "goodbye"],
)
async def test_a_forged_goodbye_does_not_break_the_link(forged: bytes) -> None:
    """`%0d%0a` in a SIP number comes unescaped in AMI events (streams/forging_caller.txt)."""
    async with connected_client() as (server, client):
        server.send(event("Hangup", 1) + forged + event("Hangup", 2))
        assert [(await next_event(client)).headers["Uniqueid"] for _ in range(2)] == ["1", "2"]
        assert client.connected
        assert server.logins == 1


@pytest.mark.parametrize(
    ("sent", "reason"),
    [(b"Event: x" + b"x" * (4 << 20), "a message of more than 4194304 bytes came")],
    ids=["message without end"],
)
async def test_the_link_goes_down_and_is_restored(sent: bytes, reason: str) -> None:
    async with connected_client() as (server, client):
        server.send(event("Hangup", 1) + sent)
        assert (await next_event(client)).headers["Uniqueid"] == "1"
        assert await next_link_down(client) == reason
        assert isinstance(await next_item(client), LinkUp)
        server.send(event("Hangup", 2))
        assert (await next_event(client)).headers["Uniqueid"] == "2"
        assert server.logins == 2


async def test_the_kernel_detects_a_peer_whose_machine_is_gone() -> None:
    async with connected_client() as (_, client):
        session = client._session
        assert session is not None
        sock = session._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


# ---- events


async def test_wanted_events_are_delivered_in_order() -> None:
    async with connected_client() as (server, client):
        server.send(b"".join(event("VarSet" if number % 2 else "Hangup", number) for number in range(100)))
        assert [(await next_event(client)).headers["Uniqueid"] for _ in range(50)] == [str(n) for n in range(0, 100, 2)]


async def test_a_character_split_by_the_network_is_decoded() -> None:
    async with connected_client() as (server, client):
        raw = "Event: Newchannel\r\nCallerIDName: Ж\r\n\r\n".encode()
        cut = raw.index("Ж".encode()) + 1
        server.send(event("Hangup") + raw[:cut])
        await next_event(client)  # so the client has read the bytes sent with it
        server.send(raw[cut:])
        assert (await next_event(client)).headers["CallerIDName"] == "Ж"


async def test_bytes_that_are_not_utf_8_are_replaced() -> None:
    async with connected_client() as (server, client):
        server.send(b"Event: Newchannel\r\nCallerIDName: \xff\xd0 x\r\nUniqueid: 7\r\n\r\n")
        headers = (await next_event(client)).headers
        assert (headers["CallerIDName"], headers["Uniqueid"]) == ("�� x", "7")


async def test_an_exception_in_the_consumer_does_not_break_the_link() -> None:
    async def consume() -> None:
        raise RuntimeError((await next_event(client)).headers["Uniqueid"])

    async with connected_client() as (server, client):
        server.send(b"".join(event("Hangup", number) for number in range(3)))
        for number in range(3):
            with pytest.raises(RuntimeError, match=str(number)):
                await asyncio.create_task(consume())
        assert client.connected
        assert server.logins == 1


async def _until_down(client: AmiClient) -> None:
    """Wait for the end of the connection; take nothing from the queue."""
    assert client._session is not None
    await asyncio.wait_for(asyncio.shield(client._session.closed), LIMIT_S)
    assert not client.connected


async def test_a_slow_consumer_gets_all_events_before_the_overflow() -> None:
    async with connected_client(queue_size=10) as (server, client):
        server.send(b"".join(event("Hangup", number) for number in range(25)))
        await _until_down(client)
        assert [(await next_event(client)).headers["Uniqueid"] for _ in range(10)] == [str(number) for number in range(10)]
        assert (await next_link_down(client)).startswith("overflow")
        assert isinstance(await next_item(client), LinkUp)


async def test_no_login_before_the_overflow_is_consumed() -> None:
    async with connected_client(queue_size=10) as (server, client):
        with capture_logs() as logs:
            server.send(b"".join(event("Hangup", number) for number in range(25)))
            await _until_down(client)
            for _ in range(5):
                await next_event(client)
            assert (server.logins, logs) == (1, [])
            for _ in range(5):
                await next_event(client)
            assert (await next_link_down(client)).startswith("overflow")
            assert isinstance(await next_item(client), LinkUp)


# ---- actions


async def test_a_response_with_repeated_headers() -> None:
    async with connected_client() as (server, client):
        server.answers["Command"] = b"Response: Success\r\nActionID: {id}\r\nOutput: one\r\nOutput: two\r\n\r\n"
        assert (await client.action("Command", Command="x"))["Output"] == "one\ntwo"


async def test_responses_in_another_order_are_matched_to_their_actions() -> None:
    async with connected_client() as (server, client):
        first, second = (asyncio.create_task(client.action("Getvar", Variable=name)) for name in ("a", "b"))
        await server.wait_received("Getvar", times=2)
        for message in reversed(server.sent("Getvar")):
            server.send(f"Response: Success\r\nActionID: {message['ActionID']}\r\nValue: {message['Variable']}\r\n\r\n".encode())
        assert [(await first)["Value"], (await second)["Value"]] == ["a", "b"]


async def test_an_error_response_is_raised_with_its_message() -> None:
    async with connected_client() as (server, client):
        server.answers["MixMonitor"] = b"Response: Error\r\nActionID: {id}\r\nMessage: No such channel\r\n\r\n"
        with pytest.raises(AmiActionFailed, match=r"^MixMonitor: No such channel$"):
            await client.action("MixMonitor", Channel="PJSIP/x")


@pytest.mark.parametrize("headers", [{"Channel": "a\r\n\r\nAction: Originate"}, {"A: b\r\nAction": "Originate"}, {"V": "x" * 1024}])
async def test_an_injection_is_refused_before_a_byte_is_sent(headers: dict[str, str]) -> None:
    async with connected_client() as (server, client):
        before = len(server.bytes_received)
        with pytest.raises(AmiUnsafe):
            await client.action("Setvar", timeout_s=5, **headers)
        with pytest.raises(AmiUnsafe):
            await client.listing("Status\r\nX")
        await client.action("Ping")
        assert server.bytes_received[before:].startswith(b"Action: Ping\r\n")


async def test_an_unanswered_action_times_out_and_its_late_response_is_ignored() -> None:
    async with connected_client() as (server, client):
        with pytest.raises(AmiTimeout, match=r"Originate: no answer from Asterisk within 0\.05 s"):
            await client.action("Originate", timeout_s=0.05)
        late = (await server.wait_received("Originate"))["ActionID"]
        server.send(f"Response: Success\r\nActionID: {late}\r\n\r\n".encode())
        assert (await client.action("Ping"))["Ping"] == "Pong"


async def test_an_unanswered_action_is_not_sent_again() -> None:
    async with connected_client() as (server, client):
        asked = asyncio.create_task(client.action("Originate", Channel="Local/1@a"))
        await server.wait_received("Originate")
        server.disconnect()
        with pytest.raises(AmiUnreachable, match="Asterisk closed the connection"):
            await asked
        assert isinstance(await next_item(client), LinkDown)
        assert isinstance(await next_item(client), LinkUp)
        await client.action("Ping")  # actions sent at login arrive before it
        assert len(server.sent("Originate")) == 1


async def test_text_in_an_event_is_not_taken_for_a_response() -> None:
    async with connected_client() as (server, client):
        asked = asyncio.create_task(client.action("Originate"))
        action_id = (await server.wait_received("Originate"))["ActionID"]
        server.send(f"Event: Hangup\r\nActionID: {action_id}\r\nResponse: Error\r\nCause: Response: Error\r\n\r\n".encode())
        assert (await next_event(client)).headers["Response"] == "Error"
        assert not asked.done()
        server.send(f"Response: Success\r\nActionID: {action_id}\r\nMessage: done\r\n\r\n".encode())
        assert (await asked)["Message"] == "done"


async def test_actions_are_refused_while_the_server_does_not_read() -> None:
    async with connected_client() as (server, client):
        transport = server.connections[-1].transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        with pytest.raises(AmiUnreachable, match="does not read"):
            for _ in range(20_000):
                with suppress(AmiTimeout):
                    await client.action("Setvar", timeout_s=0, Value="x" * 1000)


# ---- lists


async def test_the_items_of_a_list_are_not_delivered_as_events() -> None:
    async with connected_client() as (server, client):
        items = LIST_ITEM % 1 + event("Hangup", 5) + LIST_ITEM % 2
        server.answers["CoreShowChannels"] = LIST_BEGIN + items + LIST_END
        rows = await client.listing("CoreShowChannels")
        assert [row["Channel"] for row in rows] == ["PJSIP/1", "PJSIP/2"]
        assert (await next_event(client)).headers["Uniqueid"] == "5"


@pytest.mark.parametrize("answer", [b"", LIST_BEGIN, LIST_BEGIN + LIST_ITEM % 1])
async def test_an_incomplete_list_times_out(answer: bytes) -> None:
    async with connected_client() as (server, client):
        server.answers["CoreShowChannels"] = answer
        with pytest.raises(AmiTimeout, match=r"CoreShowChannels: no complete list from Asterisk within 0\.05 s"):
            await client.listing("CoreShowChannels", timeout_s=0.05)
        assert client.connected


async def test_a_list_fails_at_once_when_the_connection_closes() -> None:
    async with connected_client() as (server, client):
        server.answers["CoreShowChannels"] = LIST_BEGIN + LIST_ITEM % 1
        asked = asyncio.create_task(client.listing("CoreShowChannels"))
        await server.wait_received("CoreShowChannels")
        server.disconnect()
        with pytest.raises(AmiUnreachable):
            await asyncio.wait_for(asked, LIMIT_S)


async def test_a_late_item_of_a_list_is_not_an_event() -> None:
    """The items of DeviceStateList have the name of an event."""
    async with connected_client() as (server, client):
        with pytest.raises(AmiTimeout):
            await client.listing("HangupList", timeout_s=0.05)
        late = (await server.wait_received("HangupList"))["ActionID"]
        server.send(f"Event: Hangup\r\nActionID: {late}\r\nUniqueid: late\r\n\r\n".encode() + event("Hangup", 6))
        assert (await next_event(client)).headers["Uniqueid"] == "6"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"Response: Success\r\nActionID: {id}\r\n\r\n", "does not answer with a list"),
        (b"Response: Error\r\nActionID: {id}\r\nMessage: Permission denied\r\n\r\n", "Permission denied"),
        (LIST_BEGIN + b"Event: XComplete\r\nActionID: {id}\r\nEventList: Cancelled\r\n\r\n", "was cancelled"),
    ],
)
async def test_a_response_that_is_not_a_list(answer: bytes, message: str) -> None:
    async with connected_client() as (server, client):
        server.answers["Ghosts"] = answer
        with pytest.raises(AmiActionFailed, match=message):
            await client.listing("Ghosts")
