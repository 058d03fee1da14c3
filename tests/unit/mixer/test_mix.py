"""Mix two real legs and decode the file: channels, length, level, and reports of damage."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fonoteka.core.call_report import MutedSpan, Reason
from fonoteka.core.errors import AudioError
from fonoteka.core.manifest import AudioFormat, Layout
from mixer.mix import mix_legs
from tests.support.legs import (
    EMPLOYEE_HZ,
    EMPLOYEE_LEG,
    OUTSIDE_HZ,
    OUTSIDE_LEG,
    copies,
    header,
    hear,
    mix,
    talk,
    tone,
    wav,
    write_item,
)

OPUS, MP3, FLAC, WAV = AudioFormat.OPUS, AudioFormat.MP3, AudioFormat.FLAC, AudioFormat.WAV
STEREO, MONO = Layout.STEREO, Layout.MONO


@pytest.mark.parametrize("rate_hz", [8000, 16000])
@pytest.mark.parametrize("audio_format", AudioFormat)
def test_outside_is_left_and_employee_right(tmp_path: Path, audio_format: AudioFormat, rate_hz: int) -> None:
    outside, employee = (wav(tone(hz, 2 * rate_hz, rate_hz), rate_hz) for hz in (OUTSIDE_HZ, EMPLOYEE_HZ))
    mixed = mix(write_item(tmp_path / "item", outside, employee), audio_format, STEREO)
    heard = hear(tmp_path / "item" / mixed.audio_file)
    assert heard.sound.shape[0] == 2
    assert heard.loudest_hz(0) == pytest.approx(OUTSIDE_HZ, abs=2)
    assert heard.loudest_hz(1) == pytest.approx(EMPLOYEE_HZ, abs=2)
    assert heard.level_db(0, EMPLOYEE_HZ) < -30, "the employee leaks into the left side"
    assert heard.level_db(1, OUTSIDE_HZ) < -30, "the outside party leaks into the right side"
    assert mixed.rate_hz == rate_hz


@pytest.mark.parametrize("audio_format", AudioFormat)
def test_mono_holds_both(tmp_path: Path, audio_format: AudioFormat) -> None:
    mixed = mix(write_item(tmp_path / "item", *talk(2.0)), audio_format, MONO)
    heard = hear(tmp_path / "item" / mixed.audio_file)
    assert heard.sound.shape[0] == 1
    assert heard.level_db(0, OUTSIDE_HZ) > -3
    assert heard.level_db(0, EMPLOYEE_HZ) > -3
    assert heard.level_db(0, 1500) < -30


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("rate_hz", [8000, 16000])
@pytest.mark.parametrize("audio_format", AudioFormat)
@pytest.mark.parametrize("samples", [1000, 4800, 9599, 80001])
def test_length_is_exact(tmp_path: Path, audio_format: AudioFormat, layout: Layout, rate_hz: int, samples: int) -> None:
    leg = wav(tone(OUTSIDE_HZ, samples, rate_hz), rate_hz)
    mixed = mix(write_item(tmp_path / "item", leg, leg), audio_format, layout)
    heard = hear(tmp_path / "item" / mixed.audio_file)
    assert heard.sound.shape[1] == samples * heard.rate_hz // rate_hz
    assert mixed.duration_ms == round(samples * 1000 / rate_hz)


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("audio_format", AudioFormat)
@pytest.mark.parametrize(
    ("leg_hz", "rate_hz"), [(11025, 12000), (12000, 12000), (24000, 24000), (32000, 48000), (44100, 48000), (48000, 48000)]
)
def test_rates_that_asterisk_seldom_writes(
    tmp_path: Path, audio_format: AudioFormat, layout: Layout, leg_hz: int, rate_hz: int
) -> None:
    leg = wav(tone(OUTSIDE_HZ, leg_hz, leg_hz), leg_hz)
    mixed = mix(write_item(tmp_path / "item", leg, leg), audio_format, layout)
    heard = hear(tmp_path / "item" / mixed.audio_file)
    assert (mixed.rate_hz, mixed.duration_ms) == (rate_hz, 1000)
    assert heard.seconds == 1.0
    assert heard.loudest_hz(0) == pytest.approx(OUTSIDE_HZ, abs=2)


@pytest.mark.parametrize(("audio_format", "off_by_samples"), [(OPUS, 3), (MP3, 2), (FLAC, 0), (WAV, 0)])
def test_sound_is_when_it_was(tmp_path: Path, audio_format: AudioFormat, off_by_samples: int) -> None:
    """The right place on the timeline, by the lag at which the decoded noise fits the leg best."""
    rng = np.random.default_rng(7)
    noise = np.convolve(rng.normal(size=16000), np.hanning(9), "same")
    leg = np.zeros(40000, np.int16)
    leg[12000:28000] = (noise / np.abs(noise).max() * 12000).astype(np.int16)
    mixed = mix(write_item(tmp_path / "item", wav(leg), wav(leg)), audio_format, STEREO)
    heard = hear(tmp_path / "item" / mixed.audio_file)
    back = heard.sound[0, :: heard.rate_hz // 8000]
    fit = np.fft.irfft(np.fft.rfft(back) * np.conj(np.fft.rfft(leg.astype(np.float64))))
    lag = int(np.argmax(fit))
    assert min(lag, len(leg) - lag) <= off_by_samples


@pytest.mark.parametrize("audio_format", [FLAC, WAV])
@pytest.mark.parametrize("samples", [2, 3, 79, 401, 4801, 12345])
def test_lossless_is_bit_for_bit(tmp_path: Path, audio_format: AudioFormat, samples: int) -> None:
    rng = np.random.default_rng(samples)
    legs = rng.integers(-32768, 32767, (2, samples), np.int16, endpoint=True)
    mixed = mix(write_item(tmp_path / "item", wav(legs[0]), wav(legs[1])), audio_format, STEREO)
    heard = hear(tmp_path / "item" / mixed.audio_file)
    assert np.array_equal(np.rint(heard.sound * 32768).astype(np.int16), legs)


@pytest.mark.parametrize("short", [0, 1, 3000, 7999])
@pytest.mark.parametrize("shorter", ["outside", "employee"])
def test_the_shorter_leg_ends_in_silence(tmp_path: Path, shorter: str, short: int) -> None:
    long_leg, short_leg = tone(OUTSIDE_HZ, 8000), tone(EMPLOYEE_HZ, short)
    outside, employee = (short_leg, long_leg) if shorter == "outside" else (long_leg, short_leg)
    mixed = mix(write_item(tmp_path / "item", wav(outside), wav(employee)), WAV, STEREO)
    sound = np.rint(hear(tmp_path / "item" / mixed.audio_file).sound * 32768).astype(np.int16)
    expected = [np.pad(leg, (0, 8000 - len(leg))) for leg in (outside, employee)]
    assert np.array_equal(sound, expected)
    assert not mixed.salvaged


@pytest.mark.parametrize("low", ["outside", "employee"])
@pytest.mark.parametrize("audio_format", [FLAC, OPUS])
def test_the_lower_rate_is_brought_up(tmp_path: Path, audio_format: AudioFormat, low: str) -> None:
    narrow, wide = wav(tone(1000, 24000), 8000), wav(tone(1000, 48000, 16000), 16000)
    legs = (narrow, wide) if low == "outside" else (wide, narrow)
    mixed = mix(write_item(tmp_path / "item", *legs), audio_format, STEREO)
    heard = hear(tmp_path / "item" / mixed.audio_file)
    assert (mixed.rate_hz, mixed.duration_ms) == (16000, 3000)
    assert heard.sound.shape[1] == 3 * heard.rate_hz
    for channel in (0, 1):
        assert heard.loudest_hz(channel) == pytest.approx(1000, abs=1)
        assert heard.level_db(channel, 7000) < -40, "an image of the low rate is heard"
    if audio_format is FLAC:
        middle = slice(8000, 40000)  # in step to a fraction of a sample: the two tones cancel
        assert np.abs(heard.sound[0, middle] - heard.sound[1, middle]).max() < 0.005


@pytest.mark.parametrize("audio_format", AudioFormat)
@pytest.mark.parametrize(("talked_hz", "rate_hz"), [(8000, 8000), (16000, 16000), (None, 16000)])
def test_legs_of_16_khz_are_brought_down_to_what_was_talked(
    tmp_path: Path, audio_format: AudioFormat, talked_hz: int | None, rate_hz: int
) -> None:
    outside, employee = (wav(tone(hz, 48001, 16000), 16000) for hz in (OUTSIDE_HZ, EMPLOYEE_HZ))
    item = write_item(tmp_path / "item", outside, employee)
    mixed = mix_legs(item, OUTSIDE_LEG, EMPLOYEE_LEG, audio_format, STEREO, talked_hz).mixed
    heard = hear(item / mixed.audio_file)
    assert (mixed.rate_hz, mixed.duration_ms) == (rate_hz, 3000)
    assert heard.sound.shape[1] == -(-48001 * rate_hz // 16000) * heard.rate_hz // rate_hz
    assert heard.loudest_hz(0) == pytest.approx(OUTSIDE_HZ, abs=1)
    assert heard.loudest_hz(1) == pytest.approx(EMPLOYEE_HZ, abs=1)


@pytest.mark.parametrize("audio_format", AudioFormat)
@pytest.mark.parametrize("layout", Layout)
def test_what_is_muted_is_silent_and_nothing_else_is(tmp_path: Path, audio_format: AudioFormat, layout: Layout) -> None:
    """Spans within a block, across two blocks (4.8 s each), and beyond the end."""
    outside, employee = (wav(tone(hz, 5 * 8000)) for hz in (OUTSIDE_HZ, EMPLOYEE_HZ))
    item = write_item(tmp_path / "item", outside, employee)
    muted = [MutedSpan(from_ms=start, to_ms=end) for start, end in ((500, 1000), (2000, 3000), (4500, 9000))]
    mixed = mix_legs(item, OUTSIDE_LEG, EMPLOYEE_LEG, audio_format, layout, muted=muted).mixed
    heard = hear(item / mixed.audio_file)
    assert mixed.duration_ms == 5000
    for channel in heard.sound:
        loud = [np.abs(piece).max() > 0.02 for piece in np.array_split(channel[: 50 * (len(channel) // 50)], 50)]
        inner = {tenth: loud[tenth] for tenth in range(50) if tenth not in (4, 5, 9, 10, 19, 20, 29, 30, 44, 45)}
        assert inner == {tenth: not (5 < tenth < 9 or 20 < tenth < 29 or tenth > 45) for tenth in inner}


@pytest.mark.parametrize(
    ("left", "right", "loudest"),
    [
        pytest.param(32767, 32767, 32767, id="both at the top: turned down, not wrapped"),
        pytest.param(-32768, -32768, 32767, id="both at the bottom"),
        pytest.param(32767, -32768, 1, id="they cancel"),
        pytest.param(20000, 20000, 32767, id="the sum passes full scale"),
        pytest.param(9000, 9000, 18000, id="the sum fits: as it is"),
    ],
)
def test_mono_neither_wraps_nor_clips(tmp_path: Path, left: int, right: int, loudest: int) -> None:
    shape = np.concatenate([np.linspace(0, 1, 9000), np.linspace(1, 0, 9000)])
    legs = [np.rint(shape * level).astype(np.int16) for level in (left, right)]
    mixed = mix(write_item(tmp_path / "item", wav(legs[0]), wav(legs[1])), WAV, MONO)
    sound = np.rint(hear(tmp_path / "item" / mixed.audio_file).sound[0] * 32768)
    assert np.abs(sound).max() == loudest
    total: NDArray[np.float64] = legs[0].astype(np.float64) + legs[1]
    assert np.abs(sound - total * loudest / np.abs(total).max()).max() <= 1, "the shape is not that of the sum"


@pytest.mark.parametrize(
    ("outside", "employee", "seconds", "silent"),
    [
        pytest.param(header(0) + talk()[0][44:], talk()[1], 1.0, None, id="a header of 0"),
        pytest.param(header(0xFFFFFFFF) + talk()[0][44:], talk()[1], 1.0, None, id="a header of 0xFFFFFFFF"),
        pytest.param(header(99999) + talk()[0][44:8045], header(0) + talk()[1][44:8045], 0.5, None, id="both cut short"),
        pytest.param(None, talk()[1], 1.0, 0, id="outside leg missing"),
        pytest.param(talk()[0], None, 1.0, 1, id="employee leg missing"),
        pytest.param(b"\0" * 5000, talk()[1], 1.0, 0, id="outside leg is no audio"),
        pytest.param(talk()[0], b"RIFF", 1.0, 1, id="employee leg is a piece of a header"),
    ],
)
def test_damage_is_salvaged_and_reported(
    tmp_path: Path, outside: bytes | None, employee: bytes | None, seconds: float, silent: int | None
) -> None:
    write_item(tmp_path / "item", outside, employee)
    mixture = mix_legs(tmp_path / "item", OUTSIDE_LEG, EMPLOYEE_LEG, FLAC, STEREO)
    heard = hear(tmp_path / "item" / mixture.mixed.audio_file)
    assert heard.seconds == seconds
    assert mixture.mixed.salvaged
    assert mixture.troubles
    for channel, hz in ((0, OUTSIDE_HZ), (1, EMPLOYEE_HZ)):
        if channel == silent:
            assert np.abs(heard.sound[channel]).max() == 0
        else:
            assert heard.loudest_hz(channel) == pytest.approx(hz, abs=3)


@pytest.mark.parametrize(
    ("outside", "employee", "reason"),
    [
        pytest.param(header(0), header(0), Reason.NO_AUDIO, id="two bare headers"),
        pytest.param(wav(tone(1, 1)), wav(tone(1, 1)), Reason.NO_AUDIO, id="one sample each"),
        pytest.param(b"", b"", Reason.NO_AUDIO, id="two empty files"),
        pytest.param(None, None, Reason.NO_AUDIO, id="both missing"),
        pytest.param(None, header(0), Reason.NO_AUDIO, id="one missing, one bare"),
        pytest.param(b"nonsense" * 99, b"nonsense" * 99, Reason.AUDIO_DAMAGED, id="two that are no audio"),
        pytest.param(b"nonsense" * 99, header(0), Reason.AUDIO_DAMAGED, id="one that is no audio, one bare"),
    ],
)
def test_nothing_to_hear_is_an_error(tmp_path: Path, outside: bytes | None, employee: bytes | None, reason: Reason) -> None:
    item = write_item(tmp_path / "item", outside, employee)
    before = sorted(path.name for path in item.iterdir())
    with pytest.raises(AudioError) as caught:
        mix(item, OPUS, STEREO)
    assert caught.value.reason is reason
    assert sorted(path.name for path in item.iterdir()) == before


@pytest.mark.parametrize("audio_format", AudioFormat)
def test_again_gives_the_same_bytes(tmp_path: Path, audio_format: AudioFormat) -> None:
    item = write_item(tmp_path / "item", *talk(3.0))
    once = mix(item, audio_format, STEREO)
    files = copies(item, [once.audio_file, once.peaks_file])
    (item / f".{once.audio_file}.1.new").write_bytes(b"of a worker that was killed")
    again = mix(item, audio_format, STEREO)
    assert (again, copies(item, [again.audio_file, again.peaks_file])) == (once, files)
    assert {path.name for path in item.iterdir()} == {
        "manifest.json",
        OUTSIDE_LEG,
        EMPLOYEE_LEG,
        once.audio_file,
        once.peaks_file,
    }


@pytest.mark.parametrize("audio_format", AudioFormat)
def test_checksum_size_and_tags(tmp_path: Path, audio_format: AudioFormat) -> None:
    item = write_item(tmp_path / "item", *talk(1.0))
    mixed = mix(item, audio_format, STEREO)
    written = (item / mixed.audio_file).read_bytes()
    assert (mixed.sha256, mixed.size_bytes) == (hashlib.sha256(written).hexdigest(), len(written))
    assert hear(item / mixed.audio_file).tags == {}
    assert b"89131234567" not in written
