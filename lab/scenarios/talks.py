"""Flows in which people talk: hold, keys, silence, wideband, conferences, FollowMe."""

import asyncio
from typing import Final

from lab.asterisk.server import LabAsterisk
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
from lab.sip.bad_network import BadNetwork
from lab.sip.handset import TRUNK, handset
from lab.sip.message import Codec
from lab.sip.sipp_phones import OUTSIDE

ASTERISK_REPORTS_S: Final = 6.0  # it counts what it has received every five seconds


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
    """The same on a telephone that restarts its RTP after the hold."""
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


async def badly_heard(pbx: LabAsterisk) -> PhoneCalls:
    """One of ten packets of 152's is lost; the customer's telephone reports that it misses some."""
    async with customer_with(pbx) as (customer, employee, _):
        employee.loses_every(10)
        customer.reports(lost=15, jitter_ms=40)
        await asyncio.sleep(ASTERISK_REPORTS_S)
        await talk_and_leave(customer, employee)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call}


async def behind_bad_network(pbx: LabAsterisk) -> PhoneCalls:
    """152's telephone is behind a network that loses a fifth of all packets, in both directions."""
    network = BadNetwork(loss_pct=20.0, delay_ms=40.0, jitter_ms=30.0, seed=1)
    async with handset(pbx, TRUNK) as outside, handset(pbx, "152", network=network) as desk:
        customer, employee = await answered(outside, pbx.company.own("2458152"), desk, user=CALLER)
        await asyncio.sleep(ASTERISK_REPORTS_S)
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
