"""The AMI client on a real Asterisk.

Logging in, order, what is refused, and an Asterisk that freezes, goes and comes back.
"""

import asyncio
import ctypes
import inspect
import os
import signal
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from agent.ami.client import AmiClient, AmiEvent, Garbled, LinkDown, LinkUp
from agent.calls.event_reader import WANTED
from fonoteka.core.errors import AmiActionFailed, AmiRefused, AmiUnreachable, AmiUnsafe
from lab.asterisk.config import WATCHER
from lab.asterisk.server import LabAsterisk
from lab.base.ami_witness import AmiWitness
from lab.sip.sipp_calls import call_from_trunk
from lab.sip.sipp_phones import answering
from tests.support.eventually import LIMIT_S

SO_ATTACH_FILTER = 26  # not in Python's module
INJECTED = "1\r\n\r\nAction: UserEvent\r\nUserEvent: Injected"


@asynccontextmanager
async def linked(
    pbx: LabAsterisk, events: frozenset[str] = WANTED, user: str = "", address: tuple[str, int] | None = None, **options: Any
) -> AsyncIterator[AmiClient]:
    """A client that has logged in; its LinkUp is taken."""
    client = AmiClient(address or pbx.ami, user or pbx.ami_user, pbx.ami_secret, events=events, **options)
    run = asyncio.create_task(client.run())
    try:
        assert isinstance(await following(client), LinkUp)
        yield client
    finally:
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run


async def following(client: AmiClient, within_s: float = LIMIT_S) -> AmiEvent | LinkUp | LinkDown | Garbled:
    async with asyncio.timeout(within_s):
        return await client.next()


async def events_until(client: AmiClient, last: str) -> list[AmiEvent]:
    """The events up to the first of that name."""
    seen: list[AmiEvent] = []
    while not seen or seen[-1].name != last:
        item = await following(client)
        assert isinstance(item, AmiEvent)
        seen.append(item)
    return seen


async def test_the_operators_account_logs_in_without_its_secret_on_the_wire(pbx: LabAsterisk) -> None:
    async with relay(pbx.ami) as (address, sent), linked(pbx, address=address) as client:
        assert (await client.action("Ping"))["Ping"] == "Pong"
        assert await client.listing("CoreShowChannels") == []
    assert b"Action: Login" in sent
    assert pbx.ami_secret.encode() not in sent


@pytest.mark.parametrize(("user", "secret"), [("fonoteka", "wrong"), ("nobody", "wrong"), ("fonoteka", "")])
async def test_a_wrong_secret_and_a_wrong_user_are_refused(pbx: LabAsterisk, user: str, secret: str) -> None:
    client = AmiClient(pbx.ami, user, secret, events=WANTED)
    with pytest.raises(AmiRefused, match=r"Authentication failed\); check pbx.ami_user and pbx.ami_secret"):
        await asyncio.wait_for(client.run(), LIMIT_S)


async def test_a_calls_events_come_in_the_order_asterisk_sent_them(pbx: LabAsterisk) -> None:
    async with AmiWitness(pbx.ami, WATCHER, pbx.ami_secret) as tap, linked(pbx, user=WATCHER) as client:
        async with answering(pbx, "152", answer_after_s=0.1):
            await call_from_trunk(pbx, dialled="2458152", talk_s=0.5)
        ours = await events_until(client, "Hangup")
        ours += await events_until(client, "Hangup")
        await tap.wait_until(lambda heard: sum(message.get("Event") == "Hangup" for message in heard.messages) == 2)
    heard = [message for message in tap.messages if message.get("Event") in WANTED]
    assert [(event.name, event.headers["Timestamp"]) for event in ours] == [(m["Event"], m["Timestamp"]) for m in heard]
    assert len(ours) >= 10


async def test_a_name_in_cyrillic_survives_segments_of_one_byte(pbx: LabAsterisk) -> None:
    async with relay(pbx.ami, bytewise=True) as (address, _), linked(pbx, address=address) as client:
        await call_from_trunk(pbx, dialled="2458888", caller_name="Жанна Щёкина", give_up_after_s=0.5, talk_s=0.2)
        begun = (await events_until(client, "Newchannel"))[-1]
    assert begun.headers["CallerIDName"] == "Жанна Щёкина"


async def test_an_injection_is_real_and_never_gets_out(pbx: LabAsterisk) -> None:
    """What a naive client would have sent runs a second action on this Asterisk.

    Ours sends nothing.
    """
    async with (
        AmiWitness(pbx.ami, WATCHER, pbx.ami_secret) as tap,
        linked(pbx, user=WATCHER, events=frozenset({"UserEvent"})) as client,
    ):
        for headers in ({"Variable": "X", "Value": INJECTED}, {f"Variable: X\r\nValue: {INJECTED}\r\nX": "y"}):
            with pytest.raises(AmiUnsafe):
                await client.action("Setvar", timeout_s=5, **headers)
        await client.action("UserEvent", UserEvent="Marker")
        await tap.wait_for(lambda message: message.get("UserEvent") == "Marker")
        assert not [message for message in tap.messages if message.get("UserEvent") == "Injected"]
        await tap.action(Action="Setvar", Variable="X", Value=INJECTED)
        await tap.wait_for(lambda message: message.get("UserEvent") == "Injected")


