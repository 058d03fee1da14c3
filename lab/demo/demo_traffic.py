"""The office of the demo: people call in, out and each other until the task is cancelled."""

import asyncio
import logging
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from lab.asterisk.server import LabAsterisk
from lab.base.company import LabCompany
from lab.base.errors import LabError
from lab.demo.speech import spoken, spoken_menu
from lab.demo.spoken_dialogues import DIALOGUES, OUTSIDE, Dialogue
from lab.sip.sipp_calls import call_from_trunk, call_from_user
from lab.sip.sipp_phones import Behaviour, answering

log = logging.getLogger(__name__)

_MENU_WAITS_S: Final = 1.0  # the dialplan's WaitExten after the menu
_CALLERS: Final = (
    ("89131234567", "Смирнов Олег"),
    ("89029876543", ""),
    ("84951234567", "ООО «Сибирский дом»"),
    ("2123456", ""),
    ("89509951122", "Кузнецова Марина"),
    ("83832223344", "Насосы Сибири"),
)
_DIALLED: Final = ("2123456", "89131234567", "84951234567", "88001002030", "8104930901820")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One call to make: the dialogue, the number, and the behaviour of the called telephone.

    `also_rings` are telephones that ring with it and do not answer.
    """

    dialogue: Dialogue
    number: str
    behaviour: Behaviour = Behaviour.ANSWER
    through_menu: bool = False
    also_rings: frozenset[str] = frozenset()
    answer_after_s: float = 2.0

    @property
    def people(self) -> frozenset[str]:
        """Who is busy while it lasts."""
        return self.dialogue.people | self.also_rings


async def keep_calling(pbx: LabAsterisk, *, calls_per_minute: float = 6.0, seed: int | None = None) -> None:
    """Make a realistic mix of calls until cancelled; the first one at once.

    Raises LabError if speech cannot be made.

    A call that goes wrong is logged and does not stop the others. Nobody is in two talks at once: a
    call whose people are busy is not made, so there are seldom more than three at a time however
    many are asked for.
    """
    chance = random.Random(seed)  # noqa: S311
    menu_s = await asyncio.to_thread(spoken_menu, pbx.folder / "sounds" / "menu.alaw")
    plan, busy = first_plan(pbx.company), set[str]()
    async with asyncio.TaskGroup() as calls:
        while True:
            if not plan.people & busy:
                busy |= plan.people
                call = calls.create_task(_made(pbx, plan, chance, menu_s))
                call.add_done_callback(partial(_free, busy, plan.people))
            await asyncio.sleep(chance.expovariate(calls_per_minute / 60.0))
            plan = next_plan(pbx.company, chance, frozenset(busy))


async def keep_calling_when_recorded(pbx: LabAsterisk, *, calls_per_minute: float = 6.0) -> None:
    """Wait until the agent has its settings, then keep calling.

    The agent writes the file when it has them; before, it would miss the first word.
    """
    while not (pbx.spool / "settings.json").exists():  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    await keep_calling(pbx, calls_per_minute=calls_per_minute)


def first_plan(company: LabCompany) -> Plan:
    """A short call that is recorded, so that there is something to hear soon."""
    (hours,) = (dialogue for dialogue in DIALOGUES if dialogue.name == "hours")
    return Plan(dialogue=hours, number=_number_of(company, hours.called), answer_after_s=1.0)


def next_plan(company: LabCompany, chance: random.Random, busy: frozenset[str]) -> Plan:
    """Choose the next call: mostly talks, some by the menu or the group, some unanswered."""
    free = [talk for talk in DIALOGUES if not talk.people & busy]
    dialogue = chance.choice(free or DIALOGUES)
    number = dialogue.called
    if dialogue.called == OUTSIDE:
        number = chance.choice(_DIALLED)
    elif dialogue.caller == OUTSIDE:
        if dialogue.called == company.menu_leads_to and chance.random() < 0.3:
            return Plan(dialogue=dialogue, number=company.menu_number, through_menu=True)
        if dialogue.called in company.group and chance.random() < 0.3:
            return Plan(dialogue=dialogue, number=company.group_number, also_rings=frozenset(company.group) - {dialogue.called})
        number = _number_of(company, dialogue.called)
    behaviours = [Behaviour.ANSWER, Behaviour.NO_ANSWER, Behaviour.BUSY, Behaviour.REFUSE]
    behaviour = chance.choices(behaviours, (12, 2, 1, 1))[0]
    return Plan(dialogue=dialogue, number=number, behaviour=behaviour, answer_after_s=chance.uniform(1.5, 4.0))


def _free(busy: set[str], people: frozenset[str], _: asyncio.Task[None]) -> None:
    busy -= people


async def _made(pbx: LabAsterisk, plan: Plan, chance: random.Random, menu_s: float) -> None:
    try:
        await _make(pbx, plan, chance, menu_s)
    except LabError as error:
        log.warning("a call of the demo went wrong: %s", error)


async def _make(pbx: LabAsterisk, plan: Plan, chance: random.Random, menu_s: float) -> None:
    waits_s = menu_s + _MENU_WAITS_S + plan.answer_after_s if plan.through_menu else 0.0
    talk = await asyncio.to_thread(spoken, plan.dialogue, caller_waits_s=waits_s)
    talk_s, give_up_after_s = talk.length_s + waits_s, chance.uniform(6.0, 14.0)
    called = answering(pbx, plan.dialogue.called, behaviour=plan.behaviour, answer_after_s=plan.answer_after_s, audio=talk.called)
    async with AsyncExitStack() as on:
        for who in plan.also_rings:
            await on.enter_async_context(answering(pbx, who, behaviour=Behaviour.NO_ANSWER))
        await on.enter_async_context(called)
        if plan.dialogue.caller == OUTSIDE:
            caller, caller_name = chance.choice(_CALLERS)
            await call_from_trunk(
                pbx,
                dialled=plan.number,
                caller=caller,
                caller_name=caller_name,
                talk_s=talk_s,
                audio=talk.caller,
                give_up_after_s=give_up_after_s,
            )
        else:
            await call_from_user(
                pbx,
                plan.dialogue.caller,
                dialled=plan.number,
                talk_s=talk_s,
                audio=talk.caller,
                give_up_after_s=give_up_after_s,
            )


def _number_of(company: LabCompany, extension: str) -> str:
    return next(user.number for user in company.users if user.extension == extension and user.number is not None)
