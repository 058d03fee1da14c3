"""The recordings of a selection as a ZIP: sent while it is made, nothing of it held but the names.

The sound is stored as it is, being compressed already. What is damaged or gone does not break the archive: `index.csv`, the
last file in it, has a row for each call, with the file's name or the reason why there is none.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final
from zoneinfo import ZoneInfo

import structlog
from zipstream import ZipStream

from api.audio.cache import AudioCache
from api.audio.conversion import recipe
from api.exports.columns import Row, has_audio, row
from api.exports.csv_format import line, titles
from api.exports.labels import Words
from fonoteka.core.errors import ObjectDamaged, ObjectMissing, StoreError
from fonoteka.core.naming import archived_name
from store.objects.folder import ObjectFolder
from store.queries.audio import StoredAudio
from store.queries.calls import SeenCall

INDEX: Final = "index.csv"
_BLOCK: Final = 256 * 1024

log = structlog.get_logger()


@dataclass(kw_only=True, slots=True, eq=False)
class Archive:
    """An archive on its way. `index` is an empty file that the caller closes; `recordings` counts what is in the archive."""

    objects: ObjectFolder
    cache: AudioCache
    zone: ZoneInfo
    words: Words
    index: IO[bytes]
    recordings: int = 0
    _zip: ZipStream = field(default_factory=lambda: ZipStream(sized=False))
    _names: Counter[str] = field(default_factory=Counter)

    async def pieces(self, calls: AsyncIterator[Sequence[tuple[SeenCall, Sequence[StoredAudio]]]]) -> AsyncIterator[bytes]:
        """The archive's bytes. Raises StoreError where the index fails (and the archive then has no end)."""
        self.index.write(titles(self.words, self.words.file, self.words.no_file))
        async for some in calls:
            for seen, parts in some:
                async for piece in self._call(seen, parts):
                    yield piece
        size = self.index.tell()
        self.index.seek(0)
        self._zip.add(_blocks(self.index), INDEX, size=size)
        async for piece in _pulled(self._zip.finalize()):
            yield piece

    async def _call(self, seen: SeenCall, parts: Sequence[StoredAudio]) -> AsyncIterator[bytes]:
        name, why = "", ""
        if not parts or not has_audio(seen):
            why = self._row(seen).recording
        else:
            try:
                file, extension = await self._opened(parts)
            except StoreError as error:
                log.error("recording_not_exported", call=seen.public_id, error=str(error))
                why = self.words.object_missing if isinstance(error, ObjectMissing) else self.words.object_damaged
            else:
                with file:
                    name = self._name(seen, extension)
                    self._zip.add(_blocks(file), name, size=_size(file))
                    async for piece in _pulled(self._zip.all_files()):
                        yield piece
                self.recordings += 1
        self.index.write(line(self._row(seen), self.words, name, why))

    async def _opened(self, parts: Sequence[StoredAudio]) -> tuple[IO[bytes], str]:
        """The sound of a call, to be closed by the caller, and its extension. Raises StoreError."""
        how = recipe(self.objects.path, parts, parts[0].format)
        if how.make is None:
            return await asyncio.to_thread(_intact, self.objects.path(parts[0].object_key), parts[0].sha256), how.extension
        for part in parts:
            (await asyncio.to_thread(_intact, self.objects.path(part.object_key), part.sha256)).close()
        while True:
            path = await self.cache.get(how.file, how.make, who=self)
            try:
                return await asyncio.to_thread(path.open, "rb"), how.extension
            except FileNotFoundError:  # another's took its place in the cache meanwhile
                continue

    def _name(self, seen: SeenCall, extension: str) -> str:
        name = archived_name(seen.started_at.astimezone(self.zone), seen.src, seen.dst)
        self._names[name] += 1
        return f"{name}.{extension}" if self._names[name] == 1 else f"{name}_{self._names[name]}.{extension}"

    def _row(self, seen: SeenCall) -> Row:
        return row(seen, self.zone, self.words)


def _intact(path: Path, sha256: str) -> IO[bytes]:
    """An object, opened, at its beginning. Raises ObjectMissing and ObjectDamaged."""
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise ObjectMissing(f"{path} is not there") from error
    except OSError as error:
        raise ObjectDamaged(f"{path} cannot be read: {error.strerror}") from error
    try:
        if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
            file.seek(0)
            return file
    except OSError as error:
        file.close()
        raise ObjectDamaged(f"{path} cannot be read: {error.strerror}") from error
    file.close()
    raise ObjectDamaged(f"{path} is not what was stored: its SHA-256 is another")


def _size(file: IO[bytes]) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


async def _pulled(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """What a generator that reads files gives, read in a thread, a good piece at a time."""
    source = iter(pieces)
    while piece := await asyncio.to_thread(_some, source):
        yield piece


def _some(source: Iterator[bytes]) -> bytes:
    together: list[bytes] = []
    size = 0
    for piece in source:
        together.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            break
    return b"".join(together)
