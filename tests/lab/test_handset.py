"""What handsets do is heard where it must be heard.

By ears on the telephones, and on the legs that Asterisk records.
"""

import asyncio
import re
import time
from itertools import groupby
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from lab.asterisk.server import LabAsterisk
from lab.audio.tones import long_leg
from lab.base.ami_witness import AmiWitness, Message
from lab.base.lateness import Lateness
from lab.scenarios.steps import answered, customer_with, watcher
from lab.sip.handset import TRUNK, handset, tone_hz_of
from lab.sip.line import CallRefused, Line
from lab.sip.message import Codec
from lab.sip.sipp_phones import CALLER_HZ, OUTSIDE
from tests.support.audio_checks import Samples, length_s, tone_of
from tests.support.eventually import eventually

HOLD_MUSIC_HZ = 262
DESK_HZ = 520  # of 152
COLLEAGUE_HZ = 640  # of 421


def tones(samples: Samples, rate_hz: int) -> list[int]:
    """The tones that are heard one after another for 0.3 s and more, to 20 Hz; 0 is silence."""
    step = rate_hz // 10
    found = [_tone(samples[start : start + step], rate_hz) for start in range(0, len(samples) - step + 1, step)]
    return [hz for hz, run in groupby(found) if len(list(run)) >= 3]


def _tone(samples: Samples, rate_hz: int) -> int:
    if np.abs(samples).max() < 0.01:
        return 0
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return round(float(np.argmax(power)) * rate_hz / len(samples) / 20) * 20


def heard(line: Line, codec: str = "pcm_alaw", rate_hz: int = 8000) -> list[int]:
    """The tones that a listening telephone has heard."""
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = rate_hz, "mono"
    frames = decoder.decode(av.Packet(line.heard()))
    return tones(np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(float) / 32768, rate_hz)


def leg_tones(leg: Path) -> list[int]:
    """The tones on a leg."""
    samples, rate_hz = soundfile.read(leg, dtype="float64")
    return tones(samples, int(rate_hz))


def near(hz: int) -> int:
    """A tone as `tones` tells it."""
    return round(hz / 20) * 20


async def _record(tap: AmiWitness, pbx: LabAsterisk, channel: str, name: str, extension: str = "wav") -> tuple[Path, Path]:
    legs = pbx.spool / f"{name}-r.{extension}", pbx.spool / f"{name}-t.{extension}"
    inside = [pbx.spool_in_asterisk / leg.name for leg in legs]
    done = await tap.action(Action="MixMonitor", Channel=channel, Options=f"br({inside[0]})t({inside[1]})")
    assert done["Response"] == "Success"
    return legs


async def _ringing_channel(tap: AmiWitness, extension: str) -> str:
    rung = await tap.wait_for(lambda m: m.get("Event") == "DialBegin" and f"acme-{extension}-" in m["DestChannel"])
    return rung["DestChannel"]


async def _gone(tap: AmiWitness, channel: str) -> None:
    await tap.wait_for(lambda m: m.get("Event") == "Hangup" and m["Channel"] == channel)


async def test_a_telephone_follows_another_at_the_same_port(pbx: LabAsterisk) -> None:
    """The far end of the trunk has one port, and nothing else is awaited between two calls."""
    for _ in range(2):
        async with handset(pbx, OUTSIDE) as phone:
            assert phone.address == (pbx.network.outside, pbx.network.outside_port)


async def test_both_hear_each_other_and_music_on_hold(pbx: LabAsterisk, lateness: Lateness) -> None:
    began = time.monotonic()
    async with handset(pbx, TRUNK, listens=True) as outside, handset(pbx, "152", listens=True) as desk:
        customer, employee = await answered(outside, "2458152", desk)
        await asyncio.sleep(0.8)
        await employee.hold()
        await asyncio.sleep(0.8)
        await employee.resume()
        await asyncio.sleep(0.8)
        await customer.hang_up()
        call = await employee.over()
    at_customer = [hz for hz, _ in groupby(hz for hz in heard(customer) if hz)]  # a gap may cut a tone in two
    assert at_customer == [near(DESK_HZ), near(HOLD_MUSIC_HZ), near(DESK_HZ)]
    assert set(heard(employee)) == {near(CALLER_HZ), 0}
    assert call.talk_s == pytest.approx(customer.sip_call.talk_s, abs=0.2 + lateness.allowance_s(began))


def _received(tap: AmiWitness, event: str) -> list[Message]:
    return [message for message in tap.messages if message.get("Event") == event and message.get("Direction") == "Received"]


async def test_keys_arrive(pbx: LabAsterisk) -> None:
    async with watcher(pbx) as tap, customer_with(pbx) as (customer, employee, _):
        await customer.press("19*#")
        await tap.wait_until(lambda tap: len(_received(tap, "DTMFEnd")) == 4)
        begun = [message["Digit"] for message in _received(tap, "DTMFBegin")]
        lengths = [int(message["DurationMs"]) for message in _received(tap, "DTMFEnd")]
        await customer.hang_up()
        await employee.over()
    assert begun == ["1", "9", "*", "#"]
    assert lengths == pytest.approx([100] * 4, abs=20)


