"""Decide in which frames of a side somebody speaks, from two sums per frame. Pure NumPy.

A frame of 25 ms has its energy and how alike it is to itself one sample later, which tells voiced
from hissing sounds without a spectrum. Speech is loud against the quietest moments
around it, alternates between the two kinds of sound and pauses several times in three seconds;
noise and music do that less, tones not at all. The weights are a logistic regression on the half
of the voices and pieces of music of `bench/voice_corpus.py`; decision 40 has the error rates.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FRAMES_PER_SECOND: Final = 40
CONTEXT: Final = 400  # frames on either side that a decision may depend on: 10 s

Frames = NDArray[np.float32]
"""A value of each frame of each side, shape (sides, frames); several: (values, sides, frames)."""

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


def sums(sound: NDArray[np.float32]) -> Frames:
    """Return two sums of each frame: of the squares, and of the products of neighbouring samples.

    The shape of `sound` is (sides, frames, samples of a frame), at 8 kHz and full scale 32,768.
    """
    return np.array([np.vecdot(sound, sound), np.vecdot(sound[..., 1:], sound[..., :-1])])


def spoken(means: Frames) -> NDArray[np.bool_]:
    """Return in which frames of each side somebody speaks, from their `sums` for one sample."""
    features = measured(means)
    rows = np.array([features[name] for name in _WEIGHTS])
    weights = np.array([*_WEIGHTS.values()], np.float32)
    score = _BIAS + (weights @ rows.reshape(len(rows), -1)).reshape(rows.shape[1:])
    return without_gaps((score > 0) & (features["level"] > 0) & (features["steady"] < _TONE))


def measured(means: Frames) -> dict[str, Frames]:
    """Return the features of each frame by their names, from its `sums` for one sample."""
    energy, once_later = means
    kinds = np.array([10 * np.log10(energy + 1), once_later / (energy + 1)])
    (db, likeness), (step, turn) = kinds, np.abs(kinds - _with_edges(kinds, 1, -1))
    floor = np.maximum(_quietest_around(db), _QUIETEST_DB)
    sound = db > floor + _LOUDER_DB
    voiced = sound * likeness
    steady = sound & (step < _STEADY_DB) & (turn < _STEADY_LIKENESS)
    totals = _totals(energy, voiced, voiced * likeness, db, sound, sound * turn, steady)
    energy_short, voiced_short, spread, db_short, sounds = _means(_SHORT_WINDOW, totals[:5])
    db_long, sounds_long, turn_long, steady_long = _means(_LONG_WINDOW, totals[3:])
    (quiet,) = _means(_SHORT_WINDOW, _totals(energy < _QUIET * energy_short))
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
    around = _LONGEST_GAP + 1  # so that silence at the ends of a side is no gap
    padded = np.zeros((len(speech), speech.shape[1] + 2 * around), np.bool_)
    padded[:, around:-around] = speech
    row = padded.ravel()
    edges = np.flatnonzero(row[1:] != row[:-1])  # before a word, before a gap, before a word …
    gaps = _longer(edges[1:-1], _LONGEST_GAP)
    words = _longer(np.concatenate([edges[:1], gaps, edges[-1:]]), _SHORTEST - 1)
    row[:] = False
    row[words + 1] = True
    return np.logical_xor.accumulate(row).reshape(padded.shape)[:, around:-around]


def _longer(stretches: NDArray[np.intp], frames: int) -> NDArray[np.intp]:
    """Return the stretches of more frames than that: the begin of each, then its end."""
    pairs = stretches.reshape(-1, 2)
    return pairs[pairs[:, 1] - pairs[:, 0] > frames].ravel()


def _quietest_around(db: Frames) -> Frames:
    """Return the quietest eighth of a second within 5 s on either side of each second."""
    frames = db.shape[1]
    (smooth,) = _means(_EIGHTH, _totals(db))
    quietest = np.minimum.reduceat(smooth, np.arange(0, frames, FRAMES_PER_SECOND), axis=1)
    around = np.arange(quietest.shape[1])[:, np.newaxis] + np.arange(-_FLOOR_S, _FLOOR_S + 1)
    lowest = quietest.take(around, axis=1, mode="clip").min(axis=2)
    return np.repeat(lowest, FRAMES_PER_SECOND, axis=1)[:, :frames]


def _totals(*values: NDArray[Any]) -> NDArray[np.float64]:
    """Return running totals of each value; beyond the ends, the nearest frame counts."""
    half = _LONG_WINDOW // 2
    return _with_edges(np.array(values, np.float64), half + 1, half).cumsum(axis=2)


def _means(frames: int, totals: NDArray[np.float64]) -> Frames:
    """Return the mean of each value in a window of this length around each frame."""
    first, count = (_LONG_WINDOW - frames) // 2, totals.shape[2] - _LONG_WINDOW
    window = totals[..., first + frames :][..., :count] - totals[..., first:][..., :count]
    return window.astype(np.float32) / np.float32(frames)


def _with_edges(values: NDArray[Any], before: int, after: int) -> NDArray[Any]:
    """Repeat the first frame `before` times and the last frame `after` times."""
    # A tenth of the time that np.pad takes for short recordings.
    return values.take(np.arange(-before, values.shape[-1] + after), axis=-1, mode="clip")
