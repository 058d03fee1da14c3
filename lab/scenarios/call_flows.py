"""Calls in which people do something: hold, transfer, park, pick up, meet in a conference.

Each is played on handsets.

A play returns how each telephone lived each of its calls, by the names of `PhoneCalls`; a call that
a person makes to ask a colleague is named after both ("152 asks 421"). Between two actions they
talk for `TALK_S`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from lab.asterisk.server import LabAsterisk
from lab.base.ami_witness import AmiWitness, Message
from lab.scenarios import transfers
from lab.scenarios.steps import (
    CALLER,
    CUSTOMER,
    PhoneCalls,
    answered,
    answers,
    customer_with,
    marked,
    talk,
    talk_and_leave,
    watcher,
)
from lab.sip.handset import TRUNK, handset
from lab.sip.message import Codec
from lab.sip.sipp_phones import OUTSIDE

CallFlow = Callable[[LabAsterisk], Awaitable[PhoneCalls]]


async def hold_and_resume(pbx: LabAsterisk) -> PhoneCalls:
    """152 puts the customer on hold by re-INVITE, comes back, and they go on."""
    async with customer_with(pbx) as (customer, employee, _):
        await employee.hold()
        await talk()
        await employee.resume()
        await talk()
        await marked(customer, employee)
        await talk_and_leave(customer, employee)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call}


async def hold_and_resume_anew(pbx: LabAsterisk) -> PhoneCalls:
    """The same on a telephone that begins its RTP anew after the hold."""
    async with customer_with(pbx) as (customer, employee, _):
        await employee.hold()
        await talk()
        await employee.resume(rtp_anew=True)
        await talk_and_leave(customer, employee)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call}


async def customer_holds_and_resumes_anew(pbx: LabAsterisk) -> PhoneCalls:
    """The customer's telephone does so."""
    async with customer_with(pbx) as (customer, employee, _):
        await customer.hold()
        await talk()
        await customer.resume(rtp_anew=True)
        await talk_and_leave(customer, employee)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call}


async def keys_in_talk(pbx: LabAsterisk) -> PhoneCalls:
    """The customer presses keys, as for the menu of a bank."""
    async with customer_with(pbx) as (customer, employee, _):
        await customer.press("1234#")
        await talk()
        await marked(customer, employee)
        await talk_and_leave(customer, employee)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call}


async def caller_silent(pbx: LabAsterisk) -> PhoneCalls:
    """For three seconds not one packet comes from the customer."""
    async with customer_with(pbx) as (customer, employee, _):
        with customer.silence():
            await asyncio.sleep(3.0)
        await talk()
        await marked(customer, employee)
        await talk_and_leave(customer, employee)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call}


async def wideband(pbx: LabAsterisk) -> PhoneCalls:
    """152 and 421 talk G.722."""
    async with (
        handset(pbx, "152", codec=Codec.G722, tone_hz=5000) as caller,
        handset(pbx, "421", codec=Codec.G722, tone_hz=6000) as called,
    ):
        asking, asked = await answered(caller, "421", called)
        await talk_and_leave(asking, asked)
        return {"152": asking.sip_call, "421": asked.sip_call}


async def wideband_from_outside(pbx: LabAsterisk) -> PhoneCalls:
    """421 talks G.722, the customer G.711."""
    async with handset(pbx, TRUNK) as outside, handset(pbx, "421", codec=Codec.G722, tone_hz=6000) as desk:
        customer, employee = await answered(outside, pbx.company.own("2458421"), desk, user=CALLER)
        await talk_and_leave(customer, employee)
        return {CUSTOMER: customer.sip_call, "421": employee.sip_call}


async def parked_by_keys(pbx: LabAsterisk) -> PhoneCalls:
    """152 parks the customer by feature code (#72); 421 fetches them from the parking space."""
    async with watcher(pbx) as tap, handset(pbx, "421") as colleague, customer_with(pbx) as (customer, employee, _):
        await employee.press("#72")
        parked = await _parked(pbx, tap)
        await employee.over(20.0)
        await talk()
        fetched = await colleague.call(parked["ParkingSpace"])
        await talk_and_leave(customer, fetched)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, "421": fetched.sip_call}


async def parked_by_phone(pbx: LabAsterisk) -> PhoneCalls:
    """152 transfers the customer to the parking lot (REFER to 700); 421 fetches them."""
    async with watcher(pbx) as tap, handset(pbx, "421") as colleague, customer_with(pbx) as (customer, employee, _):
        await employee.transfer("700")
        parked = await _parked(pbx, tap)
        await talk()
        fetched = await colleague.call(parked["ParkingSpace"])
        await talk_and_leave(customer, fetched)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, "421": fetched.sip_call}


