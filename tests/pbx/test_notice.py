"""The notice and the beep on the real Asterisk: who hears them, all of them, and that neither is in the recording."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

import asterisk_conf
from lab.asterisk.rootfs import AsteriskProgram
from lab.asterisk.server import LabAsterisk
from lab.audio.tones import sox
from lab.base.company import apply_text
from lab.scenarios.steps import CALLER, answered
from lab.sip.handset import TRUNK, handset, tone_hz_of
from lab.sip.sipp_phones import CALLER_HZ, OUTSIDE, OUTSIDE_HZ
from lab.tools.installation import Call, Fonoteka, beside
from lab.tools.installation import fonoteka as run_command
from tests.support.audio_checks import Samples, assert_tone, decoded, length_s

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


async def mirrored(pbx: LabAsterisk, expected: dict[str, str], within_s: float) -> None:
    deadline = asyncio.get_running_loop().time() + within_s
    while (there := await keys_in_astdb(pbx)) != expected:
        assert asyncio.get_running_loop().time() < deadline, there
        await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_pbx(program: AsteriskProgram, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LabAsterisk]:
    """A PBX of our own: it is restarted."""
    async with LabAsterisk(program, tmp_path_factory.mktemp("notice-pbx"), ring_s=3.0) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def noticing(own_pbx: LabAsterisk, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fonoteka]:
    """A Fonoteka beside it whose company has both notices."""
    async with beside(own_pbx, tmp_path_factory.mktemp("notice-beside")) as running:
        await apply(running, with_notice(*NOTICES))
        await mirrored(own_pbx, KEYS, within_s=5.0)
        yield running


def listened(heard: bytes, folder: Path) -> Samples:
    """What a telephone heard (A-law) as samples."""
    raw, wav = folder / "heard.al", folder / "heard.wav"
    raw.write_bytes(heard)
    sox("-t", "al", "-r", str(RATE_HZ), "-c", "1", str(raw), str(wav))
    heard_samples: Samples = decoded(wav.read_bytes())[0][0]
    return heard_samples


def notice_in(heard: Samples) -> tuple[float, float]:
    """Which share of the notice's quarter seconds is heard, in order, and when the last of them ends, in seconds.

    By pieces, since a telephone on a busy machine hears short gaps.
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


