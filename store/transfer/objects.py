"""Copies of all recordings in another store of objects, made while the installation works.

Recordings in buckets of domains stay there.

Objects are copied as they are stored, and read back: each recording must have the SHA-256 of the
index there. A journal names what was verified, so that a run that was killed goes on where it was,
and a later one copies what came in between. Nothing is deleted at the source; at the target only
what was copied before, and has been deleted by retention since.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Row, Select, and_, func, select

from fonoteka.core.errors import ConfigurationError, ObjectDamaged, ObjectMissing
from fonoteka.core.naming import PLACED, peaks_key
from store.database.schema import HAS_AUDIO, calls, domains, segments
from store.database.store import Store
from store.integrity.intact import intact_peaks, opened_intact
from store.objects.object_store import ObjectStore
from store.objects.set_aside import SET_ASIDE
from store.queries.audio import StoredAudio, stored_audio
from store.transfer.journal import MoveJournal

_ROWS_AT_A_TIME: Final = 200
_AT_ONCE: Final = 4
_DELETED_AT_A_TIME: Final = 20  # of one transaction, so that no other writer waits long
_PEAKS: Final = peaks_key("")
_IN_MAIN: Final = and_(HAS_AUDIO, segments.c.object_key.not_like(f"{PLACED}%"))

Progress = Callable[[int, int], None]
"""Called with the recordings that were looked at, and how many there are."""


@dataclass(kw_only=True, slots=True)
class Moved:
    """What was done. `lost` has the recordings that the source lacks, or has damaged."""

    copied: int = 0
    copied_bytes: int = 0
    present: int = 0
    deleted: int = 0
    lost: list[str] = field(default_factory=list)


async def move(
    store: Store, source: ObjectStore, target: ObjectStore, journal: Path, progress: Progress = lambda done, total: None
) -> Moved:
    """Copy all recordings of the index, until a look at all of them finds nothing new.

    Raises ConfigurationError if keys are replaced at the same time, and StoreError; call it again
    after that.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(store.objects.replacing())
        except BlockingIOError as error:
            raise ConfigurationError("`fonoteka keys`, a backup or another move runs: wait for its end") from error
        run = _Run(store, source, target, stack.enter_context(MoveJournal(journal)))
        await run.copy_all(progress)
        await run.copy_set_aside()
        await run.delete_what_has_expired()
        return run.moved