async def _parked(pbx: LabAsterisk, tap: AmiWitness) -> Message:
    """The company's customer has been parked."""
    customer = f"PJSIP/{pbx.company.trunk}-"
    return await tap.wait_for(lambda m: m.get("Event") == "ParkedCall" and m["ParkeeChannel"].startswith(customer))


# Asterisk 22.10 stands still for good when several calls are picked up in the same moment: all its
# threads wait for each other (asterisk/asterisk 891 and 2036). It does so alone, with nobody at
# AMI: seen after 140 pick-ups, eight at a time, two of a group.
_PICKING_UP = asyncio.Lock()


async def picked_up(pbx: LabAsterisk, rings: str = "152", picks: str = "421", after_s: float = 0.5) -> PhoneCalls:
    """152 rings; 421 takes the call at their own desk (*8)."""
    number = next(user.number for user in pbx.company.users if user.extension == rings)
    assert number is not None
    async with handset(pbx, TRUNK) as outside, handset(pbx, rings) as desk, handset(pbx, picks) as colleague:
        customer = outside.dial(number, user=CALLER)
        ringing = await desk.rung()
        await asyncio.sleep(after_s)
        async with _PICKING_UP:
            taken = await colleague.call("*8")
            await customer.up()
        await ringing.over()
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, rings: ringing.sip_call, picks: taken.sip_call}


async def picked_up_at_once(pbx: LabAsterisk) -> PhoneCalls:
    """The same, so soon that the ringing channel may be gone before a recorder is attached."""
    return await picked_up(pbx, after_s=0.0)


async def picked_up_by_130(pbx: LabAsterisk) -> PhoneCalls:
    """The same, by one who is not recorded."""
    return await picked_up(pbx, picks="130")


async def picked_up_by_777(pbx: LabAsterisk) -> PhoneCalls:
    """The same, by one who is recorded when they ask for it."""
    return await picked_up(pbx, picks="777")


async def picked_up_from_130(pbx: LabAsterisk) -> PhoneCalls:
    """The same, from the telephone of one who is not recorded."""
    return await picked_up(pbx, rings="130")


async def picked_up_from_group(pbx: LabAsterisk) -> PhoneCalls:
    """152 and 130 ring; 421 takes the call of 130 (*8130), who is not recorded."""
    async with (
        handset(pbx, TRUNK) as outside,
        handset(pbx, "152") as desk,
        handset(pbx, "130") as other,
        handset(pbx, "421") as colleague,
    ):
        customer = outside.dial(pbx.company.group_number, user=CALLER)
        ringing, beside = await desk.rung(), await other.rung()
        await asyncio.sleep(0.5)
        async with _PICKING_UP:
            taken = await colleague.call("*8130")
            await customer.up()
        await ringing.over()
        await beside.over()
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, "152": ringing.sip_call, "130": beside.sip_call, "421": taken.sip_call}


async def conference_of_colleagues(pbx: LabAsterisk) -> PhoneCalls:
    """152, 421 and 130 meet in the conference room one by one, and leave in the same order."""
    async with handset(pbx, "152") as one, handset(pbx, "421") as two, handset(pbx, "130") as three:
        lines = []
        for phone in (one, two, three):
            lines.append(await phone.call(pbx.company.conference))
            await talk()
        for line in lines:
            await line.hang_up()
            await asyncio.sleep(0.3)
        return dict(zip(("152", "421", "130"), (line.sip_call for line in lines), strict=True))


async def conference_with_customer(pbx: LabAsterisk) -> PhoneCalls:
    """152 transfers the customer into the conference room and follows; 421 joins them."""
    async with handset(pbx, "421") as colleague, customer_with(pbx) as (customer, employee, desk):
        await employee.transfer(pbx.company.conference)
        host = await desk.call(pbx.company.conference)
        await talk()
        guest = await colleague.call(pbx.company.conference)
        await talk()
        await customer.hang_up()
        await host.hang_up()
        await guest.hang_up()
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, "152 in conference": host.sip_call, "421": guest.sip_call}


async def followed_out(pbx: LabAsterisk) -> PhoneCalls:
    """FollowMe finds its user at a long-distance number; the user accepts by pressing 1."""
    async with watcher(pbx) as tap, handset(pbx, TRUNK) as outside, handset(pbx, OUTSIDE) as far:
        customer = outside.dial(pbx.company.follow_number, user=CALLER)
        found = await answers(far)
        await asyncio.sleep(2.5)  # "incoming call from …"
        await found.press("1")
        await customer.up()
        await tap.wait_for(lambda m: m.get("Event") == "BridgeEnter" and m.get("Exten") == pbx.company.follow_number)
        await talk_and_leave(customer, found)
        return {CUSTOMER: customer.sip_call, OUTSIDE: found.sip_call}


