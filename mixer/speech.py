"""Measure who speaks when, while the blocks are encoded.

The decision about a frame needs 10 s on either side of it, so it is made for 100 s at once:
meanwhile the sums of the frames are kept, not their sound. The result does not depend on the length
of the blocks, and memory does not depend on the length of the recording.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fonoteka.core.manifest import Speech
from mixer.legs import Samples
from mixer.voice_detector import CONTEXT, FRAMES_PER_SECOND, Frames, spoken, sums

_AT_ONCE: Final = 100 * FRAMES_PER_SECOND
_FRAME_MS: Final = 1000 // FRAMES_PER_SECOND
_TELEPHONE_HZ: Final = 8000  # the rate that the detector knows
_OUTSIDE, _EMPLOYEE, _BOTH = 1, 2, 3


class SpeechMeter:
    """Add up who speaks: the outside party in the left channel, the employee in the right one.

    `per_second` is the resolution of the track, that of the waveform.
    """

    def __init__(self, *, samples: int, rate_hz: int, per_second: int) -> None:
        self._frame = rate_hz // FRAMES_PER_SECOND
        self._decimation = max(1, rate_hz // _TELEPHONE_HZ)
        self._samples = self._frame // self._decimation
        self._sums: list[Frames] = []
        self._waiting, self._context = 0, 0  # frames not decided, and decided ones before them
        self._duration_ms = round(samples * 1000 / rate_hz)
        self._frames_per_point = FRAMES_PER_SECOND // per_second
        self._track = np.zeros(-(-samples * per_second // rate_hz), np.uint8)
        self._decided = 0
        self._frames = np.zeros(4, np.int64)  # in silence, of either side alone, of both
        self._first_word: int | None = None
        self._silence, self._longest_silence = 0, 0

    def take(self, block: Samples) -> None:
        """Measure a block of both sides, shape (n, 2).

        The length of every block but the last must be a multiple of 1/40 s. A shorter frame at the
        very end counts as silence.
        """
        frames = len(block) // self._frame
        if not frames:
            return
        sound = block[: frames * self._frame].T.astype(np.float32, order="C")
        if self._decimation > 1:  # ten times as fast as the mean of the last axis
            sound = np.mean([sound[:, first :: self._decimation] for first in range(self._decimation)], axis=0)
        self._sums.append(sums(sound.reshape(2, frames, -1)))
        self._waiting += frames
        if self._waiting >= _AT_ONCE + CONTEXT + FRAMES_PER_SECOND:
            # Whole seconds, since the detector looks for the quietest moment of each.
            self._decide((self._waiting - CONTEXT) // FRAMES_PER_SECOND * FRAMES_PER_SECOND)

    def finish(self) -> tuple[Speech, str]:
        """Return who spoke for how long, and the track: one digit for each point of the waveform.

        0 is silence, 1 the outside party, 2 the employee, 3 both.
        """
        if self._waiting:
            self._decide(self._waiting)
        _, outside, employee, both = (self._frames * _FRAME_MS).tolist()
        silence_ms = self._duration_ms - outside - employee - both
        # The rest of a frame at the end belongs to the last silence.
        last_silence_ms = self._duration_ms - (self._decided - self._silence) * _FRAME_MS
        speech = Speech(
            outside_ms=outside + both,
            employee_ms=employee + both,
            overlap_ms=both,
            silence_ms=silence_ms,
            longest_silence_ms=max(self._longest_silence * _FRAME_MS, last_silence_ms),
            first_word_ms=None if self._first_word is None else self._first_word * _FRAME_MS,
        )
        return speech, (self._track + ord("0")).tobytes().decode("ascii")

    def _decide(self, frames: int) -> None:
        """Decide the next frames, and keep what later decisions depend on."""
        sums_of_frames = np.concatenate(self._sums, axis=2)
        end = self._context + frames
        outside, employee = spoken(sums_of_frames / np.float32(self._samples))[:, self._context : end]
        self._tally(outside * np.uint8(_OUTSIDE) | employee * np.uint8(_EMPLOYEE))
        begin = max(0, end - CONTEXT)
        self._sums = [sums_of_frames[..., begin:].copy()]
        self._context, self._waiting = end - begin, self._waiting - frames

    def _tally(self, speakers: NDArray[np.uint8]) -> None:
        points = np.bitwise_or.reduceat(speakers, np.arange(0, len(speakers), self._frames_per_point))
        first = self._decided // self._frames_per_point  # whole seconds, so a point begins here
        self._track[first : first + len(points)] = points
        self._frames += np.bincount(speakers, minlength=_BOTH + 1)
        words = np.flatnonzero(speakers)
        if len(words) and self._first_word is None:
            self._first_word = self._decided + int(words[0])
        ends = np.concatenate([[-1 - self._silence], words, [len(speakers)]])
        distances = ends[1:] - ends[:-1]
        self._longest_silence = max(self._longest_silence, int(distances.max()) - 1)
        self._silence = int(distances[-1]) - 1
        self._decided += len(speakers)
