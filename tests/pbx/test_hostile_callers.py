"""Callers who write hostile text into their name and number (SCENARIOS 25)."""

import re

import pytest

from lab.asterisk.server import LabAsterisk
from lab.sip.handset import tone_hz_of
from lab.sip.sipp_phones import CALLER_HZ
from tests.support.audio_checks import assert_tone, decoded
from tests.support.call_flows import PlayedFlows

NUMBER = "89131234567"
NAME = 'Пётр "Ё" \\ <x>; $(id) `id` %0d%0aEvent: Hangup'
CALLERS: dict[str, str] = {
    "withheld": "anonymous",
    "hostile_caller": NUMBER,
    "forging_caller": NUMBER,
    "ending_caller": NUMBER,
    "list_cutting_caller": NUMBER,
    "answering_caller": NUMBER,
}


@pytest.mark.parametrize("flow", CALLERS)
async def test_the_row_is_that_of_any_caller(flows: PlayedFlows, flow: str) -> None:
    (row,) = flows[flow].rows
    assert flows[flow].summary == ("answered", "152", "ready", None, ["152"])
    assert (row["src"], row["dst"], row["direction"]) == (CALLERS[flow], flows[flow].company.own("2458152"), "in")
    assert row["path"][-1]["what"] == "end"
    assert row["talk_s"] == pytest.approx(flows[flow].phone_calls["152"].talk_s, abs=1 + flows[flow].late_s)


@pytest.mark.parametrize("flow", CALLERS)
async def test_both_are_heard(pbx: LabAsterisk, flows: PlayedFlows, flow: str) -> None:
    samples, rate_hz = decoded(flows[flow].audio[0])
    assert_tone(samples[0], rate_hz, CALLER_HZ)
    assert_tone(samples[1], rate_hz, tone_hz_of(pbx, "152"))
    talk_ms, near_ms = 1000 * flows[flow].phone_calls["152"].talk_s, 1000 * flows[flow].late_s + 250
    assert flows[flow].rows[0]["recording"]["duration_ms"] == pytest.approx(talk_ms, abs=near_ms)


@pytest.mark.flows(*CALLERS)
async def test_nothing_was_executed_and_the_link_has_held(flows: PlayedFlows) -> None:
    assert "uid=0" not in flows.log
    assert "event=ami.up" not in flows.log
    assert not re.search("level=(error|critical)", flows.log), flows.log[-3000:]
