"""`fonoteka verify` makes the peaks of a recording again."""

import json
import wave
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.speech import write_leg
from fonoteka.cli.verify import peaks_of
from fonoteka.core.manifest import AudioFormat, Layout
from mixer.speech import SpeechMeter
from store.queries.audio import StoredAudio

RATE_HZ, SECONDS = 8000, 31


def stored(layout: Layout) -> StoredAudio:
    return StoredAudio(
        segment="s",
        user="152",
        started_at=datetime(2026, 11, 1, tzinfo=UTC),
        object_key="x.wav",
        sha256="",
        size_bytes=0,
        peaks_sha256=None,
        format=AudioFormat.WAV,
        layout=layout,
        rate_hz=RATE_HZ,
        duration_ms=SECONDS * 1000,
        encrypted=False,
    )


def wav(sound: NDArray[np.int16]) -> BytesIO:
    file = BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((sound.shape[1], 2, RATE_HZ, 0, "NONE", ""))
        written.writeframes(sound.tobytes())
    file.seek(0)
    return file


@pytest.mark.parametrize(
    ("layout", "tells_speech", "is_told"),
    [(Layout.STEREO, True, True), (Layout.STEREO, False, False), (Layout.MONO, True, False)],
    ids=["stereo", "a leg was missing", "mono"],
)
def test_peaks_made_again_tell_who_spoke(tmp_path: Path, layout: Layout, tells_speech: bool, is_told: bool) -> None:
    for side in (0, 1):
        write_leg(tmp_path / f"{side}.wav", SECONDS, side)
    sides = np.stack([np.frombuffer((tmp_path / f"{side}.wav").read_bytes()[44:], np.int16) for side in (0, 1)], axis=1)
    meter = SpeechMeter(samples=len(sides), rate_hz=RATE_HZ, per_second=20)
    meter.take(sides)
    _, track = meter.finish()
    assert {"1", "2"} <= set(track)
    sound = sides if layout is Layout.STEREO else sides[:, :1]
    made = json.loads(peaks_of(wav(sound), stored(layout), tells_speech))
    assert made.get("speech", "") == (track if is_told else "")
    assert len(made["left"]) == 20 * SECONDS
