"""Calls that one telephone makes and others answer, refuse, forward or let ring.

What people do in a talk that has begun is in `lab.scenarios.call_flows`.
"""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from lab.asterisk.server import LabAsterisk
from lab.base.errors import LabError
from lab.scenarios.call_flows import CallFlow
from lab.scenarios.steps import CALLER, CUSTOMER, LONG_DISTANCE, PhoneCalls
from lab.sip.handset import TRUNK, Handset, handset
from lab.sip.line import CallRefused, Line
from lab.sip.sipp_phones import CALLER_HZ, OUTSIDE, OUTSIDE_HZ, PHONE_HZ, REFUSALS, Behaviour


@dataclass(frozen=True, kw_only=True, slots=True)
class Phone:
    """A telephone that is on while the call is made."""

    who: str
    behaviour: Behaviour = Behaviour.ANSWER
    forward_to: str = ""
    status: str | None = None
    answer_after_s: float = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class BasicCall:
    """A call: the telephones that are on, the caller, the number, and the entries of AstDB.

    `CF/421` → number.
    """

    name: str
    dialled: str
    phones: tuple[Phone, ...] = ()
    caller: str | None = None  # an extension; None: from outside
    caller_name: str = ""
    talk_s: float = 2.0
    give_up_after_s: float = 60.0
    database: tuple[tuple[str, str, str], ...] = ()


ABROAD: Final = "8104930901820"
TOLL_FREE: Final = "88001002030"
CITY: Final = "2123456"
MOBILE: Final = "89139998877"

_152: Final = Phone(who="152")
_OUT: Final = Phone(who=OUTSIDE)


def _sends_on(number: str) -> Phone:
    return Phone(who="421", behaviour=Behaviour.FORWARD, forward_to=number)


def _to_152(name: str, *phones: Phone, give_up_after_s: float = 60.0) -> BasicCall:
    return BasicCall(name=name, dialled="2458152", phones=phones, give_up_after_s=give_up_after_s)


