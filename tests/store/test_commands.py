"""Commands to recorders: which PBX takes them, until when, and whose answer counts."""

from datetime import UTC, datetime, timedelta

import pytest

from fonoteka.core.call_report import Action
from store import recorder_commands as commands
from store.database import schema
from store.database.store import Store
from store.people.accounts import Pbx, ensure_pbx, pbx_of

NOW = datetime(2026, 11, 22, 16, 43, 42, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _seeded(pbx: Pbx) -> None:
    """The store has the domain that is commanded."""


async def registered(store: Store, name: str) -> Pbx:
    await ensure_pbx(store, name, f"token of {name}")
    pbx = await pbx_of(store, f"token of {name}")
    assert pbx is not None
    return pbx


async def asked(store: Store, pbx: Pbx, now: datetime = NOW) -> int:
    return await commands.ask(store, pbx=pbx.name, linkedid="1.1", domain_id=1, action=Action.PAUSE, login="152", now=now)


async def test_a_command_is_handed_out_once_to_its_own_pbx_unless_it_is_too_old_or_withdrawn(store: Store) -> None:
    here, there = await registered(store, "here"), await registered(store, "there")
    first, second, third, fourth = [await asked(store, here) for _ in range(4)]
    assert await commands.withdraw(store, fourth) == commands.WITHDRAWN
    for pbx, after, age_s, expected in (
        (there, 0, 0, []),
        (here, 0, 10, []),
        (here, second, 9.9, [third]),
        (here, 0, 0, [first, second]),
        (here, 0, 0, []),
    ):
        now = NOW + timedelta(seconds=age_s)
        assert [command.id for command in (await commands.take(store, pbx, after, now)).commands] == expected


async def test_what_was_taken_can_only_be_answered(store: Store) -> None:
    here = await registered(store, "here")
    command = await asked(store, here)
    await commands.take(store, here, 0, NOW)
    assert await commands.answer_of(store, command) is None
    assert await commands.withdraw(store, command) == commands.TAKEN
    before = await commands.mark(store)
    await commands.answer(store, here, command, commands.DONE)
    assert await commands.mark(store) != before  # wakes the waiting request
    assert await commands.answer_of(store, command) == commands.DONE


async def test_the_first_answer_counts_and_no_other_pbx_gives_it(store: Store) -> None:
    here, there = await registered(store, "here"), await registered(store, "there")
    command = await asked(store, here)
    before = await commands.mark(store)
    await commands.answer(store, there, command, "not-talking")
    assert await commands.answer_of(store, command) is None
    await commands.answer(store, here, command, commands.DONE)
    assert await commands.mark(store) != before
    assert await commands.withdraw(store, command) == commands.DONE
    late = await asked(store, here)
    assert await commands.withdraw(store, late) == commands.WITHDRAWN
    await commands.answer(store, here, late, commands.DONE)
    assert await commands.answer_of(store, late) == commands.WITHDRAWN


async def test_old_commands_are_deleted_and_their_ids_never_reused(store: Store) -> None:
    pbx = await registered(store, "here")
    first = await asked(store, pbx)
    later = NOW + timedelta(minutes=2)
    second = await asked(store, pbx, later)
    assert second > first
    assert await commands.answer_of(store, first) is None
    await commands.answer(store, pbx, first, commands.DONE)
    assert await commands.answer_of(store, first) is None
    async with store.writing() as connection:
        await connection.execute(schema.commands.delete())
    assert await asked(store, pbx, later) > second
