"""Decide in which frames of a side somebody speaks, from two sums per frame. Pure NumPy.

A frame of 25 ms has its energy and how alike it is to itself one sample later, which tells voiced
from hissing sounds without a spectrum. Speech is loud against the quietest moments
around it, alternates between the two kinds of sound and pauses several times in three seconds;
noise and music do that less, tones not at all. The weights are a logistic regression on the half
of the voices and pieces of music of `bench/voice_corpus.py`; decision 40 has the error rates.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

FRAMES_PER_SECOND: Final = 40
CONTEXT: Final = 400  # frames on either side that a decision may depend on: 10 s

Frames = NDArray[np.float32]
"""One value for each frame of each side: shape (sides, frames)."""

_QUIETEST_DB: Final = 20.0  # of a sample's square; full scale is 90: nothing below is a voice
_LOUDER_DB: Final = 6.0  # than the quietest moments around: a frame in which there is a sound
_STEADY_DB: Final = 1.0
_STEADY_LIKENESS: Final = 0.02
_SHORT_WINDOW: Final = 21  # frames: half a second
_LONG_WINDOW: Final = 121  # three seconds
_FLOOR_S: Final = 5
_EIGHTH: Final = 5  # an eighth of a second
_TONE: Final = 0.5  # more steady frames than this among those with sound: a tone
_ALMOST_NONE: Final = 1e-3  # of the frames: a window without a sound divides by it
_QUIET: Final = 0.3  # of the window's mean energy
_LONGEST_GAP: Final = 12  # frames: 0.3 s between two words belong to the speech
_SHORTEST: Final = 4  # frames: 0.1 s; a click is shorter
_BIAS: Final = -9.1751
_WEIGHTS: Final = {
    "level": 0.0555,
    "level_short": 0.2644,
    "level_long": -0.2185,
    "sounds": 2.6934,
    "quiet": 7.9037,
    "likeness": 4.7281,
    "likeness_spread": 5.3622,
    "turn": 9.0829,
    "steady": -11.0277,
}


def sums(sound: NDArray[np.float32]) -> tuple[Frames, Frames]:
    """Return the mean square of each frame, and the mean product of a sample with the next one.

    The shape of `sound` is (sides, frames, samples of a frame), at 8 kHz and full scale 32,768.
    """
    samples = np.float32(sound.shape[2])
    return np.vecdot(sound, sound) / samples, np.vecdot(sound[..., 1:], sound[..., :-1]) / samples


def spoken(energy: Frames, once_later: Frames) -> NDArray[np.bool_]:
    """Return in which frames of each side somebody speaks, from their `sums`."""
    features = measured(energy, once_later)
    score = np.full(energy.shape, _BIAS, np.float32)
    for name, weight in _WEIGHTS.items():
        score += np.float32(weight) * features[name]
    return without_gaps((score > 0) & (features["level"] > 0) & (features["steady"] < _TONE))


def measured(energy: Frames, once_later: Frames) -> dict[str, Frames]:
    """Return the features of each frame by their names."""
    db, likeness = 10 * np.log10(energy + 1), once_later / (energy + 1)
    floor = np.maximum(_quietest_around(db), _QUIETEST_DB)
    sound = (db > floor + _LOUDER_DB).astype(np.float32)
    voiced, turn = sound * likeness, _change(likeness)
    steady = sound * ((_change(db) < _STEADY_DB) & (turn < _STEADY_LIKENESS))
    short = _means(_SHORT_WINDOW, db, sound, energy, voiced, voiced * likeness)
    db_short, sounds, energy_short, voiced_short, spread = short
    db_long, sounds_long, turn_long, steady_long = _means(_LONG_WINDOW, db, sound, sound * turn, steady)
    quiet = _means(_SHORT_WINDOW, (energy < _QUIET * energy_short).astype(np.float32))[0]
    per_short, per_long = 1 / (sounds + _ALMOST_NONE), 1 / (sounds_long + _ALMOST_NONE)
    likeness_short = voiced_short * per_short
    return {
        "level": db - floor,
        "level_short": db_short - floor,
        "level_long": db_long - floor,
        "sounds": sounds,
        "quiet": quiet,
        "likeness": likeness_short,
        "likeness_spread": np.sqrt(np.maximum(spread * per_short - likeness_short**2, 0)),
        "turn": turn_long * per_long,
        "steady": steady_long * per_long,
    }


def without_gaps(speech: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the speech with short gaps closed and then short bursts left out."""
    around = _LONGEST_GAP + 1  # so that silence at the ends is no gap
    padded = np.zeros((len(speech), speech.shape[1] + 2 * around), np.bool_)
    padded[:, around:-around] = speech
    closed = ~_long_enough(~padded, _LONGEST_GAP + 1)
    return _long_enough(closed, _SHORTEST)[:, around:-around]


def _long_enough(true: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Return only the stretches of at least so many frames."""
    padded = np.zeros((len(true), true.shape[1] + 2), np.int8)
    padded[:, 1:-1] = true
    edges = (padded[:, 1:] - padded[:, :-1]).ravel()
    begins, ends = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
    short = ends - begins < least
    edges[begins[short]] = edges[ends[short]] = 0
    kept = np.cumsum(edges, dtype=np.int8).reshape(len(true), -1)[:, :-1]
    return kept.view(np.bool_)


def _quietest_around(db: Frames) -> Frames:
    """Return the quietest eighth of a second within 5 s on either side of each second."""
    smooth = _means(_EIGHTH, db)[0]
    frames, second = db.shape[1], FRAMES_PER_SECOND
    quietest = _with_edges(smooth, 0, -frames % second).reshape(len(db), -1, second).min(axis=2)
    around = _with_edges(quietest, _FLOOR_S, _FLOOR_S)
    shifted = [around[:, shift : shift + quietest.shape[1]] for shift in range(2 * _FLOOR_S + 1)]
    lowest: Frames = np.repeat(np.minimum.reduce(shifted), second, axis=1)[:, :frames]
    return lowest


def _means(frames: int, *values: Frames) -> Frames:
    """Return the mean of each value around each frame; beyond the ends the nearest frame counts."""
    half = frames // 2
    rows = np.concatenate(values)
    padded = _with_edges(rows, half + 1, half)
    total = np.cumsum(padded, axis=1, dtype=np.float64)
    means = (total[:, frames:] - total[:, :-frames]).astype(np.float32) / np.float32(frames)
    return means.reshape(len(values), *values[0].shape)


def _with_edges(rows: Frames, before: int, after: int) -> Frames:
    # A tenth of the time that np.pad takes for short recordings.
    return rows.take(np.arange(-before, rows.shape[1] + after), axis=1, mode="clip")


def _change(values: Frames) -> Frames:
    change = np.zeros_like(values)
    np.abs(values[:, 1:] - values[:, :-1], out=change[:, 1:])
    return change
