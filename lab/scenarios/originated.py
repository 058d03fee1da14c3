"""Calls that a program begins (AMI Originate): click to call, and callbacks.

Click to call: the PBX rings the user first, then the number. A callback: it rings outside first.
"""

import asyncio
from contextlib import suppress

from lab.asterisk.server import LabAsterisk
from lab.base.errors import LabError
from lab.scenarios.steps import CALLER, CUSTOMER, LONG_DISTANCE, PhoneCalls, answers, talk, talk_and_leave, watcher
from lab.sip.handset import TRUNK, Handset, handset
from lab.sip.line import CallRefused, Line
from lab.sip.sipp_phones import OUTSIDE

_RINGS_UNANSWERED_S = 2.0


async def originate(pbx: LabAsterisk, channel: str, exten: str, **headers: str) -> None:
    """Let the PBX ring a channel and then send it to an extension of the company's dialplan."""
    async with watcher(pbx) as tap:
        done = await tap.action(
            Action="Originate",
            Channel=channel,
            Context=f"from-users{pbx.company.suffix}",
            Exten=exten,
            Priority="1",
            Timeout="60000",
            Async="true",
            **headers,
        )
        if done["Response"] != "Success":
            raise LabError(f"Originate: {done.get('Message')}")


def _local(pbx: LabAsterisk, number: str, options: str = "") -> str:
    return f"Local/{number}@from-users{pbx.company.suffix}{options}"


async def clicked(pbx: LabAsterisk, desk: Handset, far: Handset, channel: str, exten: str = LONG_DISTANCE) -> tuple[Line, Line]:
    """152 clicks on a number: both lines, once the telephone of 152 is up and the other rings."""
    await originate(pbx, channel, exten)
    here = await answers(desk)
    return here, await far.rung()


async def _click(pbx: LabAsterisk, channel: str, exten: str = LONG_DISTANCE, to: str = OUTSIDE) -> PhoneCalls:
    async with handset(pbx, "152") as desk, handset(pbx, to) as far:
        here, ringing = await clicked(pbx, desk, far, channel, exten)
        await asyncio.sleep(_RINGS_UNANSWERED_S)  # what 152 says meanwhile is heard by nobody
        there = await ringing.answer()
        await talk_and_leave(there, here)
        return {"152": here.sip_call, to: there.sip_call}


async def click_by_local(pbx: LabAsterisk) -> PhoneCalls:
    """By a Local channel, which Asterisk may take out once the two talk."""
    return await _click(pbx, _local(pbx, "152"))


async def click_by_kept_local(pbx: LabAsterisk) -> PhoneCalls:
    """By a Local channel that stays (/n)."""
    return await _click(pbx, _local(pbx, "152", "/n"))


async def click_by_telephone(pbx: LabAsterisk) -> PhoneCalls:
    """The PBX rings the telephone of 152 itself."""
    return await _click(pbx, f"PJSIP/{pbx.company.endpoint('152')}")


async def click_to_colleague(pbx: LabAsterisk) -> PhoneCalls:
    """152 clicks on 421."""
    return await _click(pbx, _local(pbx, "152"), "421", "421")


async def click_to_unrecorded(pbx: LabAsterisk) -> PhoneCalls:
    """152 clicks on 130, who is not recorded."""
    return await _click(pbx, _local(pbx, "152", "/n"), "130", "130")


async def click_unanswered(pbx: LabAsterisk, options: str = "") -> PhoneCalls:
    """The number does not answer, and 152 hangs up."""
    async with handset(pbx, "152") as desk, handset(pbx, OUTSIDE) as far:
        here, ringing = await clicked(pbx, desk, far, _local(pbx, "152", options))
        await asyncio.sleep(_RINGS_UNANSWERED_S)
        await here.hang_up()
        await ringing.over()
        return {"152": here.sip_call}


async def click_unanswered_kept(pbx: LabAsterisk) -> PhoneCalls:
    """The same by a Local channel that stays."""
    return await click_unanswered(pbx, "/n")


async def click_busy(pbx: LabAsterisk) -> PhoneCalls:
    """The number is busy."""
    async with handset(pbx, "152") as desk, handset(pbx, OUTSIDE) as far:
        here, ringing = await clicked(pbx, desk, far, _local(pbx, "152"))
        ringing.refuse()
        await here.over()
        return {"152": here.sip_call}


