"""Calls that are picked up at another desk or from a parking place (SCENARIOS 23), on the real Asterisk."""

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

Told = tuple[str, str | None, str, str | None, list[str]]

TOLD: dict[str, Told] = {
    "picked_up": ("answered", "421", "ready", None, ["421"]),
    "picked_up_from_130": ("answered", "421", "ready", None, ["421"]),
    "picked_up_from_group": ("answered", "421", "ready", None, ["421"]),
    "picked_up_by_130": ("answered", "130", "none", "user_off", []),
    "picked_up_by_777": ("answered", "777", "none", "on_demand_not_asked", []),
    "parked_by_keys": ("answered", "421", "ready", None, ["152", "421"]),
    "parked_by_phone": ("answered", "421", "ready", None, ["152", "421"]),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def left(pbx: LabAsterisk, fonoteka: Fonoteka) -> Mapping[str, Left]:
    """All of them at once."""
    return await side_by_side(pbx, fonoteka, {name: PLAYS[name] for name in TOLD})


@pytest.mark.parametrize("name", TOLD)
async def test_the_row(left: Mapping[str, Left], name: str) -> None:
    assert left[name].told == TOLD[name]
    assert left[name].call["employee"]["login"] == TOLD[name][1]


@pytest.mark.parametrize("name", [name for name in TOLD if TOLD[name][4] == ["421"]])
async def test_both_are_heard_and_all_of_it(pbx: LabAsterisk, left: Mapping[str, Left], name: str) -> None:
    samples, rate_hz = decoded(left[name].audio)
    assert_tone(samples[0], rate_hz, CALLER_HZ)
    assert_tone(samples[1], rate_hz, tone_hz_of(pbx, "421"))
    recording = left[name].call["recording"]
    assert recording["duration_ms"] == pytest.approx(left[name].call["talk_s"] * 1000, abs=1000)
    assert recording["duration_ms"] > 1300


@pytest.mark.parametrize("name", [name for name in TOLD if not TOLD[name][4]])
async def test_nothing_is_kept_of_who_is_not_recorded(
    pbx: LabAsterisk, fonoteka: Fonoteka, left: Mapping[str, Left], name: str
) -> None:
    linkedid = left[name].call["linkedid"]
    assert not [path for path in pbx.spool.glob("*/*") if path.name.startswith(linkedid.replace(".", "-"))]
    assert not [path for path in (fonoteka.folder / "objects").rglob("*") if linkedid.replace(".", "-") in path.name]
    assert f"linkedid={linkedid}" in fonoteka.log()
    assert "recording.discarded" in fonoteka.log()
