"""Commands to the recorders of calls in progress, for the agent of the PBX, and its answers.

A command has one answer: the agent's, or WITHDRAWN after the sender waited too long. A command that
the agent has taken cannot be withdrawn: it may have been carried out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.agent_protocol import Command, Refusal
from fonoteka.core.call_report import Action
from fonoteka.core.errors import DomainNotServed
from store.database.schema import commands, pbxs
from store.database.signals import Signal, SignalKind, publish
from store.database.store import Store
from store.people.accounts import Pbx
from store.people.served_domains import served_domains

LASTS: Final = timedelta(seconds=10)  # older commands are not carried out
_REMOVED_AFTER: Final = timedelta(minutes=1)
DONE: Final = "done"
WITHDRAWN: Final = "withdrawn"
NOT_SERVED: Final = Refusal.CALL_IS_OVER.value  # over for the PBX, which no longer serves the domain
TAKEN: Final = "taken"  # stands for the answer until the agent gives one
_CHANGED: Final = Signal(kind=SignalKind.COMMANDS)


async def mark(store: Store) -> tuple[int, int]:
    """Return two numbers that change with every new command and answer."""
    final = func.count().filter(commands.c.answer != TAKEN)
    query = select(func.coalesce(func.max(commands.c.id), 0), final)
    async with store.reading() as connection:
        newest, answered = (await connection.execute(query)).one()
    return newest, answered


async def ask(store: Store, *, pbx: str, linkedid: str, domain_id: int, action: Action, login: str | None, now: datetime) -> int:
    """Store a command for the agent of a PBX and return its id. Delete old commands.

    It concerns the sides of users of one domain.
    """
    locked = select(pbxs.c.id).where(pbxs.c.name == pbx).with_for_update()  # so that ids become visible in order
    values = {"linkedid": linkedid, "domain_id": domain_id, "action": action, "login": login, "asked_at": now}
    async with store.writing() as connection:
        await connection.execute(delete(commands).where(commands.c.asked_at < now - _REMOVED_AFTER))
        pbx_id = (await connection.execute(locked)).scalar_one()
        added = await connection.execute(commands.insert().values(pbx_id=pbx_id, **values).returning(commands.c.id))
        publish(connection, _CHANGED)
        return int(added.scalar_one())


@dataclass(frozen=True, kw_only=True, slots=True)
class TakenCommands:
    """The commands that an agent carries out, and how many were refused in its place."""

    commands: tuple[Command, ...]
    refused: int


async def take(store: Store, pbx: Pbx, after: int, now: datetime) -> TakenCommands:
    """Take the commands of a PBX after a given id.

    Each command is taken once; withdrawn and old ones are left out. A command for a call of a
    domain that the PBX does not serve is answered with NOT_SERVED and not handed out.
    """
    wanted = (commands.c.pbx_id == pbx.id) & (commands.c.id > after) & commands.c.answer.is_(None)
    query = select(commands).where(wanted, commands.c.asked_at > now - LASTS).order_by(commands.c.id)
    async with store.reading() as connection:
        rows = (await connection.execute(query)).all()
        served = await _served_names(connection, pbx) if rows else {}
    if not rows:
        return TakenCommands(commands=(), refused=0)
    own = [row for row in rows if row.domain_id in served]
    async with store.writing() as connection:
        taken = await _answer_free(connection, [row.id for row in own], TAKEN)
        refused = await _answer_free(connection, [row.id for row in rows if row.domain_id not in served], NOT_SERVED)
        if refused:
            publish(connection, _CHANGED)
    handed = (
        Command(id=row.id, linkedid=row.linkedid, action=Action(row.action), login=row.login, domain=served[row.domain_id])
        for row in own
        if row.id in taken
    )
    return TakenCommands(commands=tuple(handed), refused=len(refused))


async def _answer_free(connection: AsyncConnection, ids: Sequence[int], text: str) -> set[int]:
    """Answer those of the commands that have no answer; return their ids."""
    if not ids:
        return set()
    free = update(commands).where(commands.c.id.in_(ids), commands.c.answer.is_(None))
    return set((await connection.execute(free.values(answer=text).returning(commands.c.id))).scalars())


async def _served_names(connection: AsyncConnection, pbx: Pbx) -> dict[int, str]:
    """Return the names of the domains that a PBX serves, by key."""
    return {key: name for name, key in (await served_domains(connection, pbx.id)).ids.items()}


async def answer(store: Store, pbx: Pbx, command_id: int, text: str) -> None:
    """Store the answer of a PBX to one of its commands; only the first answer counts.

    Raises DomainNotServed if the command's call is of a domain that the PBX does not serve.
    """
    command = (commands.c.id == command_id) & (commands.c.pbx_id == pbx.id)
    unanswered = update(commands).where(command, commands.c.answer.is_(None) | (commands.c.answer == TAKEN))
    async with store.writing() as connection:
        asked = (await connection.execute(select(commands.c.domain_id).where(command))).first()
        if asked is not None and asked.domain_id not in await _served_names(connection, pbx):
            raise DomainNotServed(f"command {command_id} is for a call of a domain that PBX {pbx.name!r} does not serve")
        await connection.execute(unanswered.values(answer=text))
        publish(connection, _CHANGED)


async def withdraw(store: Store, command_id: int) -> str:
    """Withdraw a command, so that it is never carried out.

    Returns WITHDRAWN, TAKEN if it is too late, or the answer.
    """
    unanswered = update(commands).where(commands.c.id == command_id, commands.c.answer.is_(None))
    async with store.writing() as connection:
        await connection.execute(unanswered.values(answer=WITHDRAWN))
    return await _stored_answer(store, command_id) or WITHDRAWN


async def answer_of(store: Store, command_id: int) -> str | None:
    """Return the answer to a command; None while there is none."""
    answer_text = await _stored_answer(store, command_id)
    return None if answer_text == TAKEN else answer_text


async def _stored_answer(store: Store, command_id: int) -> str | None:
    async with store.reading() as connection:
        text: str | None = (await connection.execute(select(commands.c.answer).where(commands.c.id == command_id))).scalar()
    return text
