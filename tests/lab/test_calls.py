"""The lab itself: calls have their nominal length and are heard on the right leg."""

import asyncio
import time
from pathlib import Path

import pytest
from asyncinotify import Inotify, Mask

from lab.asterisk.server import LabAsterisk
from lab.base.ami_witness import AmiWitness
from lab.base.eventually import LIMIT_S
from lab.base.lateness import Lateness
from lab.scenarios.steps import CUSTOMER
from lab.sip.sipp_calls import call_from_trunk, call_from_user, calls_from_trunk
from lab.sip.sipp_phones import CALLER_HZ, OUTSIDE, OUTSIDE_HZ, PHONE_HZ, answering
from tests.support.audio_checks import length_s, silent_start_s, tone_of
from tests.support.call_flows import PlayedFlows

NEAR_S = 0.2  # ten packets: an answer passes through three programs


async def _record_at_dial_begin(tap: AmiWitness, pbx: LabAsterisk, *, channel: str, name: str) -> tuple[Path, Path]:
    """Attach by hand, as soon as the phone rings, to the ringing phone or to the caller.

    Both legs once they are closed.
    """
    ringing = await tap.wait_for(lambda message: message.get("Event") == "DialBegin")
    legs = pbx.spool / f"{name}-r.wav", pbx.spool / f"{name}-t.wav"
    inside = [pbx.spool_in_asterisk / leg.name for leg in legs]
    with Inotify() as inotify:
        inotify.add_watch(pbx.spool, Mask.CLOSE_WRITE)
        answer = await tap.action(Action="MixMonitor", Channel=ringing[channel], Options=f"br({inside[0]})t({inside[1]})")
        assert answer["Response"] == "Success"
        waiting = set(legs)
        async with asyncio.timeout(LIMIT_S):
            async for event in inotify:
                waiting.discard(event.path or Path())
                if not waiting:
                    break
    return legs


async def test_a_call_from_outside_is_answered_and_heard(pbx: LabAsterisk, lateness: Lateness) -> None:
    began = time.monotonic()
    async with AmiWitness(pbx.ami, pbx.ami_user, pbx.ami_secret) as tap, answering(pbx, "152", answer_after_s=0.5) as phone:
        calling = asyncio.create_task(call_from_trunk(pbx, dialled="2458152", talk_s=2.0))
        said, heard = await _record_at_dial_begin(tap, pbx, channel="DestChannel", name="in")
        outcome = await calling
    (taken,), late_s = phone.calls, lateness.allowance_s(began)
    assert outcome.answered
    assert outcome.talk_s == pytest.approx(2.0, abs=NEAR_S + late_s)
    assert taken.talk_s == pytest.approx(outcome.talk_s, abs=NEAR_S + late_s)
    assert taken.answered_at is not None
    assert taken.rang_at is not None
    assert taken.answered_at - taken.rang_at == pytest.approx(0.5, abs=NEAR_S + late_s)
    assert (tone_of(said), tone_of(heard)) == (PHONE_HZ, CALLER_HZ)
    for leg in (said, heard):
        assert length_s(leg) == pytest.approx(taken.talk_s, abs=NEAR_S + late_s)
        assert silent_start_s(leg) < NEAR_S + late_s


async def test_a_call_to_outside_is_answered_and_heard(pbx: LabAsterisk, lateness: Lateness) -> None:
    began = time.monotonic()
    async with AmiWitness(pbx.ami, pbx.ami_user, pbx.ami_secret) as tap, answering(pbx, OUTSIDE) as phone:
        calling = asyncio.create_task(call_from_user(pbx, "152", dialled="84951234567", talk_s=2.0, hang_up_by="caller"))
        said, heard = await _record_at_dial_begin(tap, pbx, channel="Channel", name="out")
        outcome = await calling
    assert (tone_of(said), tone_of(heard)) == (CALLER_HZ, OUTSIDE_HZ)
    late_s = lateness.allowance_s(began)
    assert length_s(said) == pytest.approx(phone.calls[0].talk_s, abs=NEAR_S + late_s)
    assert outcome.talk_s == pytest.approx(2.0, abs=NEAR_S + late_s)


