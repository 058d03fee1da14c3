"""Two agents of one PBX, of which one is killed, stopped or cut off in the middle of a call.

SCENARIOS 1, 4 and 16: the rows and the sound are those of a call without a fault.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import httpx
import pytest
import pytest_asyncio

from lab.asterisk.server import LabAsterisk
from lab.base.lateness import Lateness
from lab.base.spool_files import spool_files
from lab.scenarios.basic_calls import CITY
from lab.scenarios.steps import CUSTOMER, PhoneCalls, answered, answers, customer_with, talk, talk_and_leave
from lab.sip.handset import handset
from lab.sip.sipp_phones import OUTSIDE, OUTSIDE_HZ
from lab.tools.installation import Call
from tests.pbx.test_scenarios_transferred import BY_152, BY_421, HZ_152, with_152, with_421
from tests.pbx.two_agents import TwoAgents, two_agents
from tests.support.call_flows import PlayedFlow, PlayedFlows
from tests.support.eventually import eventually
from tests.support.scenario import Row, Scenario, assert_as_expected, part, scenario

Fault = Callable[[], Awaitable[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair(spare_pbx: LabAsterisk, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwoAgents]:
    async with two_agents(spare_pbx, tmp_path_factory.mktemp("two")) as running:
        yield running
    await spare_pbx.cli("database deltree fonoteka")


async def incoming(pbx: LabAsterisk, fault: Fault, mended: Fault) -> PhoneCalls:
    async with customer_with(pbx) as (customer, employee, _):
        await fault()
        await mended()
        await talk_and_leave(customer, employee)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call}


async def outgoing(pbx: LabAsterisk, fault: Fault, mended: Fault) -> PhoneCalls:
    async with handset(pbx, OUTSIDE) as far, handset(pbx, "152") as desk:
        employee, outside = await answered(desk, CITY, far)
        await talk()
        await fault()
        await mended()
        await talk_and_leave(employee, outside)
        return {"152": employee.sip_call}


async def transferred(pbx: LabAsterisk, fault: Fault, mended: Fault) -> PhoneCalls:
    async with handset(pbx, "421") as colleague, customer_with(pbx) as (customer, employee, _):
        await fault()
        transferring = asyncio.create_task(employee.transfer("421"))
        taken = await answers(colleague)
        await transferring
        await talk()
        await mended()
        await talk_and_leave(customer, taken)
        return {CUSTOMER: customer.sip_call, "152": employee.sip_call, "421": taken.sip_call}


OUT: Final = Row(
    direction="out", src="152", dst=CITY, answered_by=CITY, employee="152", parts=(part("152", OUTSIDE_HZ, HZ_152, "152"),)
)
PLAYS: Final = {"1": incoming, "4": outgoing, "16": transferred}
SCENARIOS: Final = (
    scenario("1 answered", "1", BY_152(with_152())),
    scenario("4 to the city", "4", OUT),
    scenario("16 blind", "16", BY_421(with_152(), with_421())),
)


async def played(pair: TwoAgents, lateness: Lateness, scenario: Scenario, fault: Fault, mended: Fault) -> PlayedFlows:
    """Play a scenario with a fault in its middle, and return it with its row and its recording."""
    before, began = await pair.fonoteka.ids(), time.monotonic()
    phone_calls = await PLAYS[scenario.flow](pair.pbx, fault, mended)
    late_s = lateness.allowance_s(began)
    row = await pair.fonoteka.settled(before)
    assert await pair.fonoteka.ids() == before | {row["id"]}, "no row twice"
    audio, flows = await pair.fonoteka.audio(row), PlayedFlows()
    await eventually(lambda: not spool_files(pair.pbx.spool))
    flows.results[scenario.flow] = PlayedFlow(
        company=pair.pbx.company, phone_calls=phone_calls, rows=[row], audio=[audio], events=[], texts=[], late_s=late_s
    )
    return flows


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP], ids=lambda number: number.name)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_a_call_goes_on_as_if_nothing_had_been(
    pair: TwoAgents, lateness: Lateness, scenario: Scenario, number: signal.Signals
) -> None:
    await pair.both_there()
    first, before = pair.working, await pair.fonoteka.ids()

    async def fault() -> None:
        await pair.fonoteka.call(lambda call: call["id"] not in before and call["recording"]["state"] == "recording")
        began = time.monotonic()
        first.send(number)
        await pair.taken_over_from(first, began)

    async def mended() -> None:
        """Let the agent that stood still go on: it has heard nothing of what happened since."""
        if number is not signal.SIGSTOP:
            await first.process.wait()
            await first.start()
        first.send(signal.SIGCONT)
        await pair.both_there()
        assert pair.waiting is first
        assert await pair.recorders() == 1

    assert_as_expected(scenario, await played(pair, lateness, scenario, fault, mended))


async def test_what_waits_in_the_spool_is_sent_by_the_second(pair: TwoAgents, lateness: Lateness) -> None:
    """The store is away while a call ends, the first agent dies, and the second one takes over."""
    await pair.both_there()
    first, before = pair.working, await pair.fonoteka.ids()
    await pair.api.end(signal.SIGKILL)
    async with customer_with(pair.pbx) as (customer, employee, _):
        await talk_and_leave(customer, employee)
    await eventually(lambda: list(pair.pbx.spool.glob("mixed/*/mixed.json")))
    began = time.monotonic()
    await first.end(signal.SIGKILL)
    await pair.taken_over_from(first, began)
    async with customer_with(pair.pbx) as (customer, employee, _):
        assert await pair.recorders() == 1
        await talk_and_leave(customer, employee)
    await pair.api.start()
    await first.start()

    async def settled() -> list[Call] | None:
        try:
            calls = [call for call in await pair.fonoteka.calls() if call["id"] not in before]
        except httpx.TransportError:
            return None
        return calls if [call["recording"]["state"] for call in calls] == ["ready", "ready"] else None

    await eventually(settled)
    await eventually(lambda: not spool_files(pair.pbx.spool))
