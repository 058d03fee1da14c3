"""A call that began while the agent was down (SCENARIOS 28).

Recorded from when it is found, and the row says so.
"""

import os
import signal

import pytest

from lab.asterisk.server import LabAsterisk
from lab.scenarios.steps import customer_with, talk_and_leave
from lab.tools.installation import Call, Fonoteka
from tests.support.eventually import eventually


@pytest.mark.parametrize("knows", [True, False], ids=["agent restarted", "agent new on this PBX"])
async def test_it_is_recorded_from_then_on(pbx: LabAsterisk, fonoteka: Fonoteka, knows: bool) -> None:
    before = await fonoteka.ids()

    def is_recorded(call: Call) -> bool:
        return call["id"] not in before and call["recording"]["state"] == "recording"

    connected = fonoteka.log().count("event=ami.up")
    agent = fonoteka.part("agent")
    os.kill(agent, signal.SIGSTOP)  # no new agent comes before the call
    if not knows:
        (pbx.spool / "settings.json").unlink()  # then it is learned after the call whose call it is
    async with customer_with(pbx) as (customer, employee, _):
        os.kill(agent, signal.SIGKILL)
        await eventually(lambda: fonoteka.log().count("event=ami.up") > connected)
        await fonoteka.call(is_recorded)
        await talk_and_leave(customer, employee)
    call = await fonoteka.settled(before)

    assert (call["direction"], call["result"], call["answered_by"]) == ("in", "answered", "152")
    assert (call["recording"]["state"], call["recording"]["reason"]) == ("partial", "agent_was_down")
    assert [segment["user"] for segment in call["recording"]["segments"]] == ["152"]
    assert 1000 < call["recording"]["duration_ms"] < employee.sip_call.talk_s * 1000 - 300
