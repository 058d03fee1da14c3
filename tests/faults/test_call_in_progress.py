"""A call that began while the agent was down (SCENARIOS 28): recorded from when it is found, and the row says so."""

import asyncio
import os
import signal

import pytest

from lab.asterisk.server import LabAsterisk
from lab.sip.sipp_phones import answering, call_from_trunk
from lab.tools.installation import Fonoteka


@pytest.mark.parametrize("knows", [True, False], ids=["agent restarted", "agent new on this PBX"])
async def test_it_is_recorded_from_then_on(pbx: LabAsterisk, fonoteka: Fonoteka, knows: bool) -> None:
    before = await fonoteka.ids()
    async with answering(pbx, "152", answer_after_s=0.1):
        dead, alive_again = fonoteka.part("agent"), fonoteka.log().count("event=ami.up")
        os.kill(dead, signal.SIGKILL)
        if not knows:
            (pbx.spool / "settings.json").unlink()  # then whose call it is comes after the call
        calling = asyncio.create_task(call_from_trunk(pbx, dialled="2458152", talk_s=12.0))
        while fonoteka.log().count("event=ami.up") == alive_again:
            await asyncio.sleep(0.05)
        assert not calling.done()
        outcome = await calling
    call = await fonoteka.settled(before, within_s=40)

    assert (call["direction"], call["result"], call["answered_by"]) == ("in", "answered", "152")
    assert (call["recording"]["state"], call["recording"]["reason"]) == ("partial", "agent_was_down")
    assert [segment["user"] for segment in call["recording"]["segments"]] == ["152"]
    assert 1000 < call["recording"]["duration_ms"] < outcome.talk_s * 1000 - 300