async def test_a_silent_caller_leaves_silence_in_its_place(pbx: LabAsterisk, lateness: Lateness) -> None:
    began = time.monotonic()
    async with watcher(pbx) as tap, handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk:
        customer = outside.dial("2458152")
        ringing = await desk.rung()
        channel = await _ringing_channel(tap, "152")
        said, listened = await _record(tap, pbx, channel, "silent")
        await ringing.answer()
        await customer.up()
        await asyncio.sleep(1.0)
        with customer.silence():
            await asyncio.sleep(1.5)
        await asyncio.sleep(1.0)
        call = await customer.hang_up()
        await _gone(tap, channel)
    assert leg_tones(listened) == [near(CALLER_HZ), 0, near(CALLER_HZ)]
    assert tone_of(said) == tone_hz_of(pbx, "152")
    assert [length_s(leg) for leg in (said, listened)] == pytest.approx([call.talk_s] * 2, abs=0.2 + lateness.allowance_s(began))


async def test_wideband_is_heard_and_recorded_above_4_khz(pbx: LabAsterisk) -> None:
    async with (
        watcher(pbx) as tap,
        handset(pbx, "152", codec=Codec.G722, tone_hz=5000, listens=True) as caller,
        handset(pbx, "421", codec=Codec.G722, tone_hz=6000) as called,
    ):
        asking = caller.dial("421")
        ringing = await called.rung()
        channel = await _ringing_channel(tap, "421")
        said, listened = await _record(tap, pbx, channel, "wide", "wav16")
        await ringing.answer()
        await asking.up()
        await asyncio.sleep(1.0)
        await asking.hang_up()
        await _gone(tap, channel)
    assert soundfile.info(said).samplerate == 16000
    assert (tone_of(said), tone_of(listened)) == (6000, 5000)
    assert heard(asking, "g722", 16000) == [6000]


async def test_calls_that_come_to_nothing(pbx: LabAsterisk) -> None:
    async with handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk:
        calling = outside.dial("2458152")
        (await desk.rung()).refuse("486 Busy Here")
        with pytest.raises(CallRefused, match="486"):
            await calling.up()
        calling = outside.dial("2458152")
        ringing = await desk.rung()
        given_up = await calling.hang_up()
        assert (given_up.status, given_up.answered, (await ringing.over()).status) == (487, False, 487)
    assert [call.status for call in outside.calls] == [486, 487]


# Asterisk 22 takes another party's RTP numbers for those of the party before: if they are lower,
# all of it is left out of the recording (not of the talk) until they have caught up. Stopped and
# started again a moment later, the recorder knows nothing of the party before. Whoever sees the
# first line fail has an Asterisk without this defect. A machine that stands still for half a second
# leaves silence in a recording (Asterisk throws away what comes too late), so the talk is long and
# any of it is enough. 130 is recorded by nobody else: as long as one recorder is left on a channel,
# its next one knows of the party before, and a Fonoteka that stands beside this PBX would have one
# on 421.
@pytest.mark.parametrize(("again", "recorded"), [(False, DESK_HZ), (True, CALLER_HZ)])
async def test_what_a_recorder_hears_of_who_comes_after_a_transfer(pbx: LabAsterisk, again: bool, recorded: int) -> None:
    async with (
        watcher(pbx) as tap,
        handset(pbx, "130", listens=True) as colleague,
        customer_with(pbx) as (customer, employee, desk),
    ):
        await employee.hold()
        asking = desk.dial("130")
        ringing = await colleague.rung()
        channel = await _ringing_channel(tap, "130")
        _, leg = await _record(tap, pbx, channel, f"transferred-{again}")
        taken = await ringing.answer()
        await asking.up()
        await asyncio.sleep(0.6)
        await employee.join(asking)
        if again:
            assert (await tap.action(Action="StopMixMonitor", Channel=channel))["Response"] == "Success"
            # Asterisk forgets what it heard when a frame has come by and nobody recorded; on a busy
            # machine the first are those of the party before, which still stood in the bridge's
            # queue.
            await _frames(tap, channel, 25)
            _, leg = await _record(tap, pbx, channel, f"transferred-{again}-on")
        await asyncio.sleep(3.0)
        await customer.hang_up()
        await taken.over()
        await _gone(tap, channel)
    assert [hz for hz, _ in groupby(hz for hz in heard(taken) if hz)] == [near(DESK_HZ), near(CALLER_HZ)]
    await _written(leg)
    assert set(leg_tones(leg)) - {0} == {near(recorded)}


async def _written(leg: Path) -> None:
    """Wait until a leg does not grow: Asterisk may write on after the channel has gone."""
    sizes = [-1]

    def has_stopped() -> bool:
        sizes.append(leg.stat().st_size)
        return len(sizes) > 4 and len(set(sizes[-4:])) == 1

    await eventually(has_stopped)


async def _frames(tap: AmiWitness, channel: str, count: int) -> None:
    """Wait until a channel has been given so many more packets to send."""

    async def sent() -> int:
        answer = await tap.action(Action="Getvar", Channel=channel, Variable="CHANNEL(rtcp,all)")
        return int(re.findall(r"txcount=(\d+)", answer["Value"])[0])

    before = await sent()

    async def are_sent() -> bool:
        return await sent() >= before + count

    await eventually(are_sent)


def test_a_leg_of_ninety_minutes(tmp_path: Path) -> None:
    leg = long_leg(tmp_path / "leg.wav", hz=440, length_s=5400.3)
    assert length_s(leg) == pytest.approx(5400.3, abs=0.001)
    with soundfile.SoundFile(leg) as read:
        read.seek(8000 * 60 * 89)
        assert tones(read.read(8000 * 60), 8000) == [440, 0]
        assert tones(read.read(), 8000) == [440]