# What enemies write into their number. PJSIP decodes %0d%0a in the user part of a SIP address,
# Asterisk keeps 79 bytes of it, and its manager prints them as they are: the lines after the first
# arrive as headers, after an empty one as a message of its own.
HOSTILE_NUMBERS: Final = {
    "hostile": "89131234567%0d%0aEvent%3a%20Hangup%0d%0aLinkedid%3a%201.1%0d%0aX%3a%20%22%3b$(id)",
    "forging": "89131234567%0d%0a%0d%0aEvent%3a%20Shutdown%0d%0aShutdown%3a%20Cleanly%0d%0aX%3a%20",
    "ending": "89131234567%0d%0a%0d%0aEvent%3a%20Hangup%0d%0aPrivilege%3a%20call,all%0d%0aCause%3a%2017%0d%0aX%3a%20",
    "list": "89131234567%0d%0a%0d%0aEvent%3a%20CoreShowChannelsComplete%0d%0aEventList%3a%20Complete",
    "answering": "89131234567%0d%0a%0d%0aResponse%3a%20Success%0d%0aMessage%3a%20x%0d%0a%0d%0a%0d%0a%0d%0a",
}


async def hostile_caller(pbx: LabAsterisk) -> PhoneCalls:
    """The caller's name and number are written by an enemy.

    Quotes, commands, line ends, a second `Event`, a false `Linkedid`.
    """
    return await _called_by(pbx, HOSTILE_NUMBERS["hostile"])


async def forging_caller(pbx: LabAsterisk) -> PhoneCalls:
    """The same with a message of its own, a Shutdown that never was."""
    return await _called_by(pbx, HOSTILE_NUMBERS["forging"])


async def ending_caller(pbx: LabAsterisk) -> PhoneCalls:
    """The same with a Hangup."""
    return await _called_by(pbx, HOSTILE_NUMBERS["ending"])


async def list_cutting_caller(pbx: LabAsterisk) -> PhoneCalls:
    """The same with the end of a list."""
    return await _called_by(pbx, HOSTILE_NUMBERS["list"])


async def answering_caller(pbx: LabAsterisk) -> PhoneCalls:
    """The same with an answer to an action, and many empty lines."""
    return await _called_by(pbx, HOSTILE_NUMBERS["answering"])


async def _called_by(pbx: LabAsterisk, number: str) -> PhoneCalls:
    async with handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk:
        name = 'Пётр "Ё" \\ <x>; $(id) `id` %0d%0aEvent: Hangup'
        customer, employee = await answered(outside, pbx.company.own("2458152"), desk, user=number, name=name)
        await talk_and_leave(customer, employee)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call}


async def withheld(pbx: LabAsterisk) -> PhoneCalls:
    """The caller's number is withheld (RFC 3323: anonymous)."""
    async with handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk:
        customer, employee = await answered(outside, pbx.company.own("2458152"), desk, user="anonymous", name="Anonymous")
        await talk_and_leave(customer, employee)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call}


CALL_FLOWS: Final[dict[str, CallFlow]] = {
    play.__name__: play
    for play in (
        hold_and_resume,
        hold_and_resume_anew,
        customer_holds_and_resumes_anew,
        keys_in_talk,
        caller_silent,
        wideband,
        wideband_from_outside,
        transfers.blind_by_phone,
        transfers.blind_by_phone_to_130,
        transfers.blind_by_keys,
        transfers.blind_by_manager,
        transfers.blind_out,
        transfers.blind_to_busy,
        transfers.attended_by_keys,
        transfers.attended_by_keys_to_130,
        transfers.attended_by_keys_unanswered,
        transfers.attended_by_keys_taken_back,
        transfers.attended_by_phone,
        transfers.attended_by_phone_to_130,
        transfers.attended_by_phone_out,
        transfers.attended_by_phone_taken_back,
        parked_by_keys,
        parked_by_phone,
        picked_up,
        picked_up_at_once,
        picked_up_by_130,
        picked_up_by_777,
        picked_up_from_130,
        picked_up_from_group,
        conference_of_colleagues,
        conference_with_customer,
        followed_out,
        hostile_caller,
        forging_caller,
        ending_caller,
        list_cutting_caller,
        answering_caller,
        withheld,
    )
}
