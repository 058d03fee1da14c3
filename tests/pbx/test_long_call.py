"""SCENARIO 26: ninety minutes.

Made from the legs on: mixer, agent, store and API are the real ones, Asterisk is not asked.

(Played faster than life, Asterisk leaves out a tenth of what it records: see
`lab.audio.tones.long_leg`.)
"""

import asyncio
import io
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import soundfile

from agent.recording.manifest import make_manifest
from fonoteka.core.call_report import SegmentReport
from fonoteka.core.manifest import write_manifest
from fonoteka.core.naming import call_id, segment_name
from fonoteka.core.spool import ItemState, Spool
from lab.asterisk.server import LabAsterisk
from lab.audio.tones import long_leg
from lab.tools.installation import Fonoteka
from tests.data.seed import a_call, but
from tests.support.audio_checks import assert_tone, pauses_in
from tests.support.eventually import eventually

MINUTES = 90
LENGTH_S = MINUTES * 60.0
LEFT_HZ, RIGHT_HZ = 440, 880


async def test_ninety_minutes_to_a_tenth_of_a_second(pbx: LabAsterisk, fonoteka: Fonoteka) -> None:
    linkedid = f"{time.time():.0f}.90"
    await asyncio.to_thread(hand_over, Spool(pbx.spool), linkedid)
    call = await ready(fonoteka, call_id("lab", linkedid))

    recording = call["recording"]
    assert (recording["state"], recording["reason"]) == ("ready", None)
    assert recording["duration_ms"] == pytest.approx(LENGTH_S * 1000, abs=100)
    assert [segment["user"] for segment in recording["segments"]] == ["152"]
    peaks = (await fonoteka.http.get(f"/api/calls/{call['id']}/peaks")).raise_for_status().json()
    assert peaks["duration_ms"] == recording["duration_ms"]
    with soundfile.SoundFile(io.BytesIO(await fonoteka.audio(call))) as audio:
        assert audio.frames / audio.samplerate == pytest.approx(LENGTH_S, abs=0.1)
        for minute in (0, 1, MINUTES // 2, MINUTES - 1):
            assert_minute(audio, minute)
    assert not list(pbx.spool.glob(f"*/{linkedid.replace('.', '-')}*"))


def hand_over(spool: Spool, linkedid: str) -> None:
    """Put the closed legs of a call of ninety minutes where the mixer takes them."""
    ended_at = datetime.now(UTC)
    started_at = ended_at - timedelta(seconds=LENGTH_S)
    name = segment_name(linkedid, linkedid, 1)
    talk_ms = round(LENGTH_S * 1000)
    segment = SegmentReport(name=name, user="152", started_at=started_at)
    call = a_call(0, started_at, talk_ms=talk_ms, ring_ms=0)
    report = but(call, pbx="lab", linkedid=linkedid, revision=1, segments=(segment,), path=())
    paper = make_manifest(name, "152", started_at, talk_ms, report)
    item = spool.folder(ItemState.RECORDING) / name
    item.mkdir()
    long_leg(item / paper.outside_leg, hz=LEFT_HZ, length_s=LENGTH_S)
    long_leg(item / paper.employee_leg, hz=RIGHT_HZ, length_s=LENGTH_S)
    write_manifest(item, paper)
    spool.move(item, ItemState.CLOSED)


async def ready(fonoteka: Fonoteka, identity: str) -> dict[str, Any]:
    async def found() -> dict[str, Any] | None:
        answer = await fonoteka.http.get(f"/api/calls/{identity}")
        is_decided = answer.status_code == 200 and answer.json()["recording"]["state"] not in ("recording", "processing")
        return dict(answer.json()) if is_decided else None

    return await eventually(found, within_s=300)  # ninety minutes are encoded meanwhile


def assert_minute(audio: soundfile.SoundFile, minute: int) -> None:
    """Check each side's tone in this minute, and the half second of silence at its end.

    The test does not ask for "no other tone": a tone for minutes on either side is what Opus at 24
    kbit/s keeps apart worst.
    """
    audio.seek(minute * 60 * audio.samplerate)
    samples = audio.read(60 * audio.samplerate, dtype="float64").T
    for side, hz in zip(samples, (LEFT_HZ, RIGHT_HZ), strict=True):
        assert_tone(side, audio.samplerate, hz)
        begin, end = pauses_in(np.append(side, 1.0 + np.zeros(audio.samplerate)), audio.samplerate)[-1]
        assert (begin, end) == pytest.approx((59.5, 60.0), abs=0.1)
