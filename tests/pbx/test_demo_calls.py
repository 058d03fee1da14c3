"""The demo's office: its dialogues and its calls, and that it stops when cancelled."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lab.asterisk.server import LabAsterisk
from lab.base.ami_witness import AmiWitness
from lab.base.company import ACME
from lab.demo.demo_traffic import first_plan, keep_calling, next_plan
from lab.demo.speech import RATE_HZ, spoken
from lab.demo.spoken_dialogues import DIALOGUES, OUTSIDE, Dialogue
from lab.sip.sipp_phones import Behaviour


def test_one_is_silent_while_the_other_speaks(tmp_path: Path) -> None:
    talk = spoken(DIALOGUES[0], caller_waits_s=1.0, cache=tmp_path)
    caller, called = (
        np.abs(soundfile.read(track, samplerate=RATE_HZ, channels=1, format="RAW", subtype="ALAW")[0])
        for track in (talk.caller, talk.called)
    )
    assert len(caller) == len(called) + RATE_HZ
    assert talk.length_s == pytest.approx(len(called) / RATE_HZ)
    caller = caller[RATE_HZ:]
    assert min(caller.max(), called.max()) > 0.3
    assert not ((caller > 0.02) & (called > 0.02)).any()


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda dialogue: dialogue.name)
def test_dialogues_are_between_people_of_the_company(dialogue: Dialogue) -> None:
    assert {dialogue.caller, dialogue.called} <= {OUTSIDE, *(user.extension for user in ACME.users)}


def test_the_mix_has_everything_and_nobody_talks_twice() -> None:
    chance = random.Random(1)  # noqa: S311
    plans = [next_plan(ACME, chance, frozenset()) for _ in range(500)]
    assert {plan.behaviour for plan in plans} == {Behaviour.ANSWER, Behaviour.NO_ANSWER, Behaviour.BUSY, Behaviour.REFUSE}
    assert {plan.dialogue.name for plan in plans} == {dialogue.name for dialogue in DIALOGUES}
    assert {ACME.menu_number, ACME.group_number} <= {plan.number for plan in plans}
    answered = Counter(plan.behaviour for plan in plans)[Behaviour.ANSWER]
    assert 0.6 < answered / len(plans) < 0.95
    for _ in range(100):
        assert not next_plan(ACME, chance, frozenset({"152", OUTSIDE})).dialogue.people & {"152", OUTSIDE}


async def test_the_office_calls_until_it_is_told_to_stop(spare_pbx: LabAsterisk) -> None:
    async with AmiWitness(spare_pbx.ami, spare_pbx.ami_user, spare_pbx.ami_secret) as tap:
        calling = asyncio.create_task(keep_calling(spare_pbx, calls_per_minute=60, seed=1))
        first = await tap.wait_for(lambda message: message.get("Event") == "Newchannel")
        plan = first_plan(ACME)
        assert first["Exten"] == plan.number
        called = f"-{plan.dialogue.called}-"
        await tap.wait_for(lambda message: message.get("Event") == "BridgeEnter" and called in message["Channel"])
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
    assert calling.cancelled()
    assert not [name for name in Path("/proc").glob("[0-9]*/cmdline") if _is_phone_of(name, spare_pbx.folder)]


def _is_phone_of(cmdline: Path, folder: Path) -> bool:
    try:
        command = cmdline.read_bytes()
    except OSError:
        return False  # it has ended since it was listed
    return b"sipp" in command and str(folder).encode() in command
