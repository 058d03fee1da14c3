"""The recordings of a domain, moved to the place that its setting `objects` names.

Each is copied as it is stored, and read back; then its row names the new key. The old objects are
deleted last, when nobody reads them any more. A journal has the old and the new keys, so that a run
that was killed leaves nothing behind that the next one does not delete.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.errors import ConfigurationError, ObjectDamaged, ObjectMissing, StoreError
from fonoteka.core.naming import PLACED, peaks_key, place_of, placed_key
from store.database.object_places import place_for, places_of
from store.database.schema import HAS_AUDIO, calls, domains, object_places, segments
from store.database.store import Store
from store.integrity.intact import intact_peaks, opened_intact
from store.queries.audio import stored_audio
from store.retention.object_locks import settle_locks
from store.transfer.journal import MoveJournal

_ROWS_AT_A_TIME: Final = 200
_AT_ONCE: Final = 4
_DELETED_AT_A_TIME: Final = 20  # of one transaction, so that no other writer waits long
# Players and exports that have read an old key from the index open the object within this time.
OLD_OBJECTS_STAY_S: Final = 60.0
_PEAKS: Final = peaks_key("")

Progress = Callable[[int, int], None]
"""Called with the recordings that were looked at, and how many there are."""


@dataclass(kw_only=True, slots=True)
class DomainMoved:
    """What was done. `lost` has the recordings that are missing or damaged where they are.

    `emptied` are the addresses of buckets that nothing needs any more.
    """

    moved: int = 0
    moved_bytes: int = 0
    deleted: int = 0
    lost: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)


async def move_domain(
    store: Store, domain: str, progress: Progress = lambda done, total: None, *, old_objects_stay_s: float = OLD_OBJECTS_STAY_S
) -> DomainMoved:
    """Move the recordings of a domain; the service may work meanwhile.

    Raises ConfigurationError if there is no such domain, or keys are replaced at the same time, and
    StoreError; call it again after that.
    """
    async with store.reading() as connection:
        named = select(domains.c.id).where(domains.c.name == domain, domains.c.removed_at.is_(None))
        if (domain_id := (await connection.execute(named)).scalar()) is None:
            raise ConfigurationError(f"--domain = {domain!r}: there is no such domain")
        place = await place_for(connection, domain_id)
    journal = store.objects.workspace.with_name(f"{store.objects.workspace.name}-move-domain-{domain_id}.log")
    with ExitStack() as stack:
        try:
            stack.enter_context(store.objects.replacing())
        except BlockingIOError as error:
            raise ConfigurationError("`fonoteka keys`, a backup or another move runs: wait for its end") from error
        run = _Run(store, domain_id, place, stack.enter_context(MoveJournal(journal)))
        await run.delete_what_nobody_names()
        await run.move_all(progress)
        if run.moved.moved:
            await settle_locks(store)  # the new objects, before the old ones are unlocked and deleted
            await asyncio.sleep(old_objects_stay_s)
        await run.delete_what_nobody_names()
        await run.forget_empty_buckets()
    journal.unlink()
    return run.moved


class _Run:
    """One run of `move_domain`."""

    def __init__(self, store: Store, domain_id: int, place: int | None, journal: MoveJournal) -> None:
        self._store, self._objects = store, store.objects
        self._domain_id, self._place, self._journal = domain_id, place, journal
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self.moved = DomainMoved()

    async def move_all(self, progress: Progress) -> None:
        """Move what is elsewhere; new recordings do not come there."""
        done = after = 0
        total = await self._count()
        while rows := await self._page(after):
            after = rows[-1].id
            ended = await asyncio.gather(*map(self._recording, rows), return_exceptions=True)
            for error in filter(None, ended):
                raise error
            done += len(rows)
            progress(done, max(done, total))

    async def delete_what_nobody_names(self) -> None:
        """Delete old and new objects of the journal that are no row's."""
        async with self._store.reading() as connection:
            unnamed = await _unnamed(connection, sorted(self._journal.copied))
        for start in range(0, len(unnamed), _DELETED_AT_A_TIME):
            there = [key for key in unnamed[start : start + _DELETED_AT_A_TIME] if await self._objects.exists(key)]
            async with self._store.writing() as connection:  # no recording is stored meanwhile
                locked = select(domains.c.id).where(domains.c.id == self._domain_id)
                await connection.execute(locked.with_for_update(key_share=True))
                unwanted = await _unnamed(connection, there)
                await self._objects.delete_all(unwanted)
            self.moved.deleted += len(unwanted)

    async def forget_empty_buckets(self) -> None:
        """Forget the domain's other places in which nothing is left."""
        from store.objects import place_mark  # the S3 client takes half a second to import

        async with self._store.reading() as connection:
            others = [place for place in await places_of(connection, self._domain_id) if place != self._place]
        for place in others:
            of_place = segments.c.object_key.startswith(placed_key(place, ""), autoescape=True)
            async with self._store.reading() as connection:
                is_named = (await connection.execute(select(segments.c.id).where(of_place).limit(1))).first() is not None
                address = (
                    await connection.execute(select(object_places.c.objects).where(object_places.c.id == place))
                ).scalar_one()
            try:
                if is_named or not await asyncio.to_thread(place_mark.is_empty, address, self._store.section):
                    continue
            except StoreError:  # it is asked again by the next run
                continue
            is_unused = select(domains.c.id).where(domains.c.id == self._domain_id, domains.c.objects.is_distinct_from(address))
            async with self._store.writing() as connection:
                gone = delete(object_places).where(object_places.c.id == place, is_unused.exists())
                if (await connection.execute(gone)).rowcount:
                    self.moved.emptied.append(address)

    async def _recording(self, row: Row[Any]) -> None:
        """Move a recording and its peaks; one that is missing or damaged stays where it is."""
        key = placed_key(self._place, place_of(row.object_key)[1])
        async with self._slots:
            try:
                for old, new in ((row.object_key, key), (peaks_key(row.object_key), peaks_key(key))):
                    await self._copy(old, new)
                audio = replace(stored_audio(row), object_key=key)
                (await opened_intact(self._objects, audio)).close()
                await intact_peaks(self._objects, audio)
            except (ObjectMissing, ObjectDamaged) as error:
                if await self._is_there(row):
                    self.moved.lost.append(str(error))
                return
            async with self._store.writing() as connection:
                named = update(segments).where(_same(row)).values(object_key=key)
                is_moved = (await connection.execute(named)).rowcount == 1
        if is_moved:
            self.moved.moved += 1
            self.moved.moved_bytes += row.size_bytes

    async def _copy(self, old: str, new: str) -> None:
        """Copy an object as it is stored. Raises ObjectMissing."""
        self._journal.note_copied(old)
        self._journal.note_copied(new)
        async with self._objects.copy_in(new, await self._objects.open_stored(old)) as draft:
            await self._objects.publish(draft)

    async def _is_there(self, row: Row[Any]) -> bool:
        async with self._store.reading() as connection:
            return (await connection.execute(select(segments.c.id).where(_same(row)))).first() is not None

    async def _page(self, after: int) -> Sequence[Row[Any]]:
        query: Select[Any] = select(*segments.c).join(calls, calls.c.id == segments.c.call_id)
        query = query.where(self._is_elsewhere(), segments.c.id > after).order_by(segments.c.id).limit(_ROWS_AT_A_TIME)
        async with self._store.reading() as connection:
            return list((await connection.execute(query)).all())

    async def _count(self) -> int:
        query = select(func.count()).select_from(segments).join(calls, calls.c.id == segments.c.call_id)
        async with self._store.reading() as connection:
            return int((await connection.execute(query.where(self._is_elsewhere()))).scalar_one())

    def _is_elsewhere(self) -> ColumnElement[bool]:
        prefix = PLACED if self._place is None else placed_key(self._place, "")
        is_at = segments.c.object_key.startswith(prefix, autoescape=True)
        return and_(calls.c.domain_id == self._domain_id, HAS_AUDIO, is_at if self._place is None else ~is_at)


async def _unnamed(connection: AsyncConnection, keys: Sequence[str]) -> list[str]:
    """Return the keys, of audio and of peaks, that are no segment's."""
    found = list[str]()
    for start in range(0, len(keys), _ROWS_AT_A_TIME):
        some = keys[start : start + _ROWS_AT_A_TIME]
        is_named = segments.c.object_key.in_({key.removesuffix(_PEAKS) for key in some})
        named = set((await connection.execute(select(segments.c.object_key).where(is_named))).scalars())
        found += [key for key in some if key.removesuffix(_PEAKS) not in named]
    return found


def _same(row: Row[Any]) -> ColumnElement[bool]:
    """Whether a row still is what was copied: neither expired nor with other peaks."""
    same_peaks = segments.c.peaks_sha256.is_not_distinct_from(row.peaks_sha256)
    return and_(segments.c.id == row.id, segments.c.object_key == row.object_key, HAS_AUDIO, same_peaks)
