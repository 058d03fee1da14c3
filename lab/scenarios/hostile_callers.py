"""Flows with callers whose name or number is hostile, or withheld."""

from typing import Final

from lab.asterisk.server import LabAsterisk
from lab.scenarios.steps import CUSTOMER, PhoneCalls, answered, talk_and_leave
from lab.sip.handset import TRUNK, handset

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
