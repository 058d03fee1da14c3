"""SCENARIOS 32: the dialplan of the kit records while the agent is away, on the real Asterisk."""

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from lab.asterisk.server import LabAsterisk
from lab.base.lateness import Lateness
from lab.scenarios.steps import CALLER, LONG_DISTANCE, answered, customer_with, talk, talk_and_leave, watcher
from lab.sip.handset import TRUNK, Handset, handset, tone_hz_of
from lab.sip.sipp_phones import CALLER_HZ, OUTSIDE, OUTSIDE_HZ
from lab.tools.installation import Call, Fonoteka, beside
from tests.faults.test_call_in_progress import cut_link
from tests.support.audio_checks import assert_tone, decoded
from tests.support.eventually import eventually

LEG: Final = re.compile(r"[A-Za-z0-9.-]+_[0-9.]+_0_(in|out)_(employee|outside)\.wav")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(spare_pbx: LabAsterisk, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fonoteka]:
    """Run a Fonoteka beside the spare PBX that lets the dialplan record."""
    settings = {"FONOTEKA_MIXER_URGENT": "1", "FONOTEKA_PBX__RECORD_WHEN_AWAY": "true"}
    async with beside(spare_pbx, tmp_path_factory.mktemp("away-beside"), **settings) as running:

        async def is_mirrored() -> bool:
            return "/fonoteka/away_out/PJSIP/acme-421" in await spare_pbx.cli("database show fonoteka")

        await eventually(is_mirrored)
        yield running
    await spare_pbx.cli("database deltree fonoteka")  # or the dialplan records the calls of later tests


@asynccontextmanager
async def away(pbx: LabAsterisk, running: Fonoteka) -> AsyncIterator[None]:
    """Stop the agent, with a heartbeat that is too old; then kill it and wait for the next."""
    agent, connected = running.part("agent"), running.log().count("event=ami.up")
    os.kill(agent, signal.SIGSTOP)
    await pbx.cli(f"database put fonoteka heartbeat/at {int(time.time()) - 11}")
    try:
        yield
    finally:
        os.kill(agent, signal.SIGKILL)
        await eventually(lambda: running.log().count("event=ami.up") > connected)


@asynccontextmanager
async def stopped(pbx: LabAsterisk, running: Fonoteka) -> AsyncIterator[None]:
    """Stop the agent in order, as an update does, and let the next one start at the end."""
    agent, connected = running.part("agent"), running.log().count("event=ami.up")
    running.process.send_signal(signal.SIGSTOP)  # it starts no other agent
    try:
        os.kill(agent, signal.SIGTERM)

        async def has_no_heartbeat() -> bool:
            return "/heartbeat/at" not in await pbx.cli("database show fonoteka heartbeat")

        await eventually(has_no_heartbeat)
        yield
    finally:
        running.process.send_signal(signal.SIGCONT)
        await eventually(lambda: running.log().count("event=ami.up") > connected)


def legs(pbx: LabAsterisk) -> list[Path]:
    """The legs that wait in the spool."""
    return sorted((pbx.spool / "away").iterdir())


