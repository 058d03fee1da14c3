"""A telephone that restarts its RTP after a hold is heard in the recording.

Docs/decisions/0006-restart-recorder.md.
"""

import pytest

from lab.asterisk.server import LabAsterisk
from lab.sip.handset import tone_hz_of
from lab.sip.sipp_phones import CALLER_HZ
from tests.support.audio_checks import assert_tone, decoded
from tests.support.call_flows import PlayedFlows

# After a hold that changes nothing the recorder is not restarted.
SEGMENTS = {"hold_and_resume": 1, "hold_and_resume_anew": 2, "customer_holds_and_resumes_anew": 2}


@pytest.mark.parametrize("flow", SEGMENTS)
async def test_both_are_heard_to_the_end(pbx: LabAsterisk, flows: PlayedFlows, flow: str) -> None:
    assert flows[flow].summary == ("answered", "152", "ready", None, ["152"] * SEGMENTS[flow])
    samples, rate_hz = decoded(flows[flow].audio[0])
    last = samples[:, -rate_hz:]  # the last second: they have talked again for one and a half
    assert_tone(last[0], rate_hz, CALLER_HZ)
    assert_tone(last[1], rate_hz, tone_hz_of(pbx, "152"))
