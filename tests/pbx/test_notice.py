"""The notice and the beep on the real Asterisk.

Who hears them, all of them, and that neither is in the recording.
"""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
import soundfile

import asterisk_conf
from lab.asterisk.server import LabAsterisk
from lab.base.company import apply_text
from lab.base.lateness import Lateness
from lab.scenarios.steps import CALLER, answered, talk_and_leave
from lab.sip.handset import TRUNK, handset, tone_hz_of
from lab.sip.line import Line
from lab.sip.sipp_phones import CALLER_HZ, OUTSIDE, OUTSIDE_HZ
from lab.tools.installation import Call, Fonoteka, beside
from lab.tools.installation import fonoteka as run_command
from tests.support.audio_checks import Samples, assert_tone, decoded, length_s
from tests.support.eventually import eventually

RATE_HZ = 8000
SOUND = "fonoteka/recorded-ru"
NOTICE_FILE = Path(asterisk_conf.__file__).parent / "sounds" / "recorded-ru.wav"
NOTICE_S = length_s(NOTICE_FILE)
KEYS = {f"notice_{way}/PJSIP/acme-{login}": SOUND for way in ("in", "out") for login in ("152", "421")}


def with_notice(*lines: str) -> str:
    return apply_text().replace("retention_days", "\n".join((*lines, "retention_days")), 1)


NOTICES = (f'notice_in = "{SOUND}"', f'notice_out = "{SOUND}"')


async def apply(fonoteka: Fonoteka, text: str) -> None:
    (fonoteka.folder / "other.toml").write_text(text, encoding="utf-8")
    code, _, err = await run_command("apply", "other.toml", folder=fonoteka.folder)
    assert code == 0, err


async def keys_in_astdb(pbx: LabAsterisk) -> dict[str, str]:
    shown = await pbx.cli("database show fonoteka")
    pairs = (line.split(":", 1) for line in shown.splitlines() if line.startswith("/fonoteka/notice"))
    return {key.strip().removeprefix("/fonoteka/"): value.strip() for key, value in pairs}


async def mirrored(pbx: LabAsterisk, expected: dict[str, str]) -> None:
    """Wait until AstDB has exactly these keys."""

    async def is_mirrored() -> bool:
        return await keys_in_astdb(pbx) == expected

    await eventually(is_mirrored)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def noticing(spare_pbx: LabAsterisk, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fonoteka]:
    """Run a Fonoteka beside the spare PBX whose company has both announcements."""
    async with beside(spare_pbx, tmp_path_factory.mktemp("notice-beside"), FONOTEKA_MIXER_URGENT="1") as running:
        await apply(running, with_notice(*NOTICES))
        await mirrored(spare_pbx, KEYS)
        yield running


def listened(line: Line) -> Samples:
    """The samples of what a telephone has heard so far."""
    heard: Samples = soundfile.read(io.BytesIO(line.heard()), samplerate=RATE_HZ, channels=1, format="RAW", subtype="ALAW")[0]
    return heard


def notice_in(heard: Samples) -> tuple[float, float]:
    """The share of the announcement that is heard, and the second in which it ends.

    It is compared by quarter seconds, because a telephone on a busy machine hears short gaps.
    """
    pieces = np.array_split(decoded(NOTICE_FILE.read_bytes())[0][0], round(NOTICE_S * 4))
    spoken = [piece for piece in pieces if np.abs(piece).max() > 0.05]
    found, at = 0, 0
    for piece in spoken:
        window = heard[at:]
        if len(window) < len(piece):
            break
        power = np.sqrt(np.convolve(window**2, np.ones(len(piece)), "valid") * (piece**2).sum())
        likeness = np.correlate(window, piece, "valid") / np.maximum(power, 1e-9)
        if likeness.max() > 0.7:
            found, at = found + 1, at + int(likeness.argmax()) + len(piece)
    return found / len(spoken), at / RATE_HZ