_CALLS: Final = (
    _to_152("in_answered", _152),
    BasicCall(name="in_named", dialled="2458152", phones=(_152,), caller_name='Пётр "Ё" <x>; $(id)'),
    BasicCall(name="in_three_seconds", dialled="2458152", phones=(_152,), talk_s=3.0),
    BasicCall(name="in_not_recorded", dialled="2458130", phones=(Phone(who="130"),)),
    _to_152("in_busy", Phone(who="152", behaviour=Behaviour.BUSY)),
    _to_152("in_no_answer", Phone(who="152", behaviour=Behaviour.NO_ANSWER)),
    _to_152("in_refused", Phone(who="152", behaviour=Behaviour.REFUSE)),
    _to_152("in_unavailable", Phone(who="152", behaviour=Behaviour.UNAVAILABLE)),
    _to_152("in_absent"),
    _to_152("in_given_up", Phone(who="152", behaviour=Behaviour.NO_ANSWER), give_up_after_s=1.0),
    BasicCall(name="menu_then_152", dialled="2458888", phones=(_152,), talk_s=5.0),
    BasicCall(name="menu_hung_up", dialled="2458888", phones=(_152,), talk_s=1.0),
    BasicCall(name="group_152_answers", dialled="2458800", phones=(_152, Phone(who="130", behaviour=Behaviour.NO_ANSWER))),
    BasicCall(name="group_130_busy", dialled="2458800", phones=(_152, Phone(who="130", behaviour=Behaviour.BUSY))),
    BasicCall(
        name="group_130_answers", dialled="2458800", phones=(Phone(who="152", behaviour=Behaviour.NO_ANSWER), Phone(who="130"))
    ),
    BasicCall(
        name="group_given_up",
        dialled="2458800",
        phones=(Phone(who="152", behaviour=Behaviour.NO_ANSWER), Phone(who="130", behaviour=Behaviour.NO_ANSWER)),
        give_up_after_s=1.0,
    ),
    BasicCall(
        name="queue_421_answers",
        dialled="2458900",
        phones=(Phone(who="152", behaviour=Behaviour.NO_ANSWER), Phone(who="421")),
        talk_s=3.0,
    ),
    BasicCall(
        name="queue_given_up",
        dialled="2458900",
        phones=(Phone(who="152", behaviour=Behaviour.NO_ANSWER), Phone(who="421", behaviour=Behaviour.NO_ANSWER)),
        talk_s=1.0,
    ),
    BasicCall(name="out_long_distance", dialled=LONG_DISTANCE, caller="152", phones=(_OUT,)),
    BasicCall(name="out_city", dialled="2123456", caller="152", phones=(_OUT,)),
    BasicCall(name="out_mobile", dialled="89131234567", caller="152", phones=(_OUT,)),
    BasicCall(name="out_abroad", dialled="8104930901820", caller="152", phones=(_OUT,)),
    BasicCall(name="out_busy", dialled=LONG_DISTANCE, caller="152", phones=(Phone(who=OUTSIDE, behaviour=Behaviour.BUSY),)),
    BasicCall(
        name="out_given_up",
        dialled=LONG_DISTANCE,
        caller="152",
        phones=(Phone(who=OUTSIDE, behaviour=Behaviour.NO_ANSWER),),
        give_up_after_s=1.0,
    ),
    BasicCall(name="out_404", dialled=LONG_DISTANCE, caller="152", phones=(Phone(who=OUTSIDE, status="404 Not Found"),)),
    BasicCall(name="out_503", dialled=LONG_DISTANCE, caller="152", phones=(Phone(who=OUTSIDE, status="503 Service Unavailable"),)),
    BasicCall(name="internal", dialled="421", caller="152", phones=(Phone(who="421"),)),
    BasicCall(name="internal_by_130", dialled="152", caller="130", phones=(_152,)),
    BasicCall(name="internal_busy", dialled="421", caller="152", phones=(Phone(who="421", behaviour=Behaviour.BUSY),)),
    BasicCall(
        name="phone_302", dialled="2458421", phones=(_OUT, Phone(who="421", behaviour=Behaviour.FORWARD, forward_to=LONG_DISTANCE))
    ),
    BasicCall(
        name="phone_302_to_152", dialled="2458421", phones=(_152, Phone(who="421", behaviour=Behaviour.FORWARD, forward_to="152"))
    ),
    BasicCall(name="forward_always", dialled="2458421", phones=(_OUT, Phone(who="421")), database=(("CF", "421", LONG_DISTANCE),)),
    BasicCall(
        name="forward_busy",
        dialled="2458421",
        phones=(_OUT, Phone(who="421", behaviour=Behaviour.BUSY)),
        database=(("CFB", "421", LONG_DISTANCE),),
    ),
    BasicCall(
        name="forward_no_answer",
        dialled="2458421",
        phones=(_OUT, Phone(who="421", behaviour=Behaviour.NO_ANSWER)),
        database=(("CFU", "421", LONG_DISTANCE),),
    ),
    *(
        BasicCall(name=f"forward_{where}", dialled="2458421", phones=(_OUT,), database=(("CF", "421", number),))
        for where, number in (("abroad", ABROAD), ("toll_free", TOLL_FREE), ("city", CITY))
    ),
    *(
        BasicCall(name=f"phone_302_{where}", dialled="2458421", phones=(_OUT, _sends_on(number)))
        for where, number in (("abroad", ABROAD), ("toll_free", TOLL_FREE), ("city", CITY))
    ),
    *(
        BasicCall(name=f"code_{name}", dialled=code, caller="152", talk_s=0.5)
        for name, code in (("forward", f"*21*{CALLER}"), ("intercom", "*55152"), ("queue", "*45"), ("pick_up", "*8"))
    ),
    *(
        BasicCall(
            name=f"mobile_{name}",
            dialled="2458152",
            phones=(Phone(who="152", behaviour=Behaviour.NO_ANSWER), _OUT),
            database=(("WITH", "152", with_too),),
        )
        for name, with_too in (
            ("answers", f"PJSIP/{MOBILE}@trunk"),
            ("answers_by_local", f"Local/{MOBILE}@from-users"),
            ("is_far", f"PJSIP/{LONG_DISTANCE}@trunk"),
        )
    ),
    BasicCall(
        name="mobile_first",
        dialled="2458152",
        phones=(Phone(who="152", behaviour=Behaviour.NO_ANSWER), _OUT),
        database=(("BEFORE", "152", f"PJSIP/{MOBILE}@trunk"),),
    ),
    BasicCall(
        name="mobile_not_answered",
        dialled="2458152",
        phones=(_152, Phone(who=OUTSIDE, behaviour=Behaviour.NO_ANSWER)),
        database=(("WITH", "152", f"PJSIP/{MOBILE}@trunk"),),
    ),
    *(
        BasicCall(
            name=f"voicemail_after_{why}",
            dialled="2458152",
            phones=(Phone(who="152", behaviour=behaviour),),
            database=(("VM", "152", "1"),),
        )
        for why, behaviour in (("no_answer", Behaviour.NO_ANSWER), ("refusal", Behaviour.REFUSE))
    ),
    BasicCall(name="queue_leads_out", dialled="2458901", phones=(_OUT,), talk_s=3.0),
    *(
        BasicCall(
            name=f"{what}_of_local",
            dialled=number,
            phones=(Phone(who="152", behaviour=Behaviour.NO_ANSWER), Phone(who="421")),
            talk_s=3.0,
        )
        for what, number in (("group", "2458920"), ("queue", "2458921"))
    ),
    BasicCall(name="passed_on_outside", dialled="2458923", phones=(_OUT,)),
    BasicCall(
        name="forward_chain", dialled="2458152", phones=(Phone(who="900"),), database=(("CF", "152", "421"), ("CF", "421", "900"))
    ),
    BasicCall(name="forward_to_130", dialled="2458421", phones=(Phone(who="130"),), database=(("CF", "421", "130"),)),
    BasicCall(name="130_forwards_to_152", dialled="2458130", phones=(_152,), database=(("CF", "130", "152"),)),
    BasicCall(name="forward_to_152", dialled="2458421", phones=(_152,), database=(("CF", "421", "152"),)),
)


