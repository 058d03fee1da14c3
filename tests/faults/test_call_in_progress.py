"""A call that began while the agent was down (SCENARIOS 28).

Recorded from when it is found, and the row says so.
"""

import asyncio
import os
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from lab.asterisk.server import LabAsterisk
from lab.base.lateness import Lateness
from lab.scenarios.steps import CALLER, answers, customer_with, talk_and_leave
from lab.sip.handset import handset
from lab.tools.installation import Call, Fonoteka
from tests.support.eventually import eventually


@pytest.mark.parametrize("knows", [True, False], ids=["agent restarted", "agent new on this PBX"])
async def test_it_is_recorded_from_then_on(pbx: LabAsterisk, fonoteka: Fonoteka, lateness: Lateness, knows: bool) -> None:
    before = await fonoteka.ids()

    def is_recorded(call: Call) -> bool:
        return call["id"] not in before and call["recording"]["state"] == "recording"

    connected = fonoteka.log().count("event=ami.up")
    agent = fonoteka.part("agent")
    os.kill(agent, signal.SIGSTOP)  # no new agent comes before the call
    if not knows:
        (pbx.spool / "settings.json").unlink()  # then it is learned after the call whose call it is
    begun_at, began = datetime.now(UTC), time.monotonic()
    async with customer_with(pbx) as (customer, employee, _):
        os.kill(agent, signal.SIGKILL)
        await eventually(lambda: fonoteka.log().count("event=ami.up") > connected)
        await fonoteka.call(is_recorded)
        await talk_and_leave(customer, employee)
    call = await fonoteka.settled(before)

    assert (call["direction"], call["result"], call["answered_by"]) == ("in", "answered", "152")
    assert (call["src"], call["dst"]) == (CALLER, "2458152"), "as dialled first, not 152, where the call stands"
    assert begun_at <= datetime.fromisoformat(call["started_at"]) <= begun_at + timedelta(seconds=0.5 + lateness.allowance_s(began))
    assert (call["recording"]["state"], call["recording"]["reason"]) == ("partial", "agent_was_down")
    assert [segment["user"] for segment in call["recording"]["segments"]] == ["152"]
    assert 1000 < call["recording"]["duration_ms"] < employee.sip_call.talk_s * 1000 - 300


async def cut_link(pbx: LabAsterisk) -> None:
    """Let Asterisk close the agent's connection to the manager interface."""
    sessions = [line.split() for line in (await pbx.cli("manager show connected")).splitlines()]
    (agent,) = [session for session in sessions if session[:1] == [pbx.ami_user]]
    await pbx.cli(f"manager kick session {agent[4]}")


async def test_a_transfer_while_the_link_to_asterisk_is_cut(pbx: LabAsterisk, fonoteka: Fonoteka) -> None:
    """The talk with 152 was being recorded and goes on being; that with 421 is missing."""
    before = await fonoteka.ids()
    async with handset(pbx, "421") as colleague, customer_with(pbx) as (customer, employee, _):
        await fonoteka.call(lambda call: call["id"] not in before and call["recording"]["state"] == "recording")
        agent = fonoteka.part("agent")
        os.kill(agent, signal.SIGSTOP)  # so that it does not come back at once
        try:
            await cut_link(pbx)
            transferring = asyncio.create_task(employee.transfer("421"))
            taken = await answers(colleague)
            await transferring
            await talk_and_leave(customer, taken)
        finally:
            os.kill(agent, signal.SIGCONT)
    call = await fonoteka.settled(before)

    assert fonoteka.part("agent") == agent, "the same agent"
    assert (call["src"], call["dst"], call["result"], call["answered_by"]) == (CALLER, "2458152", "answered", "421")
    assert (call["recording"]["state"], call["recording"]["reason"]) == ("partial", "agent_was_down")
    assert [segment["user"] for segment in call["recording"]["segments"]] == ["152"]
    assert call["recording"]["duration_ms"] == pytest.approx(1000 * employee.sip_call.talk_s, abs=500)
    assert ("transfer", "421") in [(step["what"], step["who"]) for step in call["path"]]
    assert len(await fonoteka.ids()) == len(before) + 1
