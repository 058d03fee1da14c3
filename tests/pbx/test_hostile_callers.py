"""Callers who write what they like about themselves (SCENARIOS 25), on the real Asterisk and through the whole of Fonoteka."""

import re
from collections.abc import Mapping

import pytest
import pytest_asyncio

from lab.asterisk.server import LabAsterisk
from lab.scenarios.call_flows import PLAYS
from lab.sip.handset import tone_hz_of
from lab.sip.sipp_phones import CALLER_HZ
from lab.tools.installation import Fonoteka
from tests.pbx.side_by_side import Left, side_by_side
from tests.support.audio_checks import assert_tone, decoded

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


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def left(pbx: LabAsterisk, fonoteka: Fonoteka) -> Mapping[str, Left]:
    """All of them at once, so that each could harm the others."""
    return await side_by_side(pbx, fonoteka, {name: PLAYS[name] for name in CALLERS})


@pytest.mark.parametrize("name", CALLERS)
async def test_the_row_is_that_of_any_caller(left: Mapping[str, Left], name: str) -> None:
    call = left[name].call
    assert left[name].told == ("answered", "152", "ready", None, ["152"])
    assert (call["src"], call["dst"], call["direction"]) == (CALLERS[name], left[name].company.own("2458152"), "in")
    assert call["path"][-1]["what"] == "end"
    assert call["talk_s"] in (1, 2)


@pytest.mark.parametrize("name", CALLERS)
async def test_both_are_heard(pbx: LabAsterisk, left: Mapping[str, Left], name: str) -> None:
    samples, rate_hz = decoded(left[name].audio)
    assert_tone(samples[0], rate_hz, CALLER_HZ)
    assert_tone(samples[1], rate_hz, tone_hz_of(pbx, "152"))
    assert left[name].call["recording"]["duration_ms"] == pytest.approx(1500, abs=500)


async def test_nothing_was_executed_and_the_link_has_held(left: Mapping[str, Left], fonoteka: Fonoteka) -> None:
    log = fonoteka.log()
    assert "uid=0" not in log
    assert log.count("event=ami.up") == 1
    assert not re.search("level=(error|critical)", log), log[-3000:]
