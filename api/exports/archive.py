"""Send the recordings of a selection as a ZIP archive while it is made; only file names are kept.

Audio is stored without further compression. A damaged or missing recording does not break the
archive: `index.csv`, its last file, has a row for each call, with the name of the audio file or the
reason why there is none.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Final
from zoneinfo import ZoneInfo

import structlog
from zipstream import ZipStream

from api.audio.cache import AudioCache
from api.audio.conversion import conversion
from api.exports.columns import Row, has_audio, row
from api.exports.csv_format import line, titles
from api.exports.labels import Words
from fonoteka.core.errors import ObjectDamaged, ObjectMissing, StoreError
from fonoteka.core.naming import archived_name
from store.integrity.intact import IntactObjects, opened_intact
from store.queries.audio import StoredAudio
from store.queries.calls import SeenCall

INDEX: Final = "index.csv"
_BLOCK: Final = 256 * 1024

log = structlog.get_logger()


@dataclass(kw_only=True, slots=True, eq=False)
class Archive:
    """An archive that is being sent; `recordings` counts its audio files.

    `index` is an empty file; the caller closes it.
    """

    intact: IntactObjects
    cache: AudioCache
    zone: ZoneInfo
    words: Words
    report_damage: Callable[[str, ObjectMissing | ObjectDamaged], Awaitable[None]]
    index: IO[bytes]
    recordings: int = 0
    _zip: ZipStream = field(default_factory=lambda: ZipStream(sized=False))
    _names: Counter[str] = field(default_factory=Counter)

    async def pieces(self, calls: AsyncIterator[Sequence[tuple[SeenCall, Sequence[StoredAudio]]]]) -> AsyncIterator[bytes]:
        """Yield the archive's bytes. Raises StoreError if the index fails, and ends incomplete."""
        self.index.write(titles(self.words, self.words.file, self.words.no_file))
        async for batch in calls:
            for seen, parts in batch:
                async for piece in self._call(seen, parts):
                    yield piece
        size = self.index.tell()
        self.index.seek(0)
        self._zip.add(file_blocks(self.index), INDEX, size=size)
        async for piece in pulled(self._zip.finalize()):
            yield piece

    async def _call(self, seen: SeenCall, parts: Sequence[StoredAudio]) -> AsyncIterator[bytes]:
        name, reason = "", ""
        if not parts or not has_audio(seen):
            reason = self._row(seen).recording
        else:
            try:
                file, extension = await self._open(seen, parts)
            except StoreError as error:
                log.error("recording.not_exported", call=seen.public_id, error=str(error))
                if isinstance(error, ObjectMissing | ObjectDamaged):
                    await self.report_damage(seen.public_id, error)
                reason = self.words.object_missing if isinstance(error, ObjectMissing) else self.words.object_damaged
            else:
                with file:
                    name = self._name(seen, extension)
                    self._zip.add(file_blocks(file), name, size=size_of(file))
                    async for piece in pulled(self._zip.all_files()):
                        yield piece
                self.recordings += 1
        self.index.write(line(self._row(seen), self.words, name, reason))

    async def _open(self, seen: SeenCall, parts: Sequence[StoredAudio]) -> tuple[IO[bytes], str]:
        """Return the open audio file of a call, and its extension. Raises StoreError."""
        target = conversion(seen.public_id, self.intact, parts, parts[0].format)
        if target.make is None:
            return await opened_intact(self.intact.objects, target.stored), target.extension
        for part in parts:
            (await opened_intact(self.intact.objects, part)).close()
        return await self.cache.get(target.file, target.make, owner=self, check=target.check), target.extension

    def _name(self, seen: SeenCall, extension: str) -> str:
        name = archived_name(seen.started_at.astimezone(self.zone), seen.src, seen.dst)
        self._names[name] += 1
        return f"{name}.{extension}" if self._names[name] == 1 else f"{name}_{self._names[name]}.{extension}"

    def _row(self, seen: SeenCall) -> Row:
        return row(seen, self.zone, self.words)


def size_of(file: IO[bytes]) -> int:
    """Return the size of a file, and go to its beginning."""
    size = file.seek(0, 2)
    file.seek(0)
    return size


def file_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the rest of a file."""
    while block := file.read(_BLOCK):
        yield block


async def pulled(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Run a generator that reads files in a thread, a block at a time."""
    source = iter(pieces)
    while block := await asyncio.to_thread(_next_block, source):
        yield block


def _next_block(source: Iterator[bytes]) -> bytes:
    block: list[bytes] = []
    size = 0
    for piece in source:
        block.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            break
    return b"".join(block)
