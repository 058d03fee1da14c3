"""Calls that begin and end while the agent is down (SCENARIOS 28, 32), from the CEL journal."""

import asyncio
import os
import signal

import pytest

from lab.asterisk.server import LabAsterisk
from lab.base.lateness import Lateness
from lab.scenarios.steps import LONG_DISTANCE
from lab.tools.installation import Fonoteka
from tests.conftest import NEIGHBOURS
from tests.support.call_flows import ALL_FLOWS
from tests.support.eventually import LIMIT_S

CUSTOMER = "89131234567"
# flow: src, dst, answered_by, result, reason, of the only row.
FLOWS = {
    "in_answered": (CUSTOMER, "2458152", "152", "answered", "agent_was_down"),
    "in_busy": (CUSTOMER, "2458152", None, "busy", "not_answered"),
    "out_city": ("152", "2123456", "2123456", "answered", "agent_was_down"),
    "blind_by_phone": (CUSTOMER, "2458152", "421", "answered", "agent_was_down"),
    "phone_302": (CUSTOMER, "2458421", LONG_DISTANCE, "answered", "forwarded_long_distance"),
    "queue_421_answers": (CUSTOMER, "2458900", "421", "answered", "agent_was_down"),
    "callback_by_local": ("152", CUSTOMER, CUSTOMER, "answered", "agent_was_down"),
    "callback_by_trunk": ("152", "", None, "answered", "agent_was_down"),  # the journal has no number
}


async def test_they_have_the_rows_that_the_manager_interface_would_have_given(
    pbx: LabAsterisk, fonoteka: Fonoteka, lateness: Lateness
) -> None:
    companies = NEIGHBOURS[: len(FLOWS)]
    seen = await asyncio.gather(*map(fonoteka.seen_by, companies))
    before = [await each.ids() for each in seen]
    agent = fonoteka.part("agent")
    os.kill(agent, signal.SIGSTOP)  # no new agent comes before the calls
    try:
        played = await asyncio.gather(*(ALL_FLOWS[flow](pbx.seen_by(on)) for flow, on in zip(FLOWS, companies, strict=True)))
    finally:
        os.kill(agent, signal.SIGKILL)
    rows = [await each.settled(ids, LIMIT_S) for each, ids in zip(seen, before, strict=True)]
    found = {
        flow: (row["src"], row["dst"], row["answered_by"], row["result"], row["recording"]["reason"])
        for flow, row in zip(FLOWS, rows, strict=True)
    }
    expected = {flow: (src, on.own(dst), *rest) for (flow, (src, dst, *rest)), on in zip(FLOWS.items(), companies, strict=True)}
    assert found == expected
    directions = {flow: row["direction"] for flow, row in zip(FLOWS, rows, strict=True) if row["direction"] != "in"}
    assert directions == dict.fromkeys(("out_city", "callback_by_local", "callback_by_trunk"), "out")
    assert {row["recording"]["state"] for row in rows} == {"none"}
    talks = played[0].values()
    assert rows[0]["talk_s"] == pytest.approx(max(call.talk_s for call in talks), abs=1)
    for each, ids, row in zip(seen, before, rows, strict=True):
        assert await each.ids() == {*ids, row["id"]}
        await each.http.aclose()
