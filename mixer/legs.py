"""A leg: the audio of one side of a talk, as a WAV file that Asterisk wrote."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fonoteka.core.call_report import Reason
from fonoteka.core.errors import AudioError
from fonoteka.core.plain_file import NotAFile, open_plain
from mixer.wav_header import HEAD_BYTES, read_header

Samples = NDArray[np.int16]
"""One channel: shape (n,). Or a block of the recording: shape (n, channels)."""

SAMPLE: Final = np.dtype("<i2")
_UNKNOWN_RATE_HZ: Final = 8_000  # of a leg without a sample: nothing is read at it


@dataclass(frozen=True, kw_only=True, slots=True)
class Leg:
    """Where the samples of a leg are.

    `trouble` says what was wrong with the file (the length was salvaged, or the leg is silent).
    `hopeless` is the reason why nothing could be read; such a leg has no samples.
    """

    path: Path
    rate_hz: int
    offset_bytes: int
    samples: int
    trouble: str | None = None
    hopeless: Reason | None = None

    def length_at(self, rate_hz: int) -> int:
        """Return the number of samples at another rate, rounded up."""
        return -(-self.samples * rate_hz // self.rate_hz)

    def blocks(self, block_samples: int) -> Iterator[Samples]:
        """Yield the samples, at most `block_samples` at a time.

        Ends early if the file became shorter meanwhile.
        """
        left = self.samples
        if not left:
            return
        with open_plain(self.path) as file:
            file.seek(self.offset_bytes)
            while left > 0:
                octets = file.read(min(left, block_samples) * SAMPLE.itemsize)
                block = np.frombuffer(octets, SAMPLE, len(octets) // SAMPLE.itemsize)
                if not len(block):
                    return
                left -= len(block)
                yield block


def open_leg(path: Path) -> Leg:
    """Read the header of a leg.

    A leg that is missing or is no audio becomes a silent leg with its `trouble`: the other side may
    be intact. Raises AudioError if something else than a file is in its place: Asterisk writes
    files, so that was put there, and an operator ought to look.
    """
    try:
        with open_plain(path) as file:
            shape = read_header(file.read(HEAD_BYTES), os.fstat(file.fileno()).st_size)
    except NotAFile as error:
        raise AudioError(Reason.AUDIO_DAMAGED, str(error)) from error
    except FileNotFoundError:
        return _silent(path, "missing", Reason.NO_AUDIO)
    except AudioError as error:
        return _silent(path, str(error), error.reason)
    return Leg(
        path=path,
        rate_hz=shape.rate_hz or _UNKNOWN_RATE_HZ,
        offset_bytes=shape.offset_bytes,
        samples=shape.samples,
        trouble=shape.damage and f"{path.name}: {shape.damage}",
    )


def _silent(path: Path, trouble: str, reason: Reason) -> Leg:
    return Leg(
        path=path,
        rate_hz=_UNKNOWN_RATE_HZ,
        offset_bytes=0,
        samples=0,
        trouble=f"{path.name}: {trouble}",
        hopeless=reason,
    )
