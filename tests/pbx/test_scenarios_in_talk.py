"""SCENARIOS 21 and 24: what happens in a talk that goes on; a conference of three."""

from dataclasses import replace
from typing import Final

import pytest

from lab.scenarios.steps import MARK_S, TALK_S
from lab.sip.sipp_phones import CALLER_HZ
from tests.support.audio_checks import decoded, pauses_in
from tests.support.call_flows import PlayedFlow, PlayedFlows
from tests.support.scenario import Part, Row, Scenario, assert_as_expected, each, part, scenario, unrecorded

HZ_152: Final = 520
HZ_421: Final = 640
HZ_130: Final = 760
IN_STEP_S: Final = 0.06  # three packets

WITH_152 = Row(dst="2458152", answered_by="152", employee="152", parts=(part("152", CALLER_HZ, HZ_152, "152"),))


def in_step(played: PlayedFlow) -> None:
    """Both sides fall silent together where both telephones did (`lab.scenarios.steps.marked`)."""
    samples, rate_hz = decoded(played.audio[0])
    assert samples.shape[1] / rate_hz == pytest.approx(played.phone_calls["152"].talk_s, abs=0.1 + played.late_s)
    left, right = (pauses_in(side, rate_hz)[-1] for side in samples)
    assert left == pytest.approx(right, abs=IN_STEP_S + played.late_s)
    assert left[1] - left[0] == pytest.approx(MARK_S, abs=0.15 + played.late_s)
    # A goodbye may come late on a busy machine, and the end of the recording with it.
    assert samples.shape[1] / rate_hz - left[1] == pytest.approx(2 * TALK_S, abs=0.25 + played.late_s)


def a_pause(side: int, length_s: float, played: PlayedFlow) -> None:
    """One side is silent for `length_s`, the other goes on; then both are in step."""
    samples, rate_hz = decoded(played.audio[0])
    begin, end = pauses_in(samples[side], rate_hz)[0]
    assert end - begin == pytest.approx(length_s, abs=0.25 + played.late_s)
    assert begin == pytest.approx(TALK_S, abs=0.25 + played.late_s)
    assert len(pauses_in(samples[1 - side], rate_hz)) == 1, "only where both are silent"
    in_step(played)


def conference(user: str, *heard: int, says: int, lasts: str) -> Part:
    return replace(part(user, 0, says, lasts), left=heard)


def met(who: str, *parts: Part) -> Row:
    """One who dialled into the conference room: a call and a row of their own."""
    return Row(direction="internal", src=who, dst="8000", answered_by=who, employee=who, parts=parts)


SCENARIOS = (
    scenario("21 hold and resume", "hold_and_resume", WITH_152, also=lambda played: a_pause(1, TALK_S, played)),
    scenario("21 keys in a talk", "keys_in_talk", WITH_152, also=in_step),
    scenario("21 three seconds without audio", "caller_silent", WITH_152, also=lambda played: a_pause(0, 3.0, played)),
    scenario(
        "24 conference of colleagues",
        "conference_of_colleagues",
        met("152", conference("152", HZ_421, HZ_130, says=HZ_152, lasts="152")),
        met("421", conference("421", HZ_152, HZ_130, says=HZ_421, lasts="421")),
        unrecorded("user_off", direction="internal", src="130", dst="8000", answered_by="130", employee="130"),
    ),
    scenario(
        "24 conference with a customer",
        "conference_with_customer",
        Row(
            dst="2458152",
            answered_by="152",
            employee="152",
            parts=(
                part("152", CALLER_HZ, HZ_152, "152"),
                replace(part("152", CALLER_HZ, 0, "152 in conference", begins_late_s=0.3), right=(HZ_152, HZ_421)),
            ),
        ),
        met("152", conference("152", CALLER_HZ, HZ_421, says=HZ_152, lasts="152 in conference")),
        met("421", conference("421", CALLER_HZ, HZ_152, says=HZ_421, lasts="421")),
    ),
)


@each(SCENARIOS)
def test_scenario(flows: PlayedFlows, scenario: Scenario) -> None:
    assert_as_expected(scenario, flows)
