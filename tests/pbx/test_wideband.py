"""SCENARIOS 22: G.722 above 4 kHz is in the recording, which has 16 kHz only then."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import pytest_asyncio

from lab.asterisk.server import LabAsterisk
from lab.base.company import LabCompany
from lab.base.lateness import Lateness
from lab.scenarios.steps import CALLER, LONG_DISTANCE, answered, customer_with, talk_and_leave
from lab.sip.handset import TRUNK, handset, tone_hz_of
from lab.sip.message import Codec
from lab.sip.sipp import SipCall
from lab.sip.sipp_phones import OUTSIDE
from lab.tools.installation import Fonoteka
from tests.pbx.side_by_side import Left, side_by_side
from tests.support.audio_checks import assert_tone, decoded
from tests.support.eventually import eventually

WIDE_HZ = {"152": 5000, "421": 6000}  # what they say when they talk G.722


@dataclass(frozen=True, kw_only=True)
class Talk:
    """A talk: the telephones, those that talk G.722, and the sides and rate of the recording."""

    caller: str
    number: str
    called: str
    wide: frozenset[str]
    left: str
    right: str
    rate_hz: int


def talk_of(caller: str, number: str, called: str, *wide: str, left: str, right: str, rate_hz: int) -> Talk:
    return Talk(caller=caller, number=number, called=called, wide=frozenset(wide), left=left, right=right, rate_hz=rate_hz)


TALKS = {
    "a G.711 trunk calls a G.722 phone": talk_of(TRUNK, "2458421", "421", "421", left=TRUNK, right="421", rate_hz=16000),
    "a G.722 phone calls a G.711 trunk": talk_of("152", LONG_DISTANCE, OUTSIDE, "152", left=OUTSIDE, right="152", rate_hz=16000),
    "both talk G.722": talk_of("152", "421", "421", "152", "421", left="421", right="152", rate_hz=16000),
    "only who is not recorded talks G.722": talk_of("152", "421", "421", "421", left="421", right="152", rate_hz=16000),
    "both could, none does": talk_of("152", "421", "421", left="421", right="152", rate_hz=8000),
    "only the called one could, and does not": talk_of(TRUNK, "2458421", "421", left=TRUNK, right="421", rate_hz=8000),
    "only the caller could, and does not": talk_of("152", LONG_DISTANCE, OUTSIDE, left=OUTSIDE, right="152", rate_hz=8000),
    "none could": talk_of(TRUNK, "2458130", "130", left=TRUNK, right="130", rate_hz=8000),
}


BOTH_RATES = "transferred from G.711 to G.722"


class Flows:
    """The calls, which note how the called telephone lived them."""

    def __init__(self) -> None:
        self.called: dict[str, SipCall] = {}

    async def talk(self, name: str, pbx: LabAsterisk) -> None:
        """Play a talk of the table."""
        expected = TALKS[name]
        phones = [
            handset(pbx, who, codec=codec_of(expected, who), tone_hz=hz_of(pbx, expected, who))
            for who in (expected.caller, expected.called)
        ]
        async with phones[0] as caller, phones[1] as called:
            user = CALLER if expected.caller == TRUNK else None
            there, here = await answered(caller, pbx.company.own(expected.number), called, user=user)
            await talk_and_leave(there, here)
            self.called[name] = here.sip_call

    async def of_both_rates(self, pbx: LabAsterisk) -> None:
        """152 (G.711) transfers a customer to 421 (G.722)."""
        async with (
            handset(pbx, "421", codec=Codec.G722, tone_hz=WIDE_HZ["421"]) as colleague,
            customer_with(pbx) as (customer, employee, _),
        ):
            sending = asyncio.create_task(employee.transfer("421"))
            taken = await (await colleague.rung()).answer()
            await sending
            await talk_and_leave(customer, taken)


def codec_of(expected: Talk, who: str) -> Codec:
    return Codec.G722 if who in expected.wide else Codec.ALAW


def hz_of(pbx: LabAsterisk, expected: Talk, who: str) -> int:
    return WIDE_HZ[who] if who in expected.wide else tone_hz_of(pbx, who)


@pytest.fixture(scope="module")
def wideband() -> Flows:
    """The calls to play."""
    return Flows()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def left(pbx: LabAsterisk, fonoteka: Fonoteka, wideband: Flows) -> AsyncIterator[Mapping[str, Left]]:
    """Play all of them side by side; 130, a party of the last talk, is recorded meanwhile."""
    company = pbx.companies[len(TALKS) - 1]
    await record(fonoteka, company, "130", "all")
    talks = {name: partial(wideband.talk, name) for name in TALKS}
    played = await side_by_side(pbx, fonoteka, {**talks, BOTH_RATES: wideband.of_both_rates})
    yield played
    await record(fonoteka, company, "130", "off")


async def record(fonoteka: Fonoteka, company: LabCompany, extension: str, rule: str) -> None:
    """Change a user's setting and wait until the agent has it."""
    there = await fonoteka.seen_by(company)
    changes = fonoteka.log().count("event=settings.changed")
    (await there.http.patch(f"/api/users/{extension}", json={"record": rule})).raise_for_status()
    await there.http.aclose()
    await eventually(lambda: fonoteka.log().count("event=settings.changed") > changes)