async def test_the_longest_that_we_send_asterisk_takes(pbx: LabAsterisk) -> None:
    async with linked(pbx) as client:
        assert (await client.action("Ping", X="x" * 1019))["Ping"] == "Pong"
        assert (await client.action("Ping", X=["y"] * 126))["Ping"] == "Pong"
        with pytest.raises(AmiActionFailed, match="No such channel"):
            await client.action("MixMonitor", Channel="PJSIP/nobody-1", File="x.wav")
        assert client.connected


async def test_a_frozen_asterisk_is_left_and_found_again(spare_pbx: LabAsterisk) -> None:
    async with linked(spare_pbx, ping_every_s=0.2, ping_timeout_s=3, most_retry_s=0.5) as client:
        os.kill(spare_pbx.pid, signal.SIGSTOP)
        try:
            assert await following(client) == LinkDown(reason="Asterisk did not answer a ping within 3 s")
            with pytest.raises(AmiUnreachable, match="not connected"):
                await client.action("Ping")
        finally:
            os.kill(spare_pbx.pid, signal.SIGCONT)
        assert isinstance(await following(client), LinkUp)
        assert (await client.action("Ping"))["Ping"] == "Pong"


async def test_a_restart_takes_the_link_down_and_brings_it_back(spare_pbx: LabAsterisk) -> None:
    async with linked(spare_pbx, most_retry_s=0.5) as client:
        restarting = asyncio.create_task(spare_pbx.restart())
        down = await following(client)
        assert isinstance(down, LinkDown)
        assert down.reason in ("Asterisk is shutting down", "Asterisk closed the connection")
        assert isinstance(await following(client), LinkUp)
        assert await client.listing("CoreShowChannels") == []
        await restarting


async def test_a_kill_takes_the_link_down_at_once(spare_pbx: LabAsterisk) -> None:
    async with linked(spare_pbx, most_retry_s=0.5) as client:
        await spare_pbx.kill()
        assert isinstance(await following(client), LinkDown)
        await spare_pbx.start()
        assert isinstance(await following(client), LinkUp)


def cut_off(client: AmiClient) -> None:
    """Let the kernel drop each packet that comes to the client: half open, without a reset."""
    assert client._session is not None
    dropping = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # the filter "return 0 bytes" of bpf
    line = client._session._transport.get_extra_info("socket")
    line.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(dropping)))


async def test_a_link_that_is_cut_without_a_word_is_left_and_found_again(pbx: LabAsterisk) -> None:
    async with linked(pbx, ping_every_s=0.2, ping_timeout_s=1, most_retry_s=0.5) as client:
        cut_off(client)
        assert await following(client) == LinkDown(reason="Asterisk did not answer a ping within 1 s")
        assert isinstance(await following(client), LinkUp)
        assert (await client.action("Ping"))["Ping"] == "Pong"


async def test_a_link_that_trickles_is_left_and_found_again(pbx: LabAsterisk) -> None:
    """Bytes come without end, but too slowly to follow a call by."""
    narrow = asyncio.Event()
    async with (
        relay(pbx.ami, narrow=narrow) as (address, _),
        linked(pbx, address=address, ping_every_s=0.2, ping_timeout_s=1, most_retry_s=0.5) as client,
    ):
        narrow.set()
        assert await following(client) == LinkDown(reason="Asterisk did not answer a ping within 1 s")
        narrow.clear()
        assert isinstance(await following(client), LinkUp)


def test_by_default_a_link_is_found_lost_within_15_s() -> None:
    defaults = inspect.signature(AmiClient).parameters
    assert defaults["ping_every_s"].default + defaults["ping_timeout_s"].default < 15


@asynccontextmanager
async def relay(
    target: tuple[str, int], *, bytewise: bool = False, narrow: asyncio.Event | None = None
) -> AsyncIterator[tuple[tuple[str, int], bytearray]]:
    """Run a relay that keeps what the client sends; Asterisk's bytes may come one by one.

    While `narrow` is set, one of them comes each 50 ms.
    """
    sent = bytearray()
    tasks: list[asyncio.Task[None]] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray | None) -> None:
        try:
            while chunk := await reader.read(1 << 16):
                if kept is not None:
                    kept += chunk
                is_cut = kept is None and (bytewise or (narrow is not None and narrow.is_set()))
                for part in (chunk[i : i + 1] for i in range(len(chunk))) if is_cut else (chunk,):
                    writer.write(part)
                    if narrow is not None and narrow.is_set():
                        await asyncio.sleep(0.05)
                    for _ in range(2 if bytewise else 0):
                        # The client, in the same loop, reads it before the next is sent.
                        await asyncio.sleep(0)
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*target)
        tasks.append(asyncio.create_task(pump(there, writer, None)))
        tasks.append(asyncio.create_task(pump(reader, back, sent)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname(), sent
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_ping_says_what_time_asterisk_has(pbx: LabAsterisk) -> None:
    """The agent finds a jump of the clock by it, at a login, when no event has come yet."""
    async with linked(pbx) as client:
        at_s = float((await client.action("Ping"))["Timestamp"])
    assert abs(time.time() - at_s) < LIMIT_S
