"""Asterisk reloads, drops the agent's link or is stopped, or the wall clock jumps, in mid-call.

Nothing that was said is lost, and no length changes (SCENARIOS 29 and 35). `make faults` runs it.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from lab.asterisk.server import LabAsterisk
from lab.base.lateness import Lateness
from lab.scenarios.steps import customer_with, talk, talk_and_leave
from lab.sip.line import Line
from lab.tools.installation import Call, Fonoteka, beside
from tests.support.eventually import eventually

pytestmark = pytest.mark.long


@dataclass(frozen=True, kw_only=True)
class Machine:
    """An Asterisk that tests may kill and a Fonoteka beside it, on one wall clock that can jump.

    `file` holds how far the clock is wrong; libfaketime reads it each second.
    """

    pbx: LabAsterisk
    fonoteka: Fonoteka
    file: Path


def faked(library: Path, file: Path) -> dict[str, str]:
    """The environment of a process whose wall clock is wrong, and whose monotonic clock is not."""
    clock = {"FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_CACHE_DURATION": "1", "DONT_FAKE_MONOTONIC": "1"}
    return {"LD_PRELOAD": str(library), "NO_FAKE_STAT": "1", **clock}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def machine(spare_pbx: LabAsterisk, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    here, inside = spare_pbx.folder, spare_pbx.spool_in_asterisk.parents[1]
    shutil.copy(library, here / "libfaketime.so")
    file = here / "clock"
    file.write_text("+0", encoding="ascii")
    spare_pbx.environment = faked(inside / "libfaketime.so", inside / "clock")
    try:
        await spare_pbx.restart()
        environment = {"FONOTEKA_MIXER_URGENT": "1", **faked(library, file)}
        async with beside(spare_pbx, tmp_path_factory.mktemp("mortal"), **environment) as running:
            yield Machine(pbx=spare_pbx, fonoteka=running, file=file)
    finally:
        spare_pbx.environment = {}
        await spare_pbx.restart()


@asynccontextmanager
async def recorded_talk(machine: Machine) -> AsyncIterator[tuple[Line, Line, set[str]]]:
    """A talk that is being recorded, and the calls before it."""
    pbx, fonoteka = machine.pbx, machine.fonoteka
    before = await fonoteka.ids()

    def is_recorded(call: Call) -> bool:
        return call["id"] not in before and call["recording"]["state"] == "recording"

    async with customer_with(pbx) as (customer, employee, _):
        await fonoteka.call(is_recorded)
        yield customer, employee, before


def length_s(call: Call) -> float:
    answered, ended = (datetime.fromisoformat(call[name]) for name in ("answered_at", "ended_at"))
    return (ended - answered).total_seconds()


async def test_a_reload_and_a_dropped_link_cost_no_second(machine: Machine, lateness: Lateness) -> None:
    began, ups = time.monotonic(), machine.fonoteka.log().count("event=ami.up")
    async with recorded_talk(machine) as (customer, employee, before):
        await machine.pbx.cli("core reload")
        sessions = await machine.pbx.cli("manager show connected")
        (descriptor,) = (row.split()[4] for row in sessions.splitlines() if row.split()[:1] == [machine.pbx.ami_user])
        await machine.pbx.cli(f"manager kick session {descriptor}")
        await eventually(lambda: machine.fonoteka.log().count("event=ami.up") > ups)
        await talk_and_leave(customer, employee)
    call, late_s = await machine.fonoteka.settled(before), lateness.allowance_s(began)
    assert (call["recording"]["state"], len(call["recording"]["segments"])) == ("ready", 1)
    assert call["recording"]["duration_ms"] == pytest.approx(1000 * employee.sip_call.talk_s, abs=250 + 1000 * late_s)
    assert length_s(call) == pytest.approx(employee.sip_call.talk_s, abs=0.2 + late_s)


async def test_a_stop_loses_nothing_that_was_said(machine: Machine) -> None:
    async with recorded_talk(machine) as (_, employee, before):
        stopping = asyncio.create_task(machine.pbx.restart())
        await employee.over()
        await stopping
    call = await machine.fonoteka.settled(before)
    assert (call["result"], call["recording"]["state"]) == ("answered", "ready"), "Asterisk closes its files when it is stopped"
    assert call["recording"]["duration_ms"] == pytest.approx(1000 * employee.sip_call.talk_s, abs=500)


@pytest.mark.parametrize("days", [2, -2])
async def test_the_wall_clock_jumps(machine: Machine, lateness: Lateness, days: int) -> None:
    began = time.monotonic()
    async with recorded_talk(machine) as (customer, employee, before):
        machine.file.write_text(f"{days:+}d", encoding="ascii")
        await talk()
        await talk_and_leave(customer, employee)
    call, late_s = await machine.fonoteka.settled(before), lateness.allowance_s(began)
    new = await machine.fonoteka.ids() - before
    machine.file.write_text("+0", encoding="ascii")
    await asyncio.sleep(1.1)  # until every process reads the file again: the next call begins on one clock
    assert new == {call["id"]}, "one row, seen with a session of before"
    assert (call["recording"]["state"], len(call["recording"]["segments"])) == ("ready", 1)
    assert call["recording"]["duration_ms"] == pytest.approx(1000 * employee.sip_call.talk_s, abs=250 + 1000 * late_s)
    assert length_s(call) == pytest.approx(employee.sip_call.talk_s, abs=0.2 + late_s)
    assert 0 <= call["duration_s"] - call["talk_s"] <= 3 + late_s, "it rang for a moment; both are whole seconds"
    times = [datetime.fromisoformat(step["at"]) for step in call["path"]]
    assert times == sorted(times)
    assert abs(times[0] - datetime.now(UTC) - timedelta(days=days)) < timedelta(minutes=5), "dated by the clock as it is now"
