"""Steps that call flows share: calls that are answered, talks, and the watcher of AMI."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from lab.asterisk.config import WATCHER
from lab.asterisk.server import LabAsterisk
from lab.base.ami_witness import AmiWitness
from lab.sip.handset import TRUNK, Handset, handset
from lab.sip.line import Line
from lab.sip.sipp import SipCall

PhoneCalls = dict[str, SipCall]  # how each telephone lived each of its calls

TALK_S: Final = 1.5
MARK_S: Final = 0.5
RINGS_S: Final = 0.7  # the recorder is attached while it rings
LONG_DISTANCE: Final = "84951234567"
CUSTOMER: Final = "customer"
CALLER: Final = "89131234567"


async def talk() -> None:
    """People talk for a while."""
    await asyncio.sleep(TALK_S)


async def answered(caller: Handset, number: str, callee: Handset, *, user: str | None = None, name: str = "") -> tuple[Line, Line]:
    """A call that is answered after the first ring: the caller's line and the callee's."""
    there = caller.dial(number, user=user, name=name)
    here = await answers(callee)
    return await there.up(), here


async def answers(callee: Handset, *, caller: str | None = None) -> Line:
    """Let a telephone ring a moment, as people do, and answer it."""
    line = await callee.rung(caller=caller)
    await asyncio.sleep(RINGS_S)
    return await line.answer()


@asynccontextmanager
async def customer_with(pbx: LabAsterisk, employee: str = "152") -> AsyncIterator[tuple[Line, Line, Handset]]:
    """A customer has called an employee and they have talked a while.

    Both lines, and the employee's telephone.
    """
    number = next(user.number for user in pbx.company.users if user.extension == employee)
    assert number is not None
    async with handset(pbx, TRUNK) as outside, handset(pbx, employee) as desk:
        there, here = await answered(outside, number, desk, user=CALLER)
        await talk()
        yield there, here, desk


@asynccontextmanager
async def watcher(pbx: LabAsterisk) -> AsyncIterator[AmiWitness]:
    """The manager account that may do everything."""
    async with AmiWitness(pbx.ami, WATCHER, pbx.ami_secret) as tap:
        yield tap


async def marked(one: Line, other: Line) -> None:
    """Mute both sides for a moment: the recording shows whether they are in step; then talk."""
    with one.saying_nothing(), other.saying_nothing():
        await asyncio.sleep(MARK_S)
    await talk()


async def talk_and_leave(customer: Line, *others: Line) -> None:
    """They talk, the customer hangs up, and it is over for the others."""
    await talk()
    await customer.hang_up()
    for line in others:
        await line.over()


async def channel_of(tap: AmiWitness, endpoint: str) -> str:
    """The newest channel of an endpoint, by the account that sees all events.

    Raises TimeoutError.
    """
    await tap.wait_for(lambda message: message.get("Event") == "BridgeEnter" and message["Channel"].startswith(f"{endpoint}-"))
    return next(
        message["Channel"]
        for message in reversed(tap.messages)
        if message.get("Event") == "BridgeEnter" and message["Channel"].startswith(f"{endpoint}-")
    )