async def test_the_called_party_hangs_up(pbx: LabAsterisk, lateness: Lateness) -> None:
    began = time.monotonic()
    async with answering(pbx, "421", talk_s=1.0) as phone:
        outcome = await call_from_user(pbx, "152", dialled="421", hang_up_by="callee")
    near_s = NEAR_S + lateness.allowance_s(began)
    assert outcome.talk_s == pytest.approx(1.0, abs=near_s)
    assert phone.calls[0].talk_s == pytest.approx(1.0, abs=near_s)


@pytest.mark.parametrize("flow", ["forward_always", "forward_busy", "forward_no_answer", "phone_302"])
async def test_forwarding_leads_outside(flows: PlayedFlows, flow: str) -> None:
    calls = flows[flow].phone_calls
    assert (calls[CUSTOMER].answered, calls[OUTSIDE].answered) == (True, True)
    assert "421" not in calls or not calls["421"].answered


async def test_pickup_and_parking(pbx: LabAsterisk, lateness: Lateness) -> None:
    async with AmiWitness(pbx.ami, pbx.ami_user, pbx.ami_secret) as tap, answering(pbx, "152", behaviour="no_answer"):
        calling = asyncio.create_task(call_from_trunk(pbx, dialled="2458152", talk_s=1.0))
        await tap.wait_for(lambda message: message.get("Event") == "DialBegin")
        assert (await call_from_user(pbx, "421", dialled="*8", hang_up_by="callee")).answered
        assert (await calling).answered
    async with AmiWitness(pbx.ami, "watcher", pbx.ami_secret) as tap, answering(pbx, "152"):
        calling = asyncio.create_task(call_from_trunk(pbx, dialled="2458152", hang_up_by="callee"))
        customer, employee = [
            (await tap.wait_for(lambda m, who=who: m.get("Event") == "BridgeEnter" and who in m["Channel"]))["Channel"]  # type: ignore[misc]
            for who in ("PJSIP/trunk", "PJSIP/acme-152")
        ]
        assert (await tap.action(Action="Park", Channel=customer, TimeoutChannel=employee))["Response"] == "Success"
        parked = await tap.wait_for(lambda m: m.get("Event") == "ParkedCall")
        began = time.monotonic()
        fetched = await call_from_user(pbx, "421", dialled=parked["ParkingSpace"], talk_s=1.0)
        assert fetched.talk_s == pytest.approx(1.0, abs=NEAR_S + lateness.allowance_s(began))
        assert (await calling).answered


async def test_many_calls_at_once(pbx: LabAsterisk, lateness: Lateness) -> None:
    began = time.monotonic()
    async with answering(pbx, "152", answer_after_s=0.2) as phone:
        outcomes = await calls_from_trunk(pbx, calls=20, per_second=20, dialled="2458152", talk_s=2.0)
        taken = phone.calls
    assert len(outcomes) == len(taken) == 20
    assert max(outcome.invited_at for outcome in outcomes) < min(outcome.ended_at or 0.0 for outcome in outcomes)
    for call in (*outcomes, *taken):
        # SIPp may be late with the goodbye.
        assert 1.98 < call.talk_s < 2.5 + lateness.allowance_s(began)


async def test_a_name_arrives_whatever_is_in_it(pbx: LabAsterisk) -> None:
    name = "Пётр [len] $(id) `id` ;|&"
    async with AmiWitness(pbx.ami, pbx.ami_user, pbx.ami_secret) as tap:
        await call_from_trunk(pbx, dialled="2458152", caller_name=name)
        arrived = await tap.wait_for(lambda message: message.get("Event") == "Newchannel")
    assert arrived["CallerIDName"] == name
