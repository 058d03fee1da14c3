"""Calls that are picked up at another desk or from a parking place (SCENARIOS 23)."""

import pytest

from lab.asterisk.server import LabAsterisk
from lab.sip.handset import tone_hz_of
from lab.sip.sipp_phones import CALLER_HZ
from lab.tools.installation import Fonoteka
from tests.support.audio_checks import assert_tone, decoded
from tests.support.call_flows import PlayedFlows

EXPECTED: dict[str, tuple[str, str | None, str, str | None, list[str]]] = {
    "picked_up": ("answered", "421", "ready", None, ["421"]),
    "picked_up_from_130": ("answered", "421", "ready", None, ["421"]),
    "picked_up_from_group": ("answered", "421", "ready", None, ["421"]),
    "picked_up_by_130": ("answered", "130", "none", "user_off", []),
    "picked_up_by_777": ("answered", "777", "none", "on_demand_not_asked", []),
    "parked_by_keys": ("answered", "421", "ready", None, ["152", "421"]),
    "parked_by_phone": ("answered", "421", "ready", None, ["152", "421"]),
}
RECORDED = [flow for flow, row in EXPECTED.items() if row[-1] == ["421"]]
NOT_RECORDED = [flow for flow, row in EXPECTED.items() if not row[-1]]


@pytest.mark.parametrize("flow", EXPECTED)
async def test_the_row(flows: PlayedFlows, flow: str) -> None:
    assert flows[flow].summary == EXPECTED[flow]
    assert flows[flow].rows[0]["employee"]["login"] == EXPECTED[flow][1]


@pytest.mark.parametrize("flow", RECORDED)
async def test_both_are_heard_and_all_of_it(pbx: LabAsterisk, flows: PlayedFlows, flow: str) -> None:
    (row,), (audio,) = flows[flow].rows, flows[flow].audio
    samples, rate_hz = decoded(audio)
    assert_tone(samples[0], rate_hz, CALLER_HZ)
    assert_tone(samples[1], rate_hz, tone_hz_of(pbx, "421"))
    talk_ms = 1000 * flows[flow].phone_calls["421"].talk_s
    assert row["recording"]["duration_ms"] == pytest.approx(talk_ms, abs=300 + 1000 * flows[flow].late_s)


@pytest.mark.parametrize("flow", NOT_RECORDED)
async def test_nothing_is_kept_of_a_user_who_is_not_recorded(
    pbx: LabAsterisk, fonoteka: Fonoteka, flows: PlayedFlows, flow: str
) -> None:
    linkedid = flows[flow].rows[0]["linkedid"]
    assert not [path for path in pbx.spool.glob("*/*") if path.name.startswith(linkedid.replace(".", "-"))]
    assert not [path for path in (fonoteka.folder / "objects").rglob("*") if linkedid.replace(".", "-") in path.name]
    assert f"linkedid={linkedid}" in flows.log
    assert "recording.discarded" in flows.log
