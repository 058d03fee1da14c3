"""The channels that Asterisk lists, compared with its events.

A call whose end never came ends all the same.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from agent.ami.client import AmiClient, AmiEvent
from agent.calls import resync as comparing
from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call
from agent.calls.channel_snapshot import LAYOUTS as LISTED
from agent.calls.channel_snapshot import Listed, snapshot
from agent.calls.event_reader import LAYOUTS, WANTED, read_event
from agent.calls.events import BridgeEntered, ChannelEnded, ChannelStarted, Event
from agent.calls.resync import Resync
from lab.asterisk.server import LabAsterisk
from lab.scenarios.hostile_callers import HOSTILE_NUMBERS
from lab.scenarios.steps import CALLER, answered, watcher
from lab.sip.handset import TRUNK, handset
from tests.support.eventually import LIMIT_S, eventually


async def test_lost_ends_and_callers_who_cut_the_list_in_pieces(pbx: LabAsterisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls of hostile callers; of one the end is not heard.

    While they last nothing is found to be amiss.
    """
    monkeypatch.setattr(comparing, "EVENTS_ARRIVE_WITHIN_S", 0.5)
    board, found, heard = CallRegistry(), list[Event](), list[Event]()
    client = AmiClient(
        pbx.ami, pbx.ami_user, pbx.ami_secret, events=WANTED - {"Hangup", "BridgeLeave"}, layouts={**LAYOUTS, **LISTED}
    )

    def take(event: Event) -> None:
        found.append(event)
        board.take(event)

    async def follow() -> None:
        while True:
            said = await client.next()
            if isinstance(said, AmiEvent) and (event := read_event(said.name, said.headers, said.received_at)) is not None:
                heard.append(event)
                board.take(event)

    checking = Resync(client, board, take, lambda call: datetime.now(UTC))
    tasks = [asyncio.create_task(work) for work in (client.run(), follow())]

    async def ended() -> bool:
        await checking.compare()
        return any(call.ended_at is not None for call in board.calls.values())

    try:
        await eventually(lambda: client.connected)
        async with handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk, handset(pbx, "421") as other:
            first, _ = await answered(outside, "2458152", desk, user=HOSTILE_NUMBERS["forging"])
            second, _ = await answered(outside, "2458421", other, user=HOSTILE_NUMBERS["list"])
            await eventually(lambda: sum(isinstance(event, BridgeEntered) for event in heard) == 4)
            await checking.compare()
            assert not found
            seen = await snapshot(client, datetime.now(UTC))
            assert len([event for event in seen if isinstance(event, BridgeEntered)]) == 4
            await first.hang_up()
            await eventually(ended)
            assert [call.ended_at is not None for call in board.calls.values()] == [True, False]
            assert {type(event) for event in found} == {ChannelEnded}
            await second.hang_up()
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


@pytest.mark.parametrize(
    "line_ends",
    ["%0d%0aX%3a%20", "%0d%0a%0d%0aEvent%3a%20Hangup%0d%0aX%3a%20"],
    ids=["a line", "a message"],
)
async def test_a_302_with_line_ends_is_followed_as_any_other(pbx: LabAsterisk, line_ends: str) -> None:
    """Asterisk writes its Contact into the names of two Local channels, before any number."""
    client = AmiClient(pbx.ami, pbx.ami_user, pbx.ami_secret, events=WANTED, layouts={**LAYOUTS, **LISTED})
    running, board, listed = asyncio.create_task(client.run()), CallRegistry(), list[Event]()

    async def forwarded() -> Call | None:
        async with asyncio.timeout(LIMIT_S):
            said = await client.next()
        if isinstance(said, AmiEvent) and (event := read_event(said.name, said.headers, said.received_at)) is not None:
            board.take(event)
        call = next(iter(board.calls.values()), None)
        return call if call is not None and len(call.dials) == 3 else None

    try:
        await eventually(lambda: client.connected)
        async with handset(pbx, TRUNK) as outside, handset(pbx, "421") as desk:
            line = outside.dial("2458421")
            (await desk.rung()).refuse("302 Moved Temporarily", forward_to=f"8104930901820{line_ends}")
            call = await eventually(forwarded)
            listed += await snapshot(client, datetime.now(UTC))
            await line.hang_up()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    customer, desk_line, one, two, abroad = call.channels.values()
    assert [channel.endpoint for channel in (customer, desk_line, abroad)] == ["PJSIP/trunk", "PJSIP/acme-421", "PJSIP/trunk"]
    assert (one.is_local, two.is_local, one.other_half) == (True, True, two.name)
    assert [(dial.caller, dial.callee) for dial in call.dials] == [
        (customer.uniqueid, desk_line.uniqueid),
        (customer.uniqueid, one.uniqueid),
        (two.uniqueid, abroad.uniqueid),
    ]
    assert {event.uniqueid for event in listed if isinstance(event, ChannelStarted)} >= {one.uniqueid, two.uniqueid}


async def test_parked_callers_do_not_talk_and_a_conference_is_one(pbx: LabAsterisk) -> None:
    """The list of channels alone does not say so: both are in a bridge."""
    client = AmiClient(pbx.ami, pbx.ami_user, pbx.ami_secret, events=frozenset(), layouts=LISTED)
    running = asyncio.create_task(client.run())
    try:
        async with watcher(pbx) as tap, handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk, handset(pbx, "421") as other:
            parked, employee = await answered(outside, "2458152", desk)
            await tap.wait_until(lambda tap: sum(message.get("Event") == "BridgeEnter" for message in tap.messages) >= 2)
            await employee.transfer("700")  # before both are in their bridge it is refused
            await tap.wait_for(lambda message: message.get("Event") == "ParkedCall")
            guest = await other.call(pbx.company.conference)
            await employee.over()
            joined = f"PJSIP/{pbx.company.endpoint('421')}-"
            await tap.wait_for(lambda message: message.get("Event") == "BridgeEnter" and message["Channel"].startswith(joined))
            seen = await snapshot(client, datetime.now(UTC))
            talks = [event for event in seen if isinstance(event, BridgeEntered)]
            assert [event.conference for event in talks] == [True], seen
            await parked.hang_up()
            await guest.hang_up()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_a_call_found_in_progress_has_the_number_that_was_dialled_first(pbx: LabAsterisk) -> None:
    """Without a journal: the dialplan has led the caller to 152, and to a menu, since."""

    async def nothing_known(listed: list[Listed]) -> None:
        pass

    def take(event: Event) -> None:
        registry.take(event)

    client = AmiClient(pbx.ami, pbx.ami_user, pbx.ami_secret, events=frozenset(), layouts=LISTED)
    running = asyncio.create_task(client.run())
    registry = CallRegistry()
    try:
        await eventually(lambda: client.connected)
        async with handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk:
            begun_at = datetime.now(UTC)
            there, _ = await answered(outside, "2458152", desk, user=CALLER)
            menu = outside.dial(pbx.company.menu_number, user=CALLER)
            await menu.up()
            resync = Resync(client, registry, take, lambda call: begun_at)
            await resync.after_login(nothing_known)
            origins = [call.origin for call in registry.calls.values()]
            assert {(origin.caller_num, origin.exten) for origin in origins if origin is not None} == {
                (CALLER, "2458152"),
                (CALLER, pbx.company.menu_number),
            }
            # Asterisk gives the age of a channel in whole seconds.
            assert all(call.started_at >= begun_at - timedelta(seconds=1.1) for call in registry.calls.values())
            await there.hang_up()
            await menu.hang_up()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
