"""Flows that people complain of in public trackers of other recorders, as plays.

Conferences that a program or the dialplan makes, ways of asking, of listening in, and of going on.
"""

import asyncio
from contextlib import suppress
from typing import Final

from lab.asterisk.server import LabAsterisk
from lab.base.ari import AriProgram
from lab.scenarios.steps import (
    CALLER,
    CUSTOMER,
    PhoneCalls,
    answered,
    answers,
    channel_of,
    customer_with,
    talk,
    talk_and_leave,
    watcher,
)
from lab.scenarios.transfers import ask_by_keys
from lab.sip.handset import TRUNK, Handset, handset
from lab.sip.line import CallRefused, Line

_MENU: Final = "8001"
_QUEUE: Final = "8002"  # rings 421 and 130 again and again
_WHISPER: Final = "*56"


async def asked_queue_by_keys(pbx: LabAsterisk) -> PhoneCalls:
    """152 asks a queue by feature code; 421 answers in its second round and gets the customer."""
    async with handset(pbx, "421") as colleague, handset(pbx, "130"), customer_with(pbx) as (customer, employee, _):
        await ask_by_keys(employee, _QUEUE)
        taken = await _answers_second_round(colleague)
        await talk()
        await employee.hang_up()
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, "421": taken.sip_call}


async def asked_queue_by_phone(pbx: LabAsterisk) -> PhoneCalls:
    """The same by the telephone's own keys (REFER with Replaces)."""
    async with handset(pbx, "421") as colleague, handset(pbx, "130"), customer_with(pbx) as (customer, employee, desk):
        await employee.hold()
        asking = desk.dial(_QUEUE)
        taken = await _answers_second_round(colleague)
        await asking.up()
        await talk()
        await employee.join(asking)
        await asking.over()
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, "152 asks 421": asking.sip_call, "421": taken.sip_call}


async def _answers_second_round(phone: Handset) -> Line:
    await (await phone.rung()).over()
    return await answers(phone)


async def redirected_into_conference(pbx: LabAsterisk) -> PhoneCalls:
    """A program sends both parties of a talk into the conference room (AMI Redirect)."""
    async with watcher(pbx) as tap, customer_with(pbx) as (customer, employee, _):
        theirs = await channel_of(tap, f"PJSIP/{pbx.company.trunk}")
        ours = await channel_of(tap, f"PJSIP/{pbx.company.endpoint('152')}")
        where = {"Context": f"from-users{pbx.company.suffix}", "Exten": pbx.company.conference, "Priority": "1"}
        extra = {f"Extra{name}": value for name, value in where.items()}
        done = await tap.action(Action="Redirect", Channel=theirs, ExtraChannel=ours, **where, **extra)
        assert done["Response"] == "Success", done
        for channel in (theirs, ours):
            await tap.wait_for(lambda m, channel=channel: m.get("Event") == "ConfbridgeJoin" and m["Channel"] == channel)  # type: ignore[misc]
        await talk()
        await talk_and_leave(customer)
        return {CUSTOMER: customer.sip_call, "152": await employee.hang_up()}


async def met_by_dial(pbx: LabAsterisk) -> PhoneCalls:
    """152 answers, and the dialplan sends both into the conference room (Dial with G)."""
    async with watcher(pbx) as tap, handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk:
        customer, employee = await answered(outside, pbx.company.own("2458925"), desk, user=CALLER)
        of_both = tuple(f"PJSIP/{name}-" for name in (pbx.company.trunk, pbx.company.endpoint("152")))
        await tap.wait_until(
            lambda tap: sum(m.get("Event") == "ConfbridgeJoin" and m["Channel"].startswith(of_both) for m in tap.messages) == 2
        )
        await talk()
        await talk_and_leave(customer)
        return {CUSTOMER: customer.sip_call, "152": await employee.hang_up()}