class _Run:
    """One run of `move`."""

    def __init__(self, store: Store, source: ObjectStore, target: ObjectStore, journal: MoveJournal) -> None:
        self._store, self._source, self._target, self._journal = store, source, target, journal
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._seen = set[str]()
        self.moved = Moved()

    async def copy_all(self, progress: Progress) -> None:
        """Copy until nothing is new; what arrives later than the last look is for the next run."""
        while True:
            done, new = 0, 0
            total = await _count(self._store)
            async for rows in _pages(self._store):
                fresh = [row for row in rows if row.object_key not in self._seen]
                ended = await asyncio.gather(*map(self._recording, fresh), return_exceptions=True)
                for error in filter(None, ended):
                    raise error
                done, new = done + len(rows), new + len(fresh)
                progress(done, max(done, total))
            if not new:
                return

    async def copy_set_aside(self) -> None:
        """Copy what `fonoteka verify` has set aside."""
        for key in await self._source.all_set_aside():
            await self._copy(f"{SET_ASIDE}/{key}")

    async def delete_what_has_expired(self) -> None:
        """Delete at the target what was copied and is no longer wanted."""
        aside = {f"{SET_ASIDE}/{key}" for key in await self._source.all_set_aside()}
        named = await _named(self._store)
        copied = sorted(key for key in self._journal.copied - aside if hash(key.removesuffix(_PEAKS)) not in named)
        there = [key for key in copied if await self._target.exists(key)]
        for start in range(0, len(there), _DELETED_AT_A_TIME):
            keys = there[start : start + _DELETED_AT_A_TIME]
            async with self._store.writing() as connection:  # no recording is stored meanwhile
                await connection.execute(select(domains.c.id).order_by(domains.c.id).with_for_update(key_share=True))
                of_keys = segments.c.object_key.in_([key.removesuffix(_PEAKS) for key in keys])
                kept = set((await connection.execute(select(segments.c.object_key).where(of_keys, HAS_AUDIO))).scalars())
                unwanted = [key for key in keys if key.removesuffix(_PEAKS) not in kept]
                await self._target.delete_all(unwanted)
            self.moved.deleted += len(unwanted)

    async def _recording(self, row: Row[Any]) -> None:
        """Copy a recording and its peaks, and read them back."""
        key = row.object_key
        async with self._slots:
            is_new = [await self._copy(each) for each in (key, peaks_key(key))]
            if any(is_new) or key not in self._journal.verified:
                try:
                    await self._read_back(row)
                except (ObjectMissing, ObjectDamaged) as error:
                    if await _is_wanted(self._store, row):
                        self.moved.lost.append(str(error))
        self._seen.add(key)

    async def _read_back(self, row: Row[Any]) -> None:
        """Compare a copy with the index; copy it once more if it is damaged, and not new."""
        audio = stored_audio(row)
        if row.removed_at is None or not audio.encrypted:  # the removal of a domain destroys its keys
            try:
                await _check(self._target, audio)
            except (ObjectMissing, ObjectDamaged):
                for key in (audio.object_key, peaks_key(audio.object_key)):
                    await self._copy(key, again=True)
                await _check(self._target, audio)
        self._journal.note_verified(audio.object_key)

    async def _copy(self, key: str, *, again: bool = False) -> bool:
        """Copy an object as it is; return False if it is there already, or nowhere."""
        begun, there = await self._source.beginning(key), await self._target.beginning(key)
        if begun is None:
            return False
        self._journal.note_copied(key)
        if not again and there is not None and (there.size, there.header) == (begun.size, begun.header):
            self.moved.present += 1
            return False
        try:
            stored = await self._source.open_stored(key)
        except ObjectMissing:  # deleted meanwhile
            return False
        async with self._target.copy_in(key, stored) as draft:
            await self._target.publish(draft)
        self.moved.copied += 1
        self.moved.copied_bytes += begun.size
        return True


async def _check(objects: ObjectStore, audio: StoredAudio) -> None:
    (await opened_intact(objects, audio)).close()
    await intact_peaks(objects, audio)


async def _pages(store: Store) -> AsyncIterator[Sequence[Row[Any]]]:
    after = 0
    while True:
        async with store.reading() as connection:
            query = _stored().where(segments.c.id > after).order_by(segments.c.id).limit(_ROWS_AT_A_TIME)
            rows = (await connection.execute(query)).all()
        if not rows:
            return
        yield rows
        after = rows[-1].id


def _stored() -> Select[Any]:
    query: Select[Any] = select(*segments.c, domains.c.removed_at).join(calls, calls.c.id == segments.c.call_id)
    return query.join(domains, domains.c.id == calls.c.domain_id).where(_IN_MAIN)


async def _named(store: Store) -> set[int]:
    """Return the hashes of the keys of all audio: eight bytes each, however long the keys are."""
    async with store.reading() as connection:
        rows = await connection.stream(select(segments.c.object_key).where(HAS_AUDIO))
        return {hash(row.object_key) async for row in rows}


async def _count(store: Store) -> int:
    async with store.reading() as connection:
        return int((await connection.execute(select(func.count()).select_from(segments).where(_IN_MAIN))).scalar_one())


async def _is_wanted(store: Store, row: Row[Any]) -> bool:
    """Whether the index still names a recording."""
    query = select(segments.c.id).where(segments.c.id == row.id, segments.c.object_key == row.object_key, HAS_AUDIO)
    async with store.reading() as connection:
        return (await connection.execute(query)).first() is not None
