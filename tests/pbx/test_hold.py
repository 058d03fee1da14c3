"""A telephone that begins its RTP anew after a hold is heard in the recording all the same (docs/decisions/0006-renewing.md)."""

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

# In a hold that changes nothing there is nothing to be renewed.
SEGMENTS = {"hold_and_resume": 1, "hold_and_resume_anew": 2, "customer_holds_and_resumes_anew": 2}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def left(pbx: LabAsterisk, fonoteka: Fonoteka) -> Mapping[str, Left]:
    """All of them at once."""
    return await side_by_side(pbx, fonoteka, {name: PLAYS[name] for name in SEGMENTS})


@pytest.mark.parametrize("name", SEGMENTS)
async def test_both_are_heard_to_the_end(pbx: LabAsterisk, left: Mapping[str, Left], name: str) -> None:
    assert left[name].told == ("answered", "152", "ready", None, ["152"] * SEGMENTS[name])
    samples, rate_hz = decoded(left[name].audio)
    last = samples[:, -rate_hz:]  # the last second: they have talked again for one and a half
    assert_tone(last[0], rate_hz, CALLER_HZ)
    assert_tone(last[1], rate_hz, tone_hz_of(pbx, "152"))
