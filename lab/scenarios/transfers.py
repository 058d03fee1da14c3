"""Transfers, as plays (`lab.scenarios.call_flows`).

Blind and attended, by feature code, by the telephone itself, by a program.
"""

import asyncio

from lab.asterisk.server import LabAsterisk
from lab.scenarios.steps import (
    CUSTOMER,
    LONG_DISTANCE,
    PhoneCalls,
    answered,
    answers,
    channel_of,
    customer_with,
    talk,
    talk_and_leave,
    watcher,
)
from lab.sip.handset import handset
from lab.sip.line import Line
from lab.sip.sipp_phones import OUTSIDE


async def blind_by_phone(pbx: LabAsterisk, to: str = "421") -> PhoneCalls:
    """152 transfers the customer by the telephone's own key (REFER)."""
    async with handset(pbx, to) as colleague, customer_with(pbx) as (customer, employee, _):
        transferring = asyncio.create_task(employee.transfer(to))
        taken = await answers(colleague)
        await transferring
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, to: taken.sip_call}


async def blind_by_phone_to_130(pbx: LabAsterisk) -> PhoneCalls:
    """The same, to one who is not recorded."""
    return await blind_by_phone(pbx, "130")


async def blind_by_keys(pbx: LabAsterisk) -> PhoneCalls:
    """152 transfers the customer by feature code (#1)."""
    async with handset(pbx, "421") as colleague, customer_with(pbx) as (customer, employee, _):
        await employee.press("#1")
        await asyncio.sleep(0.5)
        await employee.press("421")
        taken = await answers(colleague)
        await employee.over()
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, "421": taken.sip_call}


async def blind_by_manager(pbx: LabAsterisk) -> PhoneCalls:
    """A program transfers the customer (AMI BlindTransfer), as an operator's panel does."""
    async with watcher(pbx) as tap, handset(pbx, "421") as colleague, customer_with(pbx) as (customer, employee, _):
        channel = await channel_of(tap, f"PJSIP/{pbx.company.endpoint('152')}")
        done = await tap.action(Action="BlindTransfer", Channel=channel, Context=f"from-users{pbx.company.suffix}", Exten="421")
        assert done["Response"] == "Success", done
        taken = await answers(colleague)
        await employee.over()
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, "421": taken.sip_call}


async def blind_out(pbx: LabAsterisk) -> PhoneCalls:
    """152 transfers the customer to a long-distance number."""
    async with handset(pbx, OUTSIDE) as far, customer_with(pbx) as (customer, employee, _):
        transferring = asyncio.create_task(employee.transfer(LONG_DISTANCE))
        taken = await answers(far)
        await transferring
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, OUTSIDE: taken.sip_call}


async def blind_to_busy(pbx: LabAsterisk) -> PhoneCalls:
    """152 transfers the customer to 421, who is busy: the customer is lost."""
    async with handset(pbx, "421") as colleague, customer_with(pbx) as (customer, employee, _):
        transferring = asyncio.create_task(employee.transfer("421"))
        (await colleague.rung()).refuse()
        await transferring
        await customer.over()
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call}


async def attended_by_keys(pbx: LabAsterisk, to: str = "421") -> PhoneCalls:
    """152 presses *2, asks 421, and hangs up: the customer is with 421."""
    async with handset(pbx, to) as colleague, customer_with(pbx) as (customer, employee, _):
        await ask_by_keys(employee, to)
        taken = await answers(colleague)
        await talk()
        await employee.hang_up()
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, to: taken.sip_call}


async def attended_by_keys_to_130(pbx: LabAsterisk) -> PhoneCalls:
    """The same, to one who is not recorded."""
    return await attended_by_keys(pbx, "130")


async def attended_by_keys_unanswered(pbx: LabAsterisk) -> PhoneCalls:
    """152 presses *2 and 421, and hangs up while 421 still rings; then 421 answers."""
    async with handset(pbx, "421") as colleague, customer_with(pbx) as (customer, employee, _):
        await ask_by_keys(employee, "421")
        ringing = await colleague.rung()
        await employee.hang_up()
        await asyncio.sleep(0.5)
        taken = await ringing.answer()
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, "421": taken.sip_call}


async def attended_by_keys_taken_back(pbx: LabAsterisk) -> PhoneCalls:
    """152 asks 421 by *2; 421 hangs up; 152 is with the customer again."""
    async with handset(pbx, "421") as colleague, customer_with(pbx) as (customer, employee, _):
        await ask_by_keys(employee, "421")
        asked = await answers(colleague)
        await talk()
        await asked.hang_up()
        await talk_and_leave(customer, employee)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, "421": asked.sip_call}


async def ask_by_keys(employee: Line, number: str) -> None:
    """Whoever talks presses *2 and the number of a colleague."""
    await employee.press("*2")
    await asyncio.sleep(0.5)
    await employee.press(number)


async def attended_by_phone(pbx: LabAsterisk, to: str = "421") -> PhoneCalls:
    """152 holds, calls 421 on a second line, and connects the two by the telephone's own key.

    REFER with Replaces.
    """
    async with handset(pbx, to) as colleague, customer_with(pbx) as (customer, employee, desk):
        await employee.hold()
        asking, taken = await answered(desk, to, colleague)
        await talk()
        await employee.join(asking)
        await asking.over()
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, f"152 asks {to}": asking.sip_call, to: taken.sip_call}


async def attended_by_phone_to_130(pbx: LabAsterisk) -> PhoneCalls:
    """The same, to one who is not recorded."""
    return await attended_by_phone(pbx, "130")


async def attended_by_phone_out(pbx: LabAsterisk) -> PhoneCalls:
    """152 holds, calls a long-distance number, and connects the customer with it."""
    async with handset(pbx, OUTSIDE) as far, customer_with(pbx) as (customer, employee, desk):
        await employee.hold()
        asking, taken = await answered(desk, LONG_DISTANCE, far)
        await talk()
        await employee.join(asking)
        await asking.over()
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, "152 asks outside": asking.sip_call, OUTSIDE: taken.sip_call}


async def attended_by_phone_taken_back(pbx: LabAsterisk) -> PhoneCalls:
    """152 holds, asks 421, hangs up on 421 and goes on with the customer: no transfer."""
    async with handset(pbx, "421") as colleague, customer_with(pbx) as (customer, employee, desk):
        await employee.hold()
        asking, asked = await answered(desk, "421", colleague)
        await talk()
        await asking.hang_up()
        await asked.over()
        await employee.resume()
        await talk_and_leave(customer, employee)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, "152 asks 421": asking.sip_call, "421": asked.sip_call}