async def accepted(pbx: LabAsterisk) -> PhoneCalls:
    """152 answers, is asked whether they take the call, and presses 1 (Dial with U)."""
    async with handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk:
        customer = outside.dial(pbx.company.own("2458922"), user=CALLER)
        employee = await answers(desk)
        await asyncio.sleep(1.0)
        await employee.press("1")
        await customer.up()
        await talk_and_leave(customer, employee)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call}


async def not_accepted(pbx: LabAsterisk) -> PhoneCalls:
    """The same, but 152 presses 2: the customer has talked with nobody."""
    async with handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk:
        customer = outside.dial(pbx.company.own("2458922"), user=CALLER)
        employee = await answers(desk)
        await asyncio.sleep(1.0)
        await employee.press("2")
        with suppress(CallRefused):
            await customer.up()
        return {CUSTOMER: await customer.over(), "152": await employee.over()}


async def whispered(pbx: LabAsterisk) -> PhoneCalls:
    """900 listens to the talk of 152 and the customer, and talks to 152 alone (ChanSpy)."""
    async with handset(pbx, "900") as coach, customer_with(pbx) as (customer, employee, _):
        listening = await coach.call(f"{_WHISPER}152")
        await talk()
        await listening.hang_up()
        await talk_and_leave(customer, employee)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, "900": listening.sip_call}


async def gone_on_to_421(pbx: LabAsterisk) -> PhoneCalls:
    """152 hangs up, and the dialplan rings 421 for the customer (Dial with g, then Dial)."""
    async with handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk, handset(pbx, "421") as colleague:
        customer, employee = await answered(outside, pbx.company.own("2458924"), desk, user=CALLER)
        await talk()
        await employee.hang_up()
        taken = await answers(colleague)
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, "421": taken.sip_call}


async def through_menu_and_back(pbx: LabAsterisk) -> PhoneCalls:
    """152 transfers the customer to the menu, which leads to 152 again."""
    async with customer_with(pbx) as (customer, employee, desk):
        transferring = asyncio.create_task(employee.transfer(_MENU))
        again = await answers(desk)
        await transferring
        await talk_and_leave(customer, again)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, "152 again": again.sip_call}


async def joined_by_program(pbx: LabAsterisk) -> PhoneCalls:
    """A program answers the customer, rings 152 and joins the two in a bridge of its own (ARI)."""
    company = pbx.company
    async with (
        AriProgram(pbx.ari, pbx.ami_secret, company.name) as program,
        handset(pbx, TRUNK) as outside,
        handset(pbx, "152") as desk,
    ):
        customer = outside.dial(company.own("2458926"), user=CALLER)
        theirs = await program.begun()
        await program.post(f"/channels/{theirs}/answer")
        endpoint = f"PJSIP/{company.endpoint('152')}"
        await program.post("/channels", endpoint=endpoint, app=program.name, originator=theirs, callerId=CALLER)
        employee = await answers(desk)
        ours = await program.begun()
        bridge = (await program.post("/bridges", type="mixing"))["id"]
        await program.post(f"/bridges/{bridge}/addChannel", channel=f"{theirs},{ours}")
        await talk()
        await talk_and_leave(customer)
        await employee.hang_up()
        await program.delete(f"/bridges/{bridge}")
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call}


async def directly(pbx: LabAsterisk) -> PhoneCalls:
    """777 calls 421, and both telephones may send their sound to each other (direct_media)."""
    async with handset(pbx, "777") as caller, handset(pbx, "421") as called:
        asking, asked = await answered(caller, "6421", called)
        await talk_and_leave(asking, asked)
        return {"777": asking.sip_call, "421": asked.sip_call}


async def second_telephone(pbx: LabAsterisk) -> PhoneCalls:
    """Both telephones of 421 ring; the second one answers."""
    async with handset(pbx, TRUNK) as outside, handset(pbx, "421") as first, handset(pbx, "421", second=True) as second:
        customer = outside.dial(pbx.company.own("2458927"), user=CALLER)
        ringing = await first.rung()
        taken = await answers(second)
        await ringing.over()
        await customer.up()
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, "421 first": ringing.sip_call, "421": taken.sip_call}