def assert_recording(call: Call, audio: bytes, left_hz: float, right_hz: float, talk_s: float, late_s: float) -> None:
    """The talk from its first word on, and not a word of the announcement."""
    samples, rate_hz = decoded(audio)
    assert samples.shape[1] / rate_hz == pytest.approx(talk_s, abs=0.25 + late_s)
    for side, hz in zip(samples, (left_hz, right_hz), strict=True):
        assert_tone(side, rate_hz, hz)
        assert_tone(side[: rate_hz // 5], rate_hz, hz, least=0.4)
    assert call["recording"]["state"] == "ready"


async def test_the_caller_hears_all_of_it_before_anybody_is_rung(
    spare_pbx: LabAsterisk, noticing: Fonoteka, lateness: Lateness
) -> None:
    before = await noticing.ids()
    began = time.monotonic()
    async with handset(spare_pbx, TRUNK, listens=True) as outside, handset(spare_pbx, "152", listens=True) as desk:
        there, here = await answered(outside, spare_pbx.company.group_number, desk, user=CALLER)
        await talk_and_leave(there, here)
        share, _ = notice_in(listened(there))
        assert share > 0.7, "the caller hears the whole notice"
        at_desk = listened(here)
        assert notice_in(at_desk)[0] < 0.3
        assert_tone(at_desk[: RATE_HZ // 2], RATE_HZ, CALLER_HZ)
    call = await noticing.settled(before)
    assert call["answered_by"] == "152"
    assert_recording(
        call,
        await noticing.audio(call, format="wav"),
        CALLER_HZ,
        tone_hz_of(spare_pbx, "152"),
        here.sip_call.talk_s,
        lateness.allowance_s(began),
    )


async def test_who_is_called_hears_all_of_it_before_the_talk(
    spare_pbx: LabAsterisk, noticing: Fonoteka, lateness: Lateness
) -> None:
    before, began = await noticing.ids(), time.monotonic()
    async with handset(spare_pbx, OUTSIDE, listens=True) as far, handset(spare_pbx, "152", listens=True) as desk:
        there, here = await answered(desk, "2223344", far)
        await asyncio.sleep(NOTICE_S + 1.5)
        await there.hang_up()
        await here.over()
        for line, peer_hz in ((here, tone_hz_of(spare_pbx, "152")), (there, OUTSIDE_HZ)):
            heard = listened(line)
            share, end_s = notice_in(heard)
            assert share > 0.7, "both hear the whole notice, so that neither speaks into nothing"
            assert_tone(heard[round((end_s + 0.7) * RATE_HZ) :], RATE_HZ, peer_hz)
    call = await noticing.settled(before)
    talk_s, late_s = there.sip_call.talk_s - NOTICE_S, lateness.allowance_s(began)
    audio = await noticing.audio(call, format="wav")
    assert_recording(call, audio, OUTSIDE_HZ, tone_hz_of(spare_pbx, "152"), talk_s, late_s)


async def test_who_is_not_recorded_is_rung_without_it(spare_pbx: LabAsterisk, noticing: Fonoteka) -> None:
    async with handset(spare_pbx, TRUNK, listens=True) as outside, handset(spare_pbx, "130") as desk:
        there, _ = await answered(outside, "2458130", desk, user=CALLER)
        await asyncio.sleep(1.0)
        await there.hang_up()
        heard = listened(there)
        assert_tone(heard[: RATE_HZ // 2], RATE_HZ, tone_hz_of(spare_pbx, "130"))


async def test_early_it_is_heard_without_an_answer(spare_pbx: LabAsterisk, noticing: Fonoteka) -> None:
    await spare_pbx.cli("dialplan set global FONOTEKA_NOTICE_EARLY yes")
    before = await noticing.ids()
    async with handset(spare_pbx, TRUNK, listens=True) as outside, handset(spare_pbx, "152") as desk:
        there = outside.dial("2458152", user=CALLER)
        ringing = await desk.rung()
        assert notice_in(listened(there))[0] > 0.7
        assert (await there.hang_up()).answered is False
        await ringing.over()
    call = await noticing.settled(before)
    assert (call["result"], call["recording"]["reason"]) == ("no_answer", "not_answered")
    await spare_pbx.cli('dialplan set global FONOTEKA_NOTICE_EARLY ""')


@pytest.mark.parametrize("number", ["x'; $(id)", "1)}${SHELL(id)},2&", '" = "" | "'])
async def test_hostile_callers_change_nothing(spare_pbx: LabAsterisk, noticing: Fonoteka, number: str) -> None:
    log = spare_pbx.log_path.stat().st_size
    async with handset(spare_pbx, TRUNK, listens=True) as outside, handset(spare_pbx, "152") as desk:
        user = "".join(f"%{ord(letter):02x}" for letter in number)
        there, _ = await answered(outside, "2458152", desk, user=user, name=number)
        await asyncio.sleep(0.3)
        await there.hang_up()
        assert notice_in(listened(there))[0] > 0.7
    logged = spare_pbx.log_path.read_text(errors="replace")[log:]
    assert "uid=" not in logged
    assert "yntax error" not in logged


async def test_a_switch_is_mirrored_and_a_restarted_asterisk_is_told_anew(spare_pbx: LabAsterisk, noticing: Fonoteka) -> None:
    (await noticing.http.patch("/api/users/421", json={"record": "on_demand"})).raise_for_status()
    without_421 = {key: sound for key, sound in KEYS.items() if "421" not in key}
    await mirrored(spare_pbx, without_421)
    await spare_pbx.cli("database deltree fonoteka notice_out")
    await spare_pbx.cli("database put fonoteka notice_in/PJSIP/left-long-ago tt-monkeys")
    await spare_pbx.restart()
    await mirrored(spare_pbx, without_421)
    (await noticing.http.patch("/api/users/421", json={"record": "all"})).raise_for_status()
    await mirrored(spare_pbx, KEYS)


async def test_both_hear_the_beep_and_the_recording_does_not(
    spare_pbx: LabAsterisk, noticing: Fonoteka, lateness: Lateness
) -> None:
    await apply(noticing, with_notice("beep_every_s = 2"))
    await mirrored(spare_pbx, {})
    before, began = await noticing.ids(), time.monotonic()
    async with handset(spare_pbx, TRUNK, listens=True) as outside, handset(spare_pbx, "152", listens=True) as desk:
        there, here = await answered(outside, "2458152", desk, user=CALLER)
        await eventually(lambda: all(len(beeps(listened(line))) >= 2 for line in (there, here)))
        for line in (there, here):
            first_s, second_s, *_ = beeps(listened(line))
            assert second_s - first_s == pytest.approx(2, abs=0.3 + lateness.allowance_s(began))
        await there.hang_up()
        await here.over()
    call = await noticing.settled(before)
    samples, rate_hz = decoded(await noticing.audio(call, format="wav"))
    assert [beeps(side, rate_hz) for side in samples] == [[], []]
    assert await noticing.ids() - before == {call["id"]}, "what plays the beep is no call"


def beeps(heard: Samples, rate_hz: int = RATE_HZ) -> list[float]:
    """The times of Asterisk's `beep` (700 Hz), in seconds.

    What follows within a second is the same beep, with a gap in it.
    """
    step = rate_hz // 10
    loud = []
    for start in range(0, len(heard) - step, step):
        power = np.abs(np.fft.rfft(heard[start : start + step] * np.hanning(step))) ** 2
        if power[68:73].sum() > 0.02 * power.sum():
            loud.append(start / rate_hz)
    return [now for now, earlier in zip(loud, [-9.0, *loud], strict=False) if now - earlier > 1]
