"""SCENARIOS 22: what G.722 telephones say above 4 kHz is in the recording, from the first word, on the right side, and only then
is it one of 16 kHz."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from lab.asterisk.server import LabAsterisk
from lab.base.lateness import Lateness
from lab.scenarios.steps import CALLER, LONG_DISTANCE, answered, talk, talk_and_leave
from lab.sip.handset import TRUNK, handset, tone_hz_of
from lab.sip.message import Codec
from lab.sip.sipp_phones import OUTSIDE
from lab.tools.installation import Fonoteka
from tests.support.audio_checks import assert_tone, decoded

WIDE_HZ = {"152": 5000, "421": 6000}  # what they say when they talk G.722


@dataclass(frozen=True, kw_only=True)
class Talk:
    """Who calls whom, which of them talk G.722, who is heard left and right, and the rate of the recording."""

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


@pytest.mark.parametrize("expected", TALKS.values(), ids=TALKS.keys())
async def test_talk(pbx: LabAsterisk, fonoteka: Fonoteka, expected: Talk) -> None:
    both = (expected.caller, expected.called)
    hz = {who: WIDE_HZ[who] if who in expected.wide else tone_hz_of(pbx, who) for who in both}
    codecs = {who: Codec.G722 if who in expected.wide else Codec.ALAW for who in both}
    phones = [handset(pbx, who, codec=codecs[who], tone_hz=hz[who]) for who in both]
    began = time.monotonic()
    with Lateness() as lateness:
        async with recorded(fonoteka, "130"), phones[0] as calling, phones[1] as rung:
            before = await fonoteka.ids()
            user = CALLER if expected.caller == TRUNK else None
            theirs, ours = await answered(calling, expected.number, rung, user=user)
            await talk_and_leave(theirs, ours)
            call = await fonoteka.settled(before)
    near_s = 0.1 + lateness.worst_s(began)
    assert (call["recording"]["state"], len(call["recording"]["segments"])) == ("ready", 1)
    assert call["recording"]["duration_ms"] == pytest.approx(ours.sip_call.talk_s * 1000, abs=near_s * 1000)
    samples, rate_hz = decoded(await fonoteka.audio(call))
    assert rate_hz == expected.rate_hz
    for side, who in zip(samples, (expected.left, expected.right), strict=True):
        assert_tone(side, rate_hz, hz[who])
        assert np.argmax(np.abs(side) > 0.1) / rate_hz < near_s, "the first word is missing"


async def test_a_telephone_that_talks_opus(pbx: LabAsterisk, fonoteka: Fonoteka) -> None:
    """The lab's own Asterisk reads Opus; one found on PATH may have no module for it, then the best it reads is G.722."""
    codec = Codec.OPUS if "Running" in await pbx.cli("module show like codec_opus") else Codec.G722
    began, before = time.monotonic(), await fonoteka.ids()
    with Lateness() as lateness:
        async with handset(pbx, TRUNK) as outside, handset(pbx, "421", codec=codec, tone_hz=6000) as desk:
            customer, employee = await answered(outside, "2458421", desk, user=CALLER)
            await talk_and_leave(customer, employee)
        call = await fonoteka.settled(before)
    samples, rate_hz = decoded(await fonoteka.audio(call))
    assert (call["recording"]["state"], rate_hz) == ("ready", 16000)
    for side, hz in zip(samples, (tone_hz_of(pbx, TRUNK), 6000), strict=True):
        assert_tone(side, rate_hz, hz)
        assert np.argmax(np.abs(side) > 0.1) / rate_hz < 0.1 + lateness.worst_s(began), "the first word is missing"


@pytest.mark.parametrize("audio_format", [{}, {"format": "mp3"}, {"format": "wav"}], ids=str)
async def test_a_call_of_both_rates_is_heard_as_one(pbx: LabAsterisk, fonoteka: Fonoteka, audio_format: dict[str, str]) -> None:
    before = await fonoteka.ids()
    async with (
        handset(pbx, TRUNK) as outside,
        handset(pbx, "152") as desk,
        handset(pbx, "421", codec=Codec.G722, tone_hz=WIDE_HZ["421"]) as colleague,
    ):
        customer, employee = await answered(outside, "2458152", desk, user=CALLER)
        await talk()
        sending = asyncio.create_task(employee.transfer("421"))
        taken = await (await colleague.rung()).answer()
        await sending
        await talk_and_leave(customer, taken)
    call = await fonoteka.settled(before)
    first, second = call["recording"]["segments"]
    assert (first["user"], second["user"]) == ("152", "421")
    samples, rate_hz = decoded(await fonoteka.audio(call, **audio_format))
    assert rate_hz == 16000
    assert samples.shape[1] / rate_hz * 1000 == pytest.approx(call["recording"]["duration_ms"], abs=25)
    joint = round(second["offset_ms"] * rate_hz / 1000)
    assert_tone(samples[1, :joint], rate_hz, tone_hz_of(pbx, "152"))
    assert_tone(samples[1, joint:], rate_hz, WIDE_HZ["421"])


@asynccontextmanager
async def recorded(fonoteka: Fonoteka, extension: str) -> AsyncIterator[None]:
    """Somebody who is not recorded is, while the block runs."""
    for rule in ("all", "off"):
        (await fonoteka.http.patch(f"/api/users/{extension}", json={"record": rule})).raise_for_status()
        await asyncio.sleep(1.0)
        if rule == "all":
            yield
