"""The agent is killed while a call goes on.

Asterisk records on, and the next agent takes everything up.
"""

import asyncio
import os
import signal
import time
from typing import Any

import httpx
import pytest

from lab.asterisk.server import LabAsterisk
from lab.base.lateness import Lateness
from lab.scenarios.steps import customer_with, talk, talk_and_leave
from lab.tools.installation import Call, Fonoteka
from tests.support.audio_checks import decoded, pauses_in
from tests.support.eventually import LIMIT_S


@pytest.mark.parametrize("stage", ["talking", "hung up"])
async def test_nothing_is_lost_and_nothing_is_twice(pbx: LabAsterisk, fonoteka: Fonoteka, lateness: Lateness, stage: str) -> None:
    before = await fonoteka.ids()

    def talks(call: Call) -> bool:
        return call["id"] not in before and call["recording"]["state"] == "recording"

    began = time.monotonic()
    async with customer_with(pbx) as (customer, employee, _):
        await fonoteka.call(talks)
        agent = fonoteka.part("agent")
        os.kill(agent, signal.SIGKILL if stage == "talking" else signal.SIGSTOP)
        await talk_and_leave(customer, employee)
        late_s = lateness.allowance_s(began)
        if stage == "hung up":
            os.kill(agent, signal.SIGKILL)
    call = await fonoteka.settled(before)
    talk_s = employee.sip_call.talk_s

    assert (call["result"], call["answered_by"], call["recording"]["state"]) == ("answered", "152", "ready")
    assert call["recording"]["duration_ms"] == pytest.approx(1000 * talk_s, abs=250 + 1000 * late_s)
    assert len(call["recording"]["segments"]) == 1
    assert call["talk_s"] == pytest.approx(talk_s, abs=1 + late_s)
    assert len(await fonoteka.ids()) == len(before) + 1


def assert_between(one: tuple[float, float], other: tuple[float, float], length_ms: int, late_s: float) -> None:
    """The length is that between the two actions, within ten packets and the machine's lateness."""
    shortest_ms, longest_ms = 1000 * (other[0] - one[1]), 1000 * (other[1] - one[0])
    assert shortest_ms - 200 - 1000 * late_s <= length_ms <= longest_ms + 200 + 1000 * late_s


async def test_a_pause_outlives_the_agent_and_the_next_one_resumes_and_stops_it(
    pbx: LabAsterisk, fonoteka: Fonoteka, lateness: Lateness
) -> None:
    """The next agent reads the recorder's id from the channel, and the pause from the journal."""
    before, begun_at = await fonoteka.ids(), time.monotonic()
    # When each was begun to be asked for, and when it was done.
    asked: dict[str, tuple[float, float]] = {}

    async def ask(action: str) -> dict[str, Any]:
        """Until the new agent follows what is asked (and knows the recorder again)."""
        answer, began = httpx.Response(504), time.monotonic()
        async with asyncio.timeout(LIMIT_S):
            while answer.status_code == 504 or (answer.status_code == 409 and answer.json()["type"].endswith("pbx-failed")):
                (live,) = (await fonoteka.http.get("/api/live/calls")).json()["items"]
                answer = await fonoteka.http.post(f"/api/live/{live['id']}/recording", json={"action": action})
        assert answer.status_code == 200, answer.text
        asked[action] = began, time.monotonic()
        return dict(answer.json()["live"])

    async with customer_with(pbx, "777") as (customer, employee, _):
        await ask("start")
        await talk()
        await ask("pause")
        os.kill(fonoteka.part("agent"), signal.SIGKILL)
        await talk()
        assert (await ask("resume"))["recorder"] == "on"
        await talk()
        assert (await ask("stop"))["recorder"] == "off"
        await talk_and_leave(customer, employee)
        late_s = lateness.allowance_s(begun_at)
    call = await fonoteka.settled(before)

    (segment,) = call["recording"]["segments"]
    (marked,) = segment["muted"]
    assert call["recording"]["state"] == "ready"
    assert_between(asked["start"], asked["pause"], marked["from_ms"], late_s)
    assert_between(asked["resume"], asked["stop"], segment["duration_ms"] - marked["to_ms"], late_s)
    samples, rate_hz = decoded(await fonoteka.audio(call))
    for side in samples:
        ((begin, end),) = (pause for pause in pauses_in(side, rate_hz) if pause[1] - pause[0] > 1)
        assert 1000 * begin == pytest.approx(marked["from_ms"], abs=250 + 1000 * late_s)
        assert 1000 * end == pytest.approx(marked["to_ms"], abs=250 + 1000 * late_s)
