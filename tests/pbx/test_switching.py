"""What a manager sees while a call goes on, and how soon a switch in the portal is in force."""

import asyncio
import time

from lab.asterisk.server import LabAsterisk
from lab.sip.sipp_phones import answering, call_from_trunk
from lab.tools.installation import Call, Fonoteka


async def test_the_row_is_there_while_the_call_goes_on(pbx: LabAsterisk, fonoteka: Fonoteka) -> None:
    before = await fonoteka.ids()

    def talks(call: Call) -> bool:
        return call["id"] not in before and call["recording"]["state"] == "recording"

    async with answering(pbx, "152", answer_after_s=1.0):
        calling = asyncio.create_task(call_from_trunk(pbx, dialled="2458152", talk_s=3.0))
        live = await fonoteka.call(talks)
        assert not calling.done()
        assert (live["ended_at"], live["result"], live["answered_by"]) == (None, "answered", "152")
        await calling
    assert (await fonoteka.settled(before))["id"] == live["id"]


async def test_a_switch_holds_for_the_next_call_within_a_second(pbx: LabAsterisk, fonoteka: Fonoteka) -> None:
    for record, state, reason in (("off", "none", "user_off"), ("all", "ready", None)):
        before = await fonoteka.ids()
        async with answering(pbx, "421", answer_after_s=1.0):
            switched_at = time.monotonic()
            (await fonoteka.http.patch("/api/users/421", json={"record": record})).raise_for_status()
            await asyncio.sleep(max(0.0, switched_at + 0.9 - time.monotonic()))
            await call_from_trunk(pbx, dialled="2458421", talk_s=1.5)
        call = await fonoteka.settled(before)
        assert (call["recording"]["state"], call["recording"]["reason"]) == (state, reason)
