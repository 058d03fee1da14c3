"""Legs as crashes leave them: what the header says against what is there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fonoteka.core.call_report import Reason
from fonoteka.core.errors import AudioError
from mixer.wav_header import WavShape, read_header
from tests.support.legs import header, tone, wav

AUDIO = tone(440, 1000).tobytes()  # 2,000 bytes
WHOLE = wav(np.frombuffer(AUDIO, np.int16))
NOTE = b"LIST" + (6).to_bytes(4, "little") + b"INFO.."
NOT_TRUE, TOO_MUCH = "the header says there is no audio", "the header says more audio than there is"
CUT, HALF = "the header is cut off", "half a sample at the end"


@pytest.mark.parametrize(
    ("octets", "rate_hz", "offset_bytes", "samples", "damage"),
    [
        pytest.param(WHOLE, 8000, 44, 1000, None, id="whole"),
        pytest.param(header(2000, 16000) + AUDIO, 16000, 44, 1000, None, id="wav16"),
        pytest.param(header(0), 8000, 44, 0, None, id="bare header: nothing was said"),
        pytest.param(header(0) + AUDIO, 8000, 44, 1000, NOT_TRUE, id="size 0: Asterisk was killed"),
        pytest.param(header(0) + AUDIO[:1999], 8000, 44, 999, NOT_TRUE, id="size 0 and half a sample"),
        pytest.param(header(0xFFFFFFFF) + AUDIO, 8000, 44, 1000, TOO_MUCH, id="size 0xFFFFFFFF"),
        pytest.param(header(4000) + AUDIO, 8000, 44, 1000, TOO_MUCH, id="more than there is"),
        pytest.param(header(2000) + AUDIO[:1500], 8000, 44, 750, TOO_MUCH, id="the end was lost"),
        pytest.param(header(2000) + AUDIO[:1501], 8000, 44, 750, TOO_MUCH, id="the end was lost, within a sample"),
        pytest.param(header(1999) + AUDIO[:1999], 8000, 44, 999, HALF, id="odd size"),
        pytest.param(WHOLE + NOTE, 8000, 44, 1000, None, id="a chunk after the audio"),
        pytest.param(WHOLE[:36] + NOTE + WHOLE[36:], 8000, 58, 1000, None, id="a chunk before the audio"),
        pytest.param(WHOLE[:43], 8000, 43, 0, CUT, id="cut in the size of the audio"),
        pytest.param(WHOLE[:20], None, 20, 0, CUT, id="cut before the rate"),
        pytest.param(WHOLE[:3], None, 3, 0, CUT, id="cut in the first word"),
        pytest.param(b"", None, 0, 0, CUT, id="empty file"),
    ],
)
def test_the_length_is_what_is_there(
    octets: bytes, rate_hz: int | None, offset_bytes: int, samples: int, damage: str | None
) -> None:
    shape = read_header(octets[:4096], len(octets))
    assert shape == WavShape(rate_hz=rate_hz, offset_bytes=offset_bytes, samples=samples, damage=damage)


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        pytest.param(b"\0" * 3000, "not a WAV file", id="zeros"),
        pytest.param(b"OggS" + AUDIO, "not a WAV file", id="something else"),
        pytest.param(b"MZ", "not a WAV file", id="something else and short"),
        pytest.param(header(2000, channels=2) + AUDIO, "not 16-bit mono PCM", id="stereo"),
        pytest.param(header(2000, bits=8) + AUDIO, "not 16-bit mono PCM", id="8 bits"),
        pytest.param(header(2000, coding=49) + AUDIO, "not 16-bit mono PCM", id="GSM (Asterisk's wav49)"),
        pytest.param(header(2000, rate_hz=0) + AUDIO, "a sampling rate of 0 Hz", id="rate 0"),
        pytest.param(WHOLE[:12] + WHOLE[36:], "the WAV header gives no format before its audio", id="no format"),
        pytest.param(WHOLE[:36] + b"\0" * 5000, "the WAV header names no audio", id="no audio chunk in all its length"),
    ],
)
def test_what_is_no_leg_is_told(octets: bytes, said: str) -> None:
    with pytest.raises(AudioError, match=said) as caught:
        read_header(octets[:4096], len(octets))
    assert caught.value.reason is Reason.AUDIO_DAMAGED


@given(st.binary(max_size=60), st.integers(0, 60), st.booleans())
def test_any_bytes_are_a_leg_within_the_file_or_an_audio_error(octets: bytes, at: int, replaces: bool) -> None:
    """Anything in the place of a header, or in the middle of it."""
    spoiled = WHOLE[:at] + octets + WHOLE[at + len(octets) if replaces else at :]
    for file in (octets, spoiled):
        try:
            shape = read_header(file[:4096], len(file))
        except AudioError as error:
            assert error.reason == Reason.AUDIO_DAMAGED
        else:
            assert shape.samples >= 0
            assert shape.samples == 0 or shape.offset_bytes + 2 * shape.samples <= len(file)
