"""Flows in which the parties of a talk have calls of their own, and pages.

Agents on an open line, two calls joined by a program, a conference room, a page, a parked call.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

from lab.asterisk.server import LabAsterisk
from lab.base.ami_witness import AmiWitness, Message
from lab.scenarios.steps import CALLER, CUSTOMER, PhoneCalls, answered, answers, customer_with, talk, talk_and_leave, watcher
from lab.sip.handset import TRUNK, Handset, handset
from lab.sip.line import Line
from lab.sip.sipp import SipCall

SECOND: Final = "second customer"
SECOND_CALLER: Final = "89137654321"
AGENTS: Final = "2458910"
AGENT_152: Final = "2458911"
ROOM: Final = "2458912"
PAGE_ALL: Final = "2458913"


async def agent_takes_two(pbx: LabAsterisk) -> PhoneCalls:
    """152 logs in and waits on an open line; one customer comes by the queue, one asks for 152."""
    own = pbx.company.own
    async with watcher(pbx) as tap, handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk:
        agent = await desk.call("*51")
        await _agent_waits(pbx, tap, 0)
        first = await _served_by_agent(pbx, tap, outside, own(AGENTS), CALLER)
        await talk()  # nobody hears what 152 says meanwhile
        second = await _served_by_agent(pbx, tap, outside, own(AGENT_152), SECOND_CALLER)
        await talk()
        await agent.hang_up()
        return {CUSTOMER: first, SECOND: second, "152": agent.sip_call}


async def _served_by_agent(pbx: LabAsterisk, tap: AmiWitness, outside: Handset, number: str, caller: str) -> SipCall:
    """A customer calls, talks with the agent and hangs up: the talk with the agent alone."""
    since = len(tap.messages)
    customer = await outside.call(number, user=caller)
    began = await _agent_talks(pbx, tap, since)
    await talk()
    await customer.hang_up()
    await _agent_waits(pbx, tap, since)
    return replace(customer.sip_call, answered_at=float(began["Timestamp"]))


async def _agent_waits(pbx: LabAsterisk, tap: AmiWitness, since: int) -> Message:
    return await tap.wait_for(lambda m: _enters(m, pbx, "152") and m["BridgeTechnology"] == "holding_bridge", since=since)


async def _agent_talks(pbx: LabAsterisk, tap: AmiWitness, since: int) -> Message:
    return await tap.wait_for(lambda m: _enters(m, pbx, "152") and m["BridgeTechnology"] != "holding_bridge", since=since)


def _enters(message: Message, pbx: LabAsterisk, who: str) -> bool:
    endpoint = pbx.company.trunk if who == TRUNK else pbx.company.endpoint(who)
    return message.get("Event") == "BridgeEnter" and message["Channel"].startswith(f"PJSIP/{endpoint}-")


def _is_of(message: Message, pbx: LabAsterisk) -> bool:
    return message["Channel"].startswith(f"PJSIP/{pbx.company.trunk}-")


@asynccontextmanager
async def two_customers(pbx: LabAsterisk) -> AsyncIterator[tuple[Line, Line, Line, Line]]:
    """Two customers talk with 152 and 421: the lines of both pairs."""
    async with (
        handset(pbx, TRUNK) as outside,
        handset(pbx, "152") as desk,
        handset(pbx, "421") as colleague,
    ):
        one, here = await answered(outside, pbx.company.own("2458152"), desk, user=CALLER)
        other, there = await answered(outside, pbx.company.own("2458421"), colleague, user=SECOND_CALLER)
        await talk()
        yield one, here, other, there


async def joined_by_manager(pbx: LabAsterisk) -> PhoneCalls:
    """A program joins two customers (AMI Bridge); their employees are left alone and hang up."""
    async with watcher(pbx) as tap, two_customers(pbx) as (one, here, other, there):
        channels = [await _channel_with(tap, pbx, caller) for caller in (CALLER, SECOND_CALLER)]
        done = await tap.action(Action="Bridge", Channel1=channels[0], Channel2=channels[1], Tone="no")
        assert done["Response"] == "Success", done
        await here.over()
        await there.over()
        await talk_and_leave(one, other)
        return {CUSTOMER: one.sip_call, SECOND: other.sip_call, "152": here.sip_call, "421": there.sip_call}


async def _channel_with(tap: AmiWitness, pbx: LabAsterisk, caller: str) -> str:
    """The newest channel of a customer, by number."""
    await tap.wait_for(lambda m: _enters(m, pbx, TRUNK) and m["CallerIDNum"] == caller)
    return next(m["Channel"] for m in reversed(tap.messages) if _enters(m, pbx, TRUNK) and m["CallerIDNum"] == caller)


async def page_of_two(pbx: LabAsterisk) -> PhoneCalls:
    """900 speaks with 152 and 421 by their loudspeakers (intercom)."""
    async with handset(pbx, "900") as desk:
        return await _paged(pbx, desk, "*80", ("152", "421"))


async def page_of_all(pbx: LabAsterisk) -> PhoneCalls:
    """The door speaks to all five telephones."""
    async with handset(pbx, TRUNK) as door:
        everybody = tuple(user.extension for user in pbx.company.users)
        return await _paged(pbx, door, pbx.company.own(PAGE_ALL), everybody, CALLER)


async def _paged(pbx: LabAsterisk, speaker: Handset, number: str, whom: tuple[str, ...], caller: str | None = None) -> PhoneCalls:
    async with AsyncExitStack() as on:
        phones = [await on.enter_async_context(handset(pbx, who)) for who in whom]
        speaking = speaker.dial(number, user=caller)
        lines = await asyncio.gather(*(answers(phone) for phone in phones))
        await speaking.up()
        await talk()
        await talk_and_leave(speaking, *lines)
        return {"speaker": speaking.sip_call, **{who: line.sip_call for who, line in zip(whom, lines, strict=True)}}


async def customer_in_room(pbx: LabAsterisk) -> PhoneCalls:
    """A customer dials the conference room; 130, 152 and 421 come, and leave before."""
    async with handset(pbx, TRUNK) as outside, handset(pbx, "130") as one, handset(pbx, "152") as two, handset(pbx, "421") as three:
        customer = await outside.call(pbx.company.own(ROOM), user=CALLER)
        await talk()
        lines = []
        for phone in (one, two, three):
            lines.append(await phone.call(pbx.company.conference))
            await talk()
        for line in reversed(lines):
            await line.hang_up()
            await asyncio.sleep(0.3)
        await talk()
        await customer.hang_up()
        return {CUSTOMER: customer.sip_call, **dict(zip(("130", "152", "421"), (line.sip_call for line in lines), strict=True))}


async def customer_put_into_room(pbx: LabAsterisk) -> PhoneCalls:
    """421 and 152 wait in the room; a program puts a customer there, out of the menu (Redirect)."""
    room, context = pbx.company.conference, f"from-users{pbx.company.suffix}"
    async with (
        watcher(pbx) as tap,
        handset(pbx, TRUNK) as outside,
        handset(pbx, "421") as colleague,
        handset(pbx, "152") as desk,
    ):
        first, second = await colleague.call(room), await desk.call(room)
        await tap.wait_until(lambda tap: all(any(_enters(m, pbx, who) for m in tap.messages) for who in ("421", "152")))
        customer = await outside.call(pbx.company.menu_number, user=CALLER)
        answered = await tap.wait_for(lambda m: m.get("Event") == "Newchannel" and m["CallerIDNum"] == CALLER and _is_of(m, pbx))
        done = await tap.action(Action="Redirect", Channel=answered["Channel"], Context=context, Exten=room, Priority="1")
        assert done["Response"] == "Success", done
        entered = await tap.wait_for(lambda m: _enters(m, pbx, TRUNK))
        await talk()
        await customer.hang_up()
        await first.hang_up()
        await second.hang_up()
        met = replace(customer.sip_call, answered_at=float(entered["Timestamp"]))
        return {CUSTOMER: met, "421": first.sip_call, "152": second.sip_call}


async def parked_by_manager(pbx: LabAsterisk) -> PhoneCalls:
    """A program parks the customer (AMI Park), 152 hears the place; 421 fetches the customer."""
    async with watcher(pbx) as tap, handset(pbx, "421") as colleague, customer_with(pbx) as (customer, employee, _):
        theirs = await _channel_with(tap, pbx, CALLER)
        ours = next(m["Channel"] for m in reversed(tap.messages) if _enters(m, pbx, "152"))
        done = await tap.action(Action="Park", Channel=theirs, TimeoutChannel=ours, AnnounceChannel=ours)
        assert done["Response"] == "Success", done
        parked = await tap.wait_for(lambda m: m.get("Event") == "ParkedCall" and m["ParkeeChannel"] == theirs)
        await employee.over()  # the place was read out to 152
        fetched = await colleague.call(parked["ParkingSpace"])
        await talk_and_leave(customer, fetched)
        talked = replace(employee.sip_call, ended_at=float(parked["Timestamp"]))
        return {CUSTOMER: customer.sip_call, "152": talked, "421": fetched.sip_call}