async def click_refused_by_caller(pbx: LabAsterisk) -> PhoneCalls:
    """152 does not take the telephone up at all."""
    async with handset(pbx, "152") as desk:
        await originate(pbx, _local(pbx, "152"), LONG_DISTANCE)
        ringing = await desk.rung()
        ringing.refuse()
        return {"152": await ringing.over()}


async def click_returns_missed(pbx: LabAsterisk) -> PhoneCalls:
    """A customer's call to 152 is refused; 152 then clicks on their number."""
    number = next(user.number for user in pbx.company.users if user.extension == "152")
    assert number is not None
    async with handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk, handset(pbx, OUTSIDE) as far:
        missed = outside.dial(number, user=CALLER)
        (await desk.rung()).refuse()
        with suppress(CallRefused):
            await missed.up()
        here, ringing = await clicked(pbx, desk, far, _local(pbx, "152"), CALLER)
        there = await ringing.answer()
        await talk_and_leave(there, here)
        return {CUSTOMER: missed.sip_call, "152": here.sip_call, OUTSIDE: there.sip_call}


async def _call_back(pbx: LabAsterisk, channel: str, exten: str = "152", **headers: str) -> PhoneCalls:
    async with handset(pbx, OUTSIDE) as far, handset(pbx, "152") as desk:
        await originate(pbx, channel, exten, **headers)
        there = await answers(far)
        await talk()
        here = await answers(desk)
        await talk_and_leave(there, here)
        return {OUTSIDE: there.sip_call, "152": here.sip_call}


def _shown(pbx: LabAsterisk) -> str:
    return f"{pbx.company.title} <{pbx.company.menu_number}>"


def _on_trunk(pbx: LabAsterisk) -> str:
    return f"PJSIP/{CALLER}@{pbx.company.trunk}"


async def callback_by_trunk(pbx: LabAsterisk) -> PhoneCalls:
    """The PBX rings a customer by the trunk, then 152."""
    return await _call_back(pbx, _on_trunk(pbx), CallerID=_shown(pbx))


async def callback_by_local(pbx: LabAsterisk) -> PhoneCalls:
    """The same through the dialplan."""
    return await _call_back(pbx, _local(pbx, CALLER), CallerID=_shown(pbx))


async def callback_by_kept_local(pbx: LabAsterisk) -> PhoneCalls:
    """The same by a Local channel that stays."""
    return await _call_back(pbx, _local(pbx, CALLER, "/n"), CallerID=_shown(pbx))


async def callback_into_group(pbx: LabAsterisk) -> PhoneCalls:
    """The account code says for whom; 152 takes it from the queue."""
    return await _call_back(pbx, _on_trunk(pbx), f"*60{pbx.company.queue_number}", Account=pbx.company.name)


async def callback_busy(pbx: LabAsterisk, **headers: str) -> PhoneCalls:
    """The customer is busy."""
    async with handset(pbx, OUTSIDE) as far:
        await originate(pbx, _on_trunk(pbx), "152", **(headers or {"CallerID": _shown(pbx)}))
        ringing = await far.rung()
        ringing.refuse()
        return {OUTSIDE: await ringing.over()}


async def callback_busy_by_account(pbx: LabAsterisk) -> PhoneCalls:
    """The same; the account code says for whom."""
    return await callback_busy(pbx, Account=pbx.company.name)


async def callback_busy_by_local(pbx: LabAsterisk) -> PhoneCalls:
    """The same through the dialplan."""
    async with handset(pbx, OUTSIDE) as far:
        await originate(pbx, _local(pbx, CALLER), "152", CallerID=_shown(pbx))
        ringing = await far.rung()
        ringing.refuse()
        return {OUTSIDE: await ringing.over()}


async def callback_not_taken(pbx: LabAsterisk) -> PhoneCalls:
    """The customer answers, waits for 152, and gives up."""
    async with handset(pbx, OUTSIDE) as far, handset(pbx, "152") as desk:
        await originate(pbx, _on_trunk(pbx), "152", CallerID=_shown(pbx))
        there = await answers(far)
        ringing = await desk.rung()
        await talk()
        await there.hang_up()
        return {OUTSIDE: there.sip_call, "152": await ringing.over()}
