"""Who spoke, as the mixer measures it."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.speech import write_leg
from fonoteka.core.manifest import AudioFormat, Layout, Speech
from mixer.speech import SpeechMeter
from mixer.voice_detector import without_gaps
from tests.support.legs import EMPLOYEE_LEG, OUTSIDE_LEG, mix, tone, wav, write_item

RATE_HZ = 8000


def voice(folder: Path, seconds: int, side: int) -> NDArray[np.int16]:
    """Return a side of a talk in turns of about four seconds."""
    write_leg(folder / "voice.wav", seconds, side)
    return np.frombuffer((folder / "voice.wav").read_bytes()[44:], np.int16)


def noise(seconds: float, level: float = 300) -> NDArray[np.int16]:
    return np.rint(level * np.random.default_rng(5).normal(size=round(seconds * RATE_HZ))).astype(np.int16)


def melody(seconds: int) -> NDArray[np.int16]:
    """Return decaying notes with overtones, four a second: the music of a cheap PBX."""
    at_s = np.arange(RATE_HZ) / RATE_HZ
    sound = np.zeros((seconds + 1) * RATE_HZ)
    for number, pitch in enumerate(np.random.default_rng(6).choice((220, 262, 294, 330, 392), 4 * seconds)):
        note = sum(np.sin(2 * np.pi * pitch * overtone * at_s) / overtone for overtone in range(1, 6))
        sound[2000 * number : 2000 * number + RATE_HZ] += 4000 * note * np.exp(-4 * at_s)
    return sound[: seconds * RATE_HZ].astype(np.int16)


def keys(seconds: int) -> NDArray[np.int16]:
    """Return a key of the telephone, pressed for 0.2 s in each half second."""
    pressed = tone(770, seconds * RATE_HZ) + tone(1336, seconds * RATE_HZ)
    return np.where(np.arange(len(pressed)) % 4000 < 1600, pressed, 0).astype(np.int16)


def measured(sound: NDArray[np.int16], *, block: int = 19_200, rate_hz: int = RATE_HZ) -> tuple[Speech, str]:
    """Measure both sides, given as shape (n, 2), in blocks."""
    meter = SpeechMeter(samples=len(sound), rate_hz=rate_hz, per_second=20)
    for first in range(0, len(sound), block):
        meter.take(sound[first : first + block])
    return meter.finish()


def both(outside: NDArray[np.int16], employee: NDArray[np.int16]) -> NDArray[np.int16]:
    length = max(len(outside), len(employee))
    sides = [np.pad(side, (0, length - len(side))) for side in (outside, employee)]
    return np.stack(sides, axis=1)


def total_ms(speech: Speech) -> int:
    return speech.outside_ms + speech.employee_ms - speech.overlap_ms + speech.silence_ms


@pytest.mark.parametrize(
    ("sound", "heard"),
    [
        pytest.param(noise(60), 0, id="noise"),
        pytest.param(melody(60), 0, id="music"),
        pytest.param(keys(60), 0, id="keys"),
        pytest.param(tone(425, 60 * RATE_HZ), 0, id="tone"),
        pytest.param(np.zeros(60 * RATE_HZ, np.int16), 0, id="nothing"),
    ],
)
def test_what_is_no_speech_is_silence(sound: NDArray[np.int16], heard: int) -> None:
    speech, track = measured(both(sound, sound))
    assert (speech.outside_ms, speech.employee_ms, set(track)) == (heard, heard, {"0"})
    assert speech.silence_ms == speech.longest_silence_ms == 60_000
    assert speech.first_word_ms is None


@pytest.mark.parametrize("level", [1.0, 0.25, 0.06])
def test_a_voice_counts_at_any_level(tmp_path: Path, level: float) -> None:
    spoken = voice(tmp_path, 60, 0)
    speech, _ = measured(both((spoken * level).astype(np.int16), noise(60, 10)))
    assert 20_000 < speech.outside_ms < 30_000
    assert speech.employee_ms == speech.overlap_ms == 0


def test_each_side_speaks_in_its_turn(tmp_path: Path) -> None:
    """The outside party speaks in seconds 5 to 15, the employee in 20 to 30, both in 40 to 50."""
    outside, employee = noise(60, 10), noise(60, 10)
    words = np.tile(voice(tmp_path, 8, 0)[: 3 * RATE_HZ], 4)[: 10 * RATE_HZ]
    for side, begins in ((outside, (5, 40)), (employee, (20, 40))):
        for begin in begins:
            side[begin * RATE_HZ : (begin + 10) * RATE_HZ] += words
    speech, track = measured(both(outside, employee))
    assert [track[20 * second] for second in (2, 18, 35, 55)] == ["0"] * 4
    for second, who in ((10, "1"), (25, "2"), (45, "3")):
        assert track[20 * (second - 3) : 20 * (second + 3)].count(who) > 80
    assert speech.first_word_ms is not None
    assert abs(speech.first_word_ms - 5000) < 600
    assert abs(speech.longest_silence_ms - 10_000) < 1200
    assert abs(speech.overlap_ms - 10_000) < 2500


@pytest.mark.parametrize("seconds", [0.001, 0.03, 1.01, 109.99, 110, 111.013, 333.3])
def test_the_sum_is_the_duration(tmp_path: Path, seconds: float) -> None:
    samples = round(seconds * RATE_HZ)
    sides = [voice(tmp_path, 334, side)[:samples] for side in (0, 1)]
    speech, track = measured(both(sides[0], sides[1]))
    assert total_ms(speech) == round(samples * 1000 / RATE_HZ)
    assert len(track) == -(-samples * 20 // RATE_HZ)
    assert speech.longest_silence_ms <= speech.silence_ms


def test_the_result_does_not_depend_on_the_blocks(tmp_path: Path) -> None:
    """Ends of blocks, and of the stretches that are decided at once, change nothing."""
    sound = both(voice(tmp_path, 500, 0), voice(tmp_path, 500, 1))
    whole = measured(sound, block=len(sound))
    assert whole[0].outside_ms > 100_000
    for block_ms in (25, 1775, 2400, 90_000):
        assert measured(sound, block=block_ms * 8) == whole


def test_memory_stays_flat() -> None:
    """After three hours the meter holds no more than after one."""
    meter = SpeechMeter(samples=3 * 3600 * RATE_HZ, rate_hz=RATE_HZ, per_second=1)
    held, block = [], np.stack([noise(60)] * 2, axis=1)
    for minute in range(180):
        meter.take(block)
        if minute % 60 == 59:
            held.append(sum(part.nbytes for part in meter._sums))
    assert max(held) < 200_000


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_wideband_speaks_alike(tmp_path: Path, rate_hz: int) -> None:
    narrow = both(voice(tmp_path, 60, 0), voice(tmp_path, 60, 1))
    wide = np.repeat(narrow, rate_hz // RATE_HZ, axis=0)
    assert measured(wide, rate_hz=rate_hz) == measured(narrow)


def test_short_gaps_are_speech_and_clicks_are_none() -> None:
    told = np.zeros((2, 100), np.bool_)
    told[0, [*range(10, 20), *range(30, 40), *range(95, 100)]] = True  # a gap of 0.25 s, a word at the end
    told[1, [*range(2), 50, *range(70, 74)]] = True  # two clicks, a short word
    closed = without_gaps(told)
    assert np.flatnonzero(closed[0]).tolist() == [*range(10, 40), *range(95, 100)]
    assert np.flatnonzero(closed[1]).tolist() == list(range(70, 74))


@pytest.mark.parametrize("layout", list(Layout))
def test_a_mixed_recording_tells_who_spoke(tmp_path: Path, layout: Layout) -> None:
    legs = [wav(voice(tmp_path, 60, side)) for side in (0, 1)]
    item = write_item(tmp_path / "item", legs[0], legs[1])
    mixed = mix(item, AudioFormat.WAV, layout)
    assert mixed.speech is not None
    assert min(mixed.speech.outside_ms, mixed.speech.employee_ms) > 15_000
    assert total_ms(mixed.speech) == mixed.duration_ms
    track = json.loads((item / mixed.peaks_file).read_text())["speech"]
    assert len(track) == 60 * 20 and {"1", "2"} <= set(track)


@pytest.mark.parametrize("missing", [OUTSIDE_LEG, EMPLOYEE_LEG])
def test_nobody_knows_what_a_missing_leg_said(tmp_path: Path, missing: str) -> None:
    leg = wav(voice(tmp_path, 10, 0))
    item = write_item(tmp_path / "item", leg, leg)
    (item / missing).unlink()
    mixed = mix(item, AudioFormat.WAV, Layout.STEREO)
    assert mixed.speech is None
    assert "speech" not in json.loads((item / mixed.peaks_file).read_text())
