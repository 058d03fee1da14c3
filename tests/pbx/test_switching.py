"""The row of a call that goes on, and how soon a switch in the portal is in force."""

import time

from lab.asterisk.server import LabAsterisk
from lab.scenarios.steps import customer_with, talk_and_leave
from lab.tools.installation import Call, Fonoteka
from tests.support.eventually import eventually

MOST_TRIES = 20


async def test_the_row_is_there_while_the_call_goes_on(pbx: LabAsterisk, fonoteka: Fonoteka) -> None:
    before = await fonoteka.ids()

    def is_recorded(call: Call) -> bool:
        return call["id"] not in before and call["recording"]["state"] == "recording"

    async with customer_with(pbx) as (customer, employee, _):
        live = await fonoteka.call(is_recorded)
        assert (live["ended_at"], live["result"], live["answered_by"]) == (None, "answered", "152")
        await talk_and_leave(customer, employee)
    assert (await fonoteka.settled(before))["id"] == live["id"]


async def test_a_switch_holds_for_the_next_call_within_a_second(pbx: LabAsterisk, fonoteka: Fonoteka) -> None:
    """A machine that stands still delays a switch, but not each of many."""
    quickest_s = 60.0
    for _ in range(MOST_TRIES):
        for record in ("off", "all"):
            quickest_s = min(quickest_s, await _switched(fonoteka, record))
        if quickest_s < 1:
            break
    assert quickest_s < 1
    for record, state, reason in (("off", "none", "user_off"), ("all", "ready", None)):
        before = await fonoteka.ids()
        await _switched(fonoteka, record)
        async with customer_with(pbx, "421") as (customer, employee, _):
            await talk_and_leave(customer, employee)
        call = await fonoteka.settled(before)
        assert (call["recording"]["state"], call["recording"]["reason"]) == (state, reason)


async def _switched(fonoteka: Fonoteka, record: str) -> float:
    """Change 421's setting; returns how long the agent took to have it, in seconds."""
    changes, began = fonoteka.log().count("event=settings.changed"), time.monotonic()
    (await fonoteka.http.patch("/api/users/421", json={"record": record})).raise_for_status()
    await eventually(lambda: fonoteka.log().count("event=settings.changed") > changes)
    return time.monotonic() - began
