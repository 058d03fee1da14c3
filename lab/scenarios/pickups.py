"""Flows in which a colleague takes a call: parked, or ringing at another desk."""

import asyncio

from lab.asterisk.server import LabAsterisk
from lab.base.ami_witness import AmiWitness, Message
from lab.scenarios.steps import CALLER, CUSTOMER, PhoneCalls, customer_with, talk, talk_and_leave, watcher
from lab.sip.handset import TRUNK, handset


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


async def picked_up_through_local(pbx: LabAsterisk) -> PhoneCalls:
    """The dialplan rings 152 through a Local channel; 421 takes that call (*8152)."""
    async with handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk, handset(pbx, "421") as colleague:
        customer = outside.dial(pbx.company.own("2458928"), user=CALLER)
        ringing = await desk.rung()
        await asyncio.sleep(0.5)
        async with _PICKING_UP:
            taken = await colleague.call("*8152")
            await customer.up()
        await ringing.over()
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, "152": ringing.sip_call, "421": taken.sip_call}
