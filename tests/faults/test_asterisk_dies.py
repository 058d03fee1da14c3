"""Asterisk reloads, drops the agent's link, is killed or stopped in the middle of a call.

What it had written becomes a recording, and the next call is recorded as ever (SCENARIOS 29).
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import pytest
import pytest_asyncio

from lab.asterisk.server import LabAsterisk
from lab.base.lateness import Lateness
from lab.scenarios.steps import customer_with, talk, talk_and_leave
from lab.sip.line import Line
from lab.tools.installation import Call, Fonoteka, beside
from tests.support.eventually import eventually


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mortal(spare_pbx: LabAsterisk, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fonoteka]:
    """A Fonoteka beside the PBX that tests may kill."""
    async with beside(spare_pbx, tmp_path_factory.mktemp("mortal"), FONOTEKA_MIXER_URGENT="1") as running:
        yield running


@asynccontextmanager
async def recorded_talk(pbx: LabAsterisk, fonoteka: Fonoteka) -> AsyncIterator[tuple[Line, Line, set[str]]]:
    """A talk that is being recorded, and the calls before it."""
    before = await fonoteka.ids()

    def is_recorded(call: Call) -> bool:
        return call["id"] not in before and call["recording"]["state"] == "recording"

    async with customer_with(pbx) as (customer, employee, _):
        await fonoteka.call(is_recorded)
        yield customer, employee, before


def length_s(call: Call) -> float:
    answered, ended = (datetime.fromisoformat(call[name]) for name in ("answered_at", "ended_at"))
    return (ended - answered).total_seconds()


async def test_a_reload_and_a_dropped_link_cost_no_second(spare_pbx: LabAsterisk, mortal: Fonoteka, lateness: Lateness) -> None:
    began, ups = time.monotonic(), mortal.log().count("event=ami.up")
    async with recorded_talk(spare_pbx, mortal) as (customer, employee, before):
        await spare_pbx.cli("core reload")
        sessions = await spare_pbx.cli("manager show connected")
        (descriptor,) = (row.split()[4] for row in sessions.splitlines() if row.split()[:1] == [spare_pbx.ami_user])
        await spare_pbx.cli(f"manager kick session {descriptor}")
        await eventually(lambda: mortal.log().count("event=ami.up") > ups)
        await talk_and_leave(customer, employee)
    call, late_s = await mortal.settled(before), lateness.total_s(began)
    assert (call["recording"]["state"], len(call["recording"]["segments"])) == ("ready", 1)
    assert call["recording"]["duration_ms"] == pytest.approx(1000 * employee.sip_call.talk_s, abs=100 + 1000 * late_s)
    assert length_s(call) == pytest.approx(employee.sip_call.talk_s, abs=0.2 + late_s)


async def test_what_reached_the_disk_is_kept_and_the_next_call_is_recorded(spare_pbx: LabAsterisk, mortal: Fonoteka) -> None:
    """Asterisk writes legs in blocks of 32 KiB, a second of 16 kHz: a kill loses the last one."""
    async with recorded_talk(spare_pbx, mortal) as (_, _, before):
        begun_at = time.monotonic()
        await talk()
        await spare_pbx.kill()
        talked_s = 1.5 + time.monotonic() - begun_at
        await spare_pbx.start()
    call = await mortal.settled(before)
    lost_s = length_s(call) - call["recording"]["duration_ms"] / 1000
    assert length_s(call) == pytest.approx(talked_s, abs=0.5)
    assert 0 <= lost_s < 1.2
    assert (call["recording"]["state"], call["recording"]["reason"]) == (
        ("partial", "audio_damaged") if lost_s > 0.1 else ("ready", None)
    )

    async with recorded_talk(spare_pbx, mortal) as (_, employee, before):
        stopping = asyncio.create_task(spare_pbx.restart())
        await employee.over()
        await stopping
    call = await mortal.settled(before)
    assert (call["result"], call["recording"]["state"]) == ("answered", "ready"), "Asterisk closes its files when it is stopped"
    assert call["recording"]["duration_ms"] == pytest.approx(1000 * employee.sip_call.talk_s, abs=500)