def assert_recording(call: Call, audio: bytes, left_hz: float, right_hz: float, talk_s: float) -> None:
    """The talk from its first word on, and not a word of the notice."""
    samples, rate_hz = decoded(audio)
    assert abs(samples.shape[1] / rate_hz - talk_s) < 0.25, (samples.shape[1] / rate_hz, talk_s)
    for side, hz in zip(samples, (left_hz, right_hz), strict=True):
        assert_tone(side, rate_hz, hz)
        assert_tone(side[: rate_hz // 5], rate_hz, hz)
    assert call["recording"]["state"] == "ready"


async def test_the_caller_hears_all_of_it_before_anybody_is_rung(own_pbx: LabAsterisk, noticing: Fonoteka, tmp_path: Path) -> None:
    before = await noticing.ids()
    async with handset(own_pbx, TRUNK, listens=True) as outside, handset(own_pbx, "152", listens=True) as desk:
        there, here = await answered(outside, own_pbx.company.group_number, desk, user=CALLER)
        await asyncio.sleep(2.0)
        await there.hang_up()
        await here.over()
        share, _ = notice_in(listened(there.heard(), tmp_path))
        assert share > 0.7, "the caller hears the whole notice"
        at_desk = listened(here.heard(), tmp_path)
        assert notice_in(at_desk)[0] < 0.3
        assert_tone(at_desk[: RATE_HZ // 2], RATE_HZ, CALLER_HZ)
    call = await noticing.settled(before)
    assert call["answered_by"] == "152"
    assert_recording(call, await noticing.audio(call, format="wav"), CALLER_HZ, tone_hz_of(own_pbx, "152"), 2.0)


async def test_who_is_called_hears_all_of_it_before_the_talk(own_pbx: LabAsterisk, noticing: Fonoteka, tmp_path: Path) -> None:
    before = await noticing.ids()
    async with handset(own_pbx, OUTSIDE, listens=True) as far, handset(own_pbx, "152", listens=True) as desk:
        there, here = await answered(desk, "2223344", far)
        await asyncio.sleep(4.0)
        await there.hang_up()
        await here.over()
        for line, peer_hz in ((here, tone_hz_of(own_pbx, "152")), (there, OUTSIDE_HZ)):
            heard = listened(line.heard(), tmp_path)
            share, end_s = notice_in(heard)
            assert share > 0.7, "both hear the whole notice, so that neither speaks into nothing"
            assert_tone(heard[round((end_s + 0.7) * RATE_HZ) :], RATE_HZ, peer_hz)
    call = await noticing.settled(before)
    assert_recording(call, await noticing.audio(call, format="wav"), OUTSIDE_HZ, tone_hz_of(own_pbx, "152"), 4.0 - NOTICE_S)


async def test_who_is_not_recorded_is_rung_without_it(own_pbx: LabAsterisk, noticing: Fonoteka, tmp_path: Path) -> None:
    async with handset(own_pbx, TRUNK, listens=True) as outside, handset(own_pbx, "130") as desk:
        there, _ = await answered(outside, "2458130", desk, user=CALLER)
        await asyncio.sleep(1.0)
        await there.hang_up()
        heard = listened(there.heard(), tmp_path)
        assert_tone(heard[: RATE_HZ // 2], RATE_HZ, tone_hz_of(own_pbx, "130"))


async def test_early_it_is_heard_without_an_answer(own_pbx: LabAsterisk, noticing: Fonoteka, tmp_path: Path) -> None:
    await own_pbx.cli("dialplan set global FONOTEKA_NOTICE_EARLY yes")
    before = await noticing.ids()
    async with handset(own_pbx, TRUNK, listens=True) as outside, handset(own_pbx, "152") as desk:
        there = outside.dial("2458152", user=CALLER)
        await desk.rung()
        assert notice_in(listened(there.heard(), tmp_path))[0] > 0.7
        assert (await there.hang_up()).answered is False
    call = await noticing.settled(before)
    assert (call["result"], call["recording"]["reason"]) == ("no_answer", "not_answered")
    await own_pbx.cli('dialplan set global FONOTEKA_NOTICE_EARLY ""')


@pytest.mark.parametrize("number", ["x'; $(id)", "1)}${SHELL(id)},2&", '" = "" | "'])
async def test_hostile_callers_change_nothing(own_pbx: LabAsterisk, noticing: Fonoteka, tmp_path: Path, number: str) -> None:
    log = own_pbx.log_path.stat().st_size
    async with handset(own_pbx, TRUNK, listens=True) as outside, handset(own_pbx, "152") as desk:
        user = "".join(f"%{ord(letter):02x}" for letter in number)
        there, _ = await answered(outside, "2458152", desk, user=user, name=number)
        await asyncio.sleep(0.3)
        await there.hang_up()
        assert notice_in(listened(there.heard(), tmp_path))[0] > 0.7
    told = own_pbx.log_path.read_text(errors="replace")[log:]
    assert "uid=" not in told
    assert "yntax error" not in told


async def test_a_switch_is_mirrored_and_a_restarted_asterisk_is_told_anew(own_pbx: LabAsterisk, noticing: Fonoteka) -> None:
    (await noticing.http.patch("/api/users/421", json={"record": "on_demand"})).raise_for_status()
    without_421 = {key: sound for key, sound in KEYS.items() if "421" not in key}
    await mirrored(own_pbx, without_421, within_s=5.0)
    await own_pbx.cli("database deltree fonoteka notice_out")
    await own_pbx.cli("database put fonoteka notice_in/PJSIP/left-long-ago tt-monkeys")
    await own_pbx.restart()
    await mirrored(own_pbx, without_421, within_s=15.0)
    (await noticing.http.patch("/api/users/421", json={"record": "all"})).raise_for_status()
    await mirrored(own_pbx, KEYS, within_s=5.0)


async def test_both_hear_the_beep_and_the_recording_does_not(own_pbx: LabAsterisk, noticing: Fonoteka, tmp_path: Path) -> None:
    await apply(noticing, with_notice("beep_every_s = 2"))
    await mirrored(own_pbx, {}, within_s=10.0)
    before = await noticing.ids()
    async with handset(own_pbx, TRUNK, listens=True) as outside, handset(own_pbx, "152", listens=True) as desk:
        there, here = await answered(outside, "2458152", desk, user=CALLER)
        await asyncio.sleep(5.0)
        await there.hang_up()
        await here.over()
        assert [beeps(listened(line.heard(), tmp_path)) for line in (there, here)] == [3, 3]
    call = await noticing.settled(before)
    samples, rate_hz = decoded(await noticing.audio(call, format="wav"))
    assert [beeps(side, rate_hz) for side in samples] == [0, 0]
    assert await noticing.ids() - before == {call["id"]}, "what plays the beep is no call"


def beeps(heard: Samples, rate_hz: int = RATE_HZ) -> int:
    """How many times Asterisk's `beep` (700 Hz) comes in; what follows within a second is the same one, with a gap in it."""
    step = rate_hz // 10
    loud = []
    for start in range(0, len(heard) - step, step):
        power = np.abs(np.fft.rfft(heard[start : start + step] * np.hanning(step))) ** 2
        if power[68:73].sum() > 0.02 * power.sum():
            loud.append(start / rate_hz)
    return sum(now - earlier > 1 for now, earlier in zip(loud, [-9.0, *loud], strict=False))
