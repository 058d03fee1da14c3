"""How what somebody may hear of a call becomes one file: as it is stored, or joined and converted."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from api.audio.cache import Make
from api.audio.join import Source, write_joined
from fonoteka.core.manifest import AudioFormat, Layout
from store.queries.audio import StoredAudio

EXTENSIONS: Final = {AudioFormat.OPUS: "ogg", AudioFormat.MP3: "mp3", AudioFormat.FLAC: "flac", AudioFormat.WAV: "wav"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """`key` tells this audio from any other, as long as its bytes are the same; `make` is None where it is stored so."""

    key: str
    make: Make | None
    extension: str

    @property
    def file(self) -> str:
        """Its name in the cache."""
        return f"{self.key}.{self.extension}"


def recipe(where: Callable[[str], Path], parts: Sequence[StoredAudio], wanted: AudioFormat) -> Recipe:
    """One or more parts as one file of a format; `where` tells where an object lies."""
    extension = EXTENSIONS[wanted]
    if len(parts) == 1 and parts[0].format is wanted:
        return Recipe(key=parts[0].sha256, make=None, extension=extension)
    sources = [Source(path=where(part.object_key), format=part.format, duration_ms=part.duration_ms) for part in parts]
    key = hashlib.sha256(" ".join([wanted, *(part.sha256 for part in parts)]).encode()).hexdigest()
    layout = Layout.STEREO if any(part.layout is Layout.STEREO for part in parts) else Layout.MONO
    rate_hz = max(part.rate_hz for part in parts)
    make = partial(write_joined, sources, audio_format=wanted, layout=layout, rate_hz=rate_hz)
    return Recipe(key=key, make=make, extension=extension)