@pytest.mark.parametrize("name", TALKS)
async def test_talk(pbx: LabAsterisk, wideband: Flows, left: Mapping[str, Left], name: str) -> None:
    expected, call, near_s = TALKS[name], left[name].call, 0.1 + left[name].late_s
    assert (call["recording"]["state"], len(call["recording"]["segments"])) == ("ready", 1)
    assert call["recording"]["duration_ms"] == pytest.approx(wideband.called[name].talk_s * 1000, abs=near_s * 1000 + 150)
    samples, rate_hz = decoded(left[name].audio)
    assert rate_hz == expected.rate_hz
    for side, who in zip(samples, (expected.left, expected.right), strict=True):
        assert_tone(side, rate_hz, hz_of(pbx, expected, who))
        assert np.argmax(np.abs(side) > 0.1) / rate_hz < near_s, "the first word is missing"


async def test_a_telephone_that_talks_opus(pbx: LabAsterisk, fonoteka: Fonoteka, lateness: Lateness) -> None:
    """The lab's own Asterisk reads Opus.

    One found on PATH may have no module for it, then the best it reads is G.722.
    """
    codec = Codec.OPUS if "Running" in await pbx.cli("module show like codec_opus") else Codec.G722
    began, before = time.monotonic(), await fonoteka.ids()
    async with handset(pbx, TRUNK) as outside, handset(pbx, "421", codec=codec, tone_hz=6000) as desk:
        customer, employee = await answered(outside, "2458421", desk, user=CALLER)
        await talk_and_leave(customer, employee)
    call = await fonoteka.settled(before)
    samples, rate_hz = decoded(await fonoteka.audio(call))
    assert (call["recording"]["state"], rate_hz) == ("ready", 16000)
    for side, hz in zip(samples, (tone_hz_of(pbx, TRUNK), 6000), strict=True):
        assert_tone(side, rate_hz, hz)
        assert np.argmax(np.abs(side) > 0.1) / rate_hz < 0.1 + lateness.allowance_s(began), "the first word is missing"


@pytest.mark.parametrize("audio_format", [{}, {"format": "mp3"}, {"format": "wav"}], ids=str)
async def test_a_call_of_both_rates_is_heard_as_one(
    pbx: LabAsterisk, fonoteka: Fonoteka, left: Mapping[str, Left], audio_format: dict[str, str]
) -> None:
    call = left[BOTH_RATES].call
    first, second = call["recording"]["segments"]
    assert (first["user"], second["user"]) == ("152", "421")
    there = await fonoteka.seen_by(left[BOTH_RATES].company)
    samples, rate_hz = decoded(await there.audio(call, **audio_format))
    await there.http.aclose()
    assert rate_hz == 16000
    assert samples.shape[1] / rate_hz * 1000 == pytest.approx(call["recording"]["duration_ms"], abs=25)
    joint = round(second["offset_ms"] * rate_hz / 1000)
    assert_tone(samples[1, :joint], rate_hz, tone_hz_of(pbx, "152"))
    assert_tone(samples[1, joint:], rate_hz, WIDE_HZ["421"])
