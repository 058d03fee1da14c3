"""What people ask of recordings that go on, on its way to the agent of the call's PBX, and the agent's answer.

Each is answered once: by the agent, or withdrawn by who asked and waited in vain. What an agent has taken can no longer be
withdrawn, so nobody is told that something was not done that was.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select, update

from fonoteka.core.agent_protocol import Command
from fonoteka.core.call_report import Action
from store.database.schema import commands, pbxs
from store.database.store import Store
from store.people.accounts import Pbx

LASTS: Final = timedelta(seconds=10)  # nothing older is carried out: whoever asked has long turned away
_KEPT: Final = timedelta(minutes=1)
DONE: Final = "done"
WITHDRAWN: Final = "withdrawn"
TAKEN: Final = "taken"  # in the place of the answer while the agent is at it


async def mark(store: Store) -> tuple[int, int]:
    """Two numbers, another pair whenever a command or an answer has come."""
    final = func.count().filter(commands.c.answer != TAKEN)
    query = select(func.coalesce(func.max(commands.c.id), 0), final)
    async with store.reading() as connection:
        newest, answered = (await connection.execute(query)).one()
    return newest, answered


async def ask(store: Store, *, pbx: str, linkedid: str, action: Action, login: str | None, now: datetime) -> int:
    """Leave a command for the agent of a PBX; returns its id. Old ones are cleared away."""
    whose = select(pbxs.c.id).where(pbxs.c.name == pbx).with_for_update()  # one at a time, so that ids come in order
    values = {"linkedid": linkedid, "action": action, "login": login, "asked_at": now}
    async with store.writing() as connection:
        await connection.execute(delete(commands).where(commands.c.asked_at < now - _KEPT))
        pbx_id = (await connection.execute(whose)).scalar_one()
        added = await connection.execute(commands.insert().values(pbx_id=pbx_id, **values).returning(commands.c.id))
        return int(added.scalar_one())


async def take(store: Store, pbx: Pbx, after: int, now: datetime) -> Sequence[Command]:
    """The commands of a PBX that came after one and are not too old, each handed out once and never if it was withdrawn."""
    wanted = (commands.c.pbx_id == pbx.id) & (commands.c.id > after) & commands.c.answer.is_(None)
    query = select(commands).where(wanted, commands.c.asked_at > now - LASTS).order_by(commands.c.id)
    async with store.reading() as connection:
        rows = (await connection.execute(query)).all()
    if rows:
        mine = update(commands).where(commands.c.id.in_([row.id for row in rows]), commands.c.answer.is_(None))
        async with store.writing() as connection:
            taken = set((await connection.execute(mine.values(answer=TAKEN).returning(commands.c.id))).scalars())
        rows = [row for row in rows if row.id in taken]
    return [Command(id=row.id, linkedid=row.linkedid, action=Action(row.action), login=row.login) for row in rows]


async def answer(store: Store, pbx: Pbx, command_id: int, text: str) -> None:
    """Take what a PBX says came of a command of its own; only the first answer counts."""
    mine = (commands.c.id == command_id) & (commands.c.pbx_id == pbx.id)
    unanswered = update(commands).where(mine, commands.c.answer.is_(None) | (commands.c.answer == TAKEN))
    async with store.writing() as connection:
        await connection.execute(unanswered.values(answer=text))


async def withdraw(store: Store, command_id: int) -> str:
    """Give up waiting: from now on nobody will carry it out. Returns WITHDRAWN, TAKEN if it is too late for that, or the answer."""
    unanswered = update(commands).where(commands.c.id == command_id, commands.c.answer.is_(None))
    async with store.writing() as connection:
        await connection.execute(unanswered.values(answer=WITHDRAWN))
    return await _said(store, command_id) or WITHDRAWN


async def answer_of(store: Store, command_id: int) -> str | None:
    """What came of a command; None while there is no answer."""
    said = await _said(store, command_id)
    return None if said == TAKEN else said


async def _said(store: Store, command_id: int) -> str | None:
    async with store.reading() as connection:
        text: str | None = (await connection.execute(select(commands.c.answer).where(commands.c.id == command_id))).scalar()
    return text