async def make_call(call: BasicCall, pbx: LabAsterisk) -> PhoneCalls:
    """Make the call; returns when it is over for all telephones.

    Of a telephone rung more than once: its last call.
    """
    async with AsyncExitStack() as on:
        for family, key, value in call.database:
            key = f"{family}{pbx.company.suffix} {key}"
            await pbx.cli(f"database put {key} {value}")
            on.push_async_callback(pbx.cli, f"database del {key}")
        rung: dict[str, list[Line]] = {phone.who: [] for phone in call.phones}
        for phone in call.phones:
            if phone.behaviour is not Behaviour.ABSENT:
                tone_hz = OUTSIDE_HZ if phone.who == OUTSIDE else PHONE_HZ
                desk = await on.enter_async_context(handset(pbx, phone.who, tone_hz=tone_hz))
                acting = asyncio.create_task(_act(phone, desk, rung[phone.who]))
                on.callback(acting.cancel)
        caller = await on.enter_async_context(handset(pbx, call.caller or TRUNK, tone_hz=CALLER_HZ))
        number = pbx.company.own(call.dialled) if call.caller is None else call.dialled
        line = caller.dial(number, user=CALLER if call.caller is None else None, name=call.caller_name)
        with suppress(TimeoutError, CallRefused):
            async with asyncio.timeout(call.give_up_after_s):
                await line.up()
            await asyncio.sleep(call.talk_s)
        await line.hang_up()
        lines = [(who, each) for who, calls in rung.items() for each in calls]
        return {call.caller or CUSTOMER: line.sip_call, **{who: await each.over() for who, each in lines}}


async def _act(phone: Phone, desk: Handset, rung: list[Line]) -> None:
    """Do with every call that rings what this telephone is there for."""
    while True:
        line = await desk.rung(deadline_s=120.0)
        rung.append(line)
        if phone.status is not None or phone.behaviour in REFUSALS:
            line.refuse(phone.status or REFUSALS[phone.behaviour], forward_to=phone.forward_to)
        elif phone.behaviour is Behaviour.ANSWER:
            await asyncio.sleep(phone.answer_after_s)
            with suppress(LabError):  # the caller has given up meanwhile
                await line.answer()


BASIC_CALLS: Final[dict[str, CallFlow]] = {call.name: partial(make_call, call) for call in _CALLS}