async def assert_whole(running: Fonoteka, call: Call, left_hz: float, right_hz: float, talk_s: float, late_s: float) -> None:
    """One recording, from the first word on, and the row of a call that was recorded as usual."""
    assert (call["result"], call["recording"]["state"], call["recording"]["reason"]) == ("answered", "ready", None)
    assert [segment["user"] for segment in call["recording"]["segments"]] == ["152"]
    assert call["recording"]["duration_ms"] == pytest.approx(1000 * talk_s, abs=250 + 1000 * late_s)
    assert call["talk_s"] == pytest.approx(talk_s, abs=1 + late_s)
    assert [step["who"] for step in call["path"] if step["what"] == "record_by_pbx"] == ["152"]
    assert "record" not in {step["what"] for step in call["path"]}
    samples, rate_hz = decoded(await running.audio(call, format="wav"))
    for side, hz in zip(samples, (left_hz, right_hz), strict=True):
        assert_tone(side, rate_hz, hz)
        assert_tone(side[: rate_hz // 5], rate_hz, hz, least=0.4)


HOSTILE: Final = 'x\'; $(id) 1)}${SHELL(id)},2& " = " ../../r(a)t(b)_0_in'
HOSTILE_USER: Final = "".join(f"%{ord(letter):02x}" for letter in HOSTILE)


async def test_an_incoming_call_goes_on_when_the_agent_is_back(
    spare_pbx: LabAsterisk, running: Fonoteka, lateness: Lateness
) -> None:
    """It is recorded, and before it no user that is off or on demand, and no forward to outside.

    No text of the caller, and no id that a program gives to a channel, is in the name of a file.
    """
    before, log = await running.ids(), spare_pbx.log_path.stat().st_size
    async with handset(spare_pbx, TRUNK) as outside, handset(spare_pbx, "152") as desk:
        async with away(spare_pbx, running):
            await calls_that_are_not_recorded(spare_pbx, outside)
            assert legs(spare_pbx) == []
            await call_by_a_program(spare_pbx, desk)
            began = time.monotonic()
            customer, employee = await answered(outside, "2458152", desk, user=HOSTILE_USER, name=HOSTILE)
            await talk()
            names = [leg.name for leg in legs(spare_pbx)]
            assert [LEG.fullmatch(name) is not None for name in names] == [True] * 4, names
        await running.call(lambda call: call["id"] not in before and call["recording"]["state"] == "recording")
        await talk_and_leave(customer, employee)
    call, late_s = await recorded(running, before), lateness.allowance_s(began)

    assert (call["direction"], call["answered_by"]) == ("in", "152")
    await assert_whole(running, call, CALLER_HZ, tone_hz_of(spare_pbx, "152"), employee.sip_call.talk_s, late_s)
    left = legs(spare_pbx)
    assert {leg.name for leg in left} <= set(names[2:]), "the program's call may be unknown: its empty legs wait"
    for leg in left:
        leg.unlink(missing_ok=True)
    logged = spare_pbx.log_path.read_text(errors="replace")[log:]
    assert "uid=" not in logged
    assert "yntax error" not in logged


async def call_by_a_program(pbx: LabAsterisk, desk: Handset) -> None:
    """A program calls a user, who refuses; the program chooses the id of the call."""
    async with watcher(pbx) as tap:
        program = {"Channel": "Local/152@from-users/n", "ChannelId": HOSTILE, "Application": "Wait", "Data": "9"}
        await tap.action(Action="Originate", Async="true", **program)
        (await desk.rung()).refuse()


async def calls_that_are_not_recorded(pbx: LabAsterisk, outside: Handset) -> None:
    """A call of a user that is off, of one on demand, and a call that the PBX forwards outside."""
    async with handset(pbx, OUTSIDE) as far:
        for employee in ("130", "777"):
            async with handset(pbx, employee) as desk:
                there, _ = await answered(outside, f"2458{employee}", desk, user=CALLER)
                await there.hang_up()
        await pbx.cli(f"database put CF 152 {LONG_DISTANCE}")
        there, _ = await answered(outside, "2458152", far, user=CALLER)
        await there.hang_up()
        await pbx.cli("database del CF 152")


async def recorded(running: Fonoteka, before: set[str]) -> Call:
    """The one call that was recorded, with its path."""

    def is_ready(call: Call) -> bool:
        return call["id"] not in before and call["recording"]["state"] == "ready"

    call = await running.call(is_ready)
    assert [call["id"] for call in await running.calls() if is_ready(call)] == [call["id"]]
    return await running.details(call)


async def test_an_outgoing_call_that_rings_when_the_agent_is_back(
    spare_pbx: LabAsterisk, running: Fonoteka, lateness: Lateness
) -> None:
    """The agent ended in order: the dialplan does not wait until the heartbeat is old."""
    before, began = await running.ids(), time.monotonic()
    async with handset(spare_pbx, OUTSIDE) as far, handset(spare_pbx, "152") as desk:
        async with stopped(spare_pbx, running):
            here = desk.dial("2223344")
            there = await far.rung()
        await there.answer()
        await here.up()
        await talk_and_leave(there, here)
    late_s = lateness.allowance_s(began)
    call = await recorded(running, before)

    assert call["direction"] == "out"
    await assert_whole(running, call, OUTSIDE_HZ, tone_hz_of(spare_pbx, "152"), there.sip_call.talk_s, late_s)
    assert legs(spare_pbx) == []


async def test_a_call_that_the_agent_never_saw(spare_pbx: LabAsterisk, running: Fonoteka, lateness: Lateness) -> None:
    """The row comes from the CEL journal, the audio from the dialplan."""
    pytest.importorskip("agent.cel")
    before, began = await running.ids(), time.monotonic()
    async with away(spare_pbx, running), handset(spare_pbx, TRUNK) as outside, handset(spare_pbx, "152") as desk:
        customer, employee = await answered(outside, "2458152", desk, user=CALLER)
        await talk_and_leave(customer, employee)
        late_s = lateness.allowance_s(began)
    call = await recorded(running, before)

    assert (call["direction"], call["answered_by"], call["src"]) == ("in", "152", CALLER)
    await assert_whole(running, call, CALLER_HZ, tone_hz_of(spare_pbx, "152"), employee.sip_call.talk_s, late_s)
    assert legs(spare_pbx) == []


async def test_a_second_recorder_is_stopped_and_the_agents_own_goes_on(
    spare_pbx: LabAsterisk, running: Fonoteka, lateness: Lateness
) -> None:
    """The dialplan finds the heartbeat too old although the agent lives, as with a wrong clock."""

    async def be_old() -> None:
        while True:
            await spare_pbx.cli(f"database put fonoteka heartbeat/at {int(time.time()) - 11}")

    async def channel() -> str:
        channels = (await spare_pbx.cli("core show channels concise")).splitlines()
        return next(line.split("!")[0] for line in channels if line.startswith("PJSIP/acme-152-"))

    async def has_recorders(number: int) -> bool:
        return (await spare_pbx.cli(f"mixmonitor list {await channel()}")).count("0x") == number

    being_old = asyncio.create_task(be_old())
    while True:
        before, began = await running.ids(), time.monotonic()
        async with customer_with(spare_pbx) as (customer, employee, _):
            if "FONOTEKA_AWAY=yes" not in await spare_pbx.cli(f"core show channel {await channel()}"):
                await talk_and_leave(customer, employee)
                continue  # the agent wrote its heartbeat just before the dialplan looked
            await eventually(lambda: has_recorders(2))
            await eventually(lambda: len(legs(spare_pbx)) == 2)
            await cut_link(spare_pbx)  # files are looked for at each login
            await eventually(lambda: legs(spare_pbx) == [])
            await eventually(lambda: has_recorders(1))
            await talk_and_leave(customer, employee)
        break
    being_old.cancel()
    call, late_s = await recorded(running, before), lateness.allowance_s(began)
    assert call["recording"]["duration_ms"] == pytest.approx(1000 * employee.sip_call.talk_s, abs=250 + 1000 * late_s)
    assert {step["what"] for step in call["path"]} >= {"record"}
