"""Decide how the recordings of a call become one file: as stored, or joined and converted."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from api.audio.cache import Check, Make, nothing_to_check
from api.audio.join import Source, write_joined
from fonoteka.core.errors import ObjectMissing
from fonoteka.core.manifest import AudioFormat, Layout
from store.intake.one_sound import Piece
from store.integrity.intact import IntactObjects
from store.objects.copies import copy_name
from store.queries.audio import StoredAudio, sound_of

EXTENSIONS: Final = {AudioFormat.OPUS: "ogg", AudioFormat.MP3: "mp3", AudioFormat.FLAC: "flac", AudioFormat.WAV: "wav"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """How to make a file. `key` identifies its bytes; `make` is None if `stored` is the file.

    `call` is the public id of the call, whose copies are deleted with its audio; `check` raises
    ObjectMissing if stored audio was deleted meanwhile.
    """

    call: str
    key: str
    stored: StoredAudio
    make: Make | None
    extension: str
    check: Check = field(default=nothing_to_check)

    @property
    def file(self) -> str:
        """The file's name in the cache."""
        return copy_name(self.call, self.key, self.extension)


def conversion(call: str, intact: IntactObjects, parts: Sequence[StoredAudio], target: AudioFormat) -> Conversion:
    """Return how the parts of a call become one file."""
    extension, heard = EXTENSIONS[target], sound_of(parts).pieces
    first = parts[heard[0].segment]
    if len(heard) == 1 and first.format is target:
        return Conversion(call=call, key=first.sha256, stored=first, make=None, extension=extension)
    sources = [_source(intact, parts[piece.segment], piece) for piece in heard]
    key = hashlib.sha256(" ".join([target, *(_identity(parts[piece.segment], piece) for piece in heard)]).encode()).hexdigest()
    layout = Layout.STEREO if any(part.layout is Layout.STEREO for part in parts) else Layout.MONO
    rate_hz = max(part.rate_hz for part in parts)
    make = partial(write_joined, sources, audio_format=target, layout=layout, rate_hz=rate_hz)
    check = partial(_check_stored, intact, [part.object_key for part in parts])
    return Conversion(call=call, key=key, stored=first, make=make, extension=extension, check=check)


async def _check_stored(intact: IntactObjects, keys: Sequence[str]) -> None:
    for key in keys:
        if not await intact.objects.exists(key):
            raise ObjectMissing(f"{key} does not exist")


def _source(intact: IntactObjects, part: StoredAudio, piece: Piece) -> Source:
    return Source(open=intact.opener(part), format=part.format, piece=piece)


def _identity(part: StoredAudio, piece: Piece) -> str:
    return f"{part.sha256}+{piece.from_ms}+{piece.duration_ms}@{piece.offset_ms}"
