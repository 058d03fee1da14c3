"""Encryption of recordings that are stored already: of plain ones, and under new keys.

Each recording is a step of its own, and the index says which ones are done, so that a run that was
killed goes on where it was. The API reads and writes recordings meanwhile. Nothing is destroyed
before everything that needs it is encrypted under a newer key.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, Row, Select, func, or_, select, true, update

from fonoteka.core.errors import ConfigurationError, ObjectDamaged, ObjectMissing, StoreError
from fonoteka.core.naming import peaks_key
from store.audit.write import OPERATOR, write_entry
from store.database.domain_keys import destroy_old_versions
from store.database.schema import HAS_AUDIO, calls, domain_keys, domains, encryption, segments
from store.database.store import Store
from store.encryption.data_key import DataKey
from store.selection.scope import Scope

_RECORDINGS_AT_A_TIME: Final = 100
# A recording that is being stored may have a key for so long before the index has it.
OLD_KEYS_STAY_S: Final = 60.0

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a domain is; `failed` recordings could not be read and stay as they are."""

    domain: str
    done: int
    total: int
    failed: int


Report = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class DomainStatus:
    """The keys and recordings of a domain. `plain` recordings are not encrypted."""

    name: str
    is_removed: bool
    versions: tuple[int, ...]
    encrypted: int
    plain: int


async def status(store: Store) -> list[DomainStatus]:
    """Return the keys and recordings of all domains that have any."""
    keys_of = select(domain_keys.c.domain_id, domain_keys.c.version).order_by(domain_keys.c.version)
    is_plain = segments.c.key_version.is_(None)
    counts = select(calls.c.domain_id, is_plain.label("plain"), func.count().label("count"))
    counts = counts.join(segments, segments.c.call_id == calls.c.id).where(HAS_AUDIO)
    async with store.reading() as connection:
        versions = dict[int, list[int]]()
        for row in await connection.execute(keys_of):
            versions.setdefault(row.domain_id, []).append(row.version)
        stored = {
            (row.domain_id, bool(row.plain)): row[2] for row in await connection.execute(counts.group_by("domain_id", "plain"))
        }
        rows = (await connection.execute(select(domains.c.id, domains.c.name, domains.c.removed_at).order_by(domains.c.id))).all()
    return [
        DomainStatus(
            name=row.name,
            is_removed=row.removed_at is not None,
            versions=tuple(versions.get(row.id, ())),
            encrypted=stored.get((row.id, False), 0),
            plain=stored.get((row.id, True), 0),
        )
        for row in rows
        if row.id in versions or (row.id, True) in stored
    ]


async def encrypt_existing(store: Store, report: Report) -> int:
    """Encrypt from now on, and what is plain; return how many recordings could not be read.

    Recordings of removed domains stay plain until they expire. Raises StoreError and
    ConfigurationError.
    """
    with _alone(store):
        await store.keys.begin()
        return sum([await _encrypt_domain(store, domain, report) for domain in await _present_domains(store)])


async def rotate(store: Store, report: Report, *, old_keys_stay_s: float = OLD_KEYS_STAY_S) -> int:
    """Give each domain a new key, encrypt its recordings under it, and destroy the old keys.

    Returns how many recordings could not be read: their domains keep the old keys. Raises
    StoreError, also if the rotation must be run again to destroy an old key, and ConfigurationError
    if recordings are not encrypted.
    """
    with _alone(store):
        began_at = await _begin_rotation(store)
        rotated = await _present_domains(store)
        for domain in rotated:
            await _new_version(store, domain.id, began_at)
            await _encrypt_domain(store, domain, report)
        await _wait_for_writers(store, old_keys_stay_s)
        failed, late = 0, list[str]()
        for domain in rotated:
            unreadable = await _encrypt_domain(store, domain, report)  # stored meanwhile, or not readable
            failed += unreadable
            if not await _destroy_old_keys(store, domain) and not unreadable:
                late.append(domain.name)
        if late:
            raise StoreError(f"old keys of {', '.join(late)} stay, as a recording came late: run `fonoteka keys rotate` again")
        async with store.writing() as connection:
            await connection.execute(update(encryption).values(rotation_began_at=None))
        return failed


async def confirm_recovery(store: Store, now: datetime) -> None:
    """Note that an operator has a backup of the master key."""
    async with store.writing() as connection:
        await connection.execute(update(encryption).values(confirmed_at=now))


async def _begin_rotation(store: Store) -> datetime:
    """Return when the rotation began: an earlier run's time if that run did not end."""
    state = await store.keys.state()
    if state is None:
        raise ConfigurationError("recordings are not encrypted: run `fonoteka keys encrypt-existing` first")
    if state.rotation_began_at is not None:
        return state.rotation_began_at
    now = datetime.now(UTC)
    async with store.writing() as connection:
        await connection.execute(update(encryption).values(rotation_began_at=now))
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


async def _new_version(store: Store, domain_id: int, began_at: datetime) -> None:
    """Make a version of the domain's key, unless this rotation has made it already."""
    newest = select(domain_keys).where(domain_keys.c.domain_id == domain_id).order_by(domain_keys.c.version.desc()).limit(1)
    async with store.reading() as connection:
        row = (await connection.execute(newest)).first()
    if row is not None and row.made_at < began_at:
        await store.keys.add_version(domain_id, row.version + 1)


async def _destroy_old_keys(store: Store, domain: Row[Any]) -> bool:
    """Destroy a domain's old keys, and tell the audit; return False if a recording needs one."""
    async with store.writing() as connection:
        destroyed = await destroy_old_versions(connection, domain.id)
        if destroyed:
            scope, detail = Scope(domain_id=domain.id, login=None), {"versions": list(destroyed)}
            now = datetime.now(UTC)
            await write_entry(connection, scope, OPERATOR, action="keys_rotated", subject=domain.name, detail=detail, now=now)
    return destroyed is not None


async def _wait_for_writers(store: Store, old_keys_stay_s: float) -> None:
    """Wait until no recording can be on its way under a key older than the newest keys."""
    newest = select(func.max(domain_keys.c.made_at, type_=domain_keys.c.made_at.type))
    async with store.reading() as connection:
        made_at = (await connection.execute(newest)).scalar()
    if made_at is not None:
        left_s = (made_at + timedelta(seconds=old_keys_stay_s) - datetime.now(UTC)).total_seconds()
        await asyncio.sleep(min(left_s, old_keys_stay_s))  # not longer, if the clock was set back


async def _present_domains(store: Store) -> Sequence[Row[Any]]:
    query: Select[Any] = select(domains.c.id, domains.c.name).where(domains.c.removed_at.is_(None)).order_by(domains.c.id)
    async with store.reading() as connection:
        return list((await connection.execute(query)).all())


async def _count(store: Store, domain_id: int, condition: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(_stored(domain_id).where(condition).subquery())
    async with store.reading() as connection:
        return int((await connection.execute(query)).scalar_one())


def _stored(domain_id: int) -> Select[Any]:
    """Select the recordings of a domain that have an object."""
    query: Select[Any] = select(segments.c.id, segments.c.object_key, segments.c.sha256)
    query = query.join(calls, calls.c.id == segments.c.call_id)
    return query.where(calls.c.domain_id == domain_id, HAS_AUDIO)


async def _encrypt_domain(store: Store, domain: Row[Any], report: Report) -> int:
    """Encrypt the recordings of a domain that are not under its newest key; return the failures.

    A domain without recordings gets no key.
    """
    key = await store.keys.current(domain.id) if await _count(store, domain.id, true()) else None
    if key is None or not (total := await _count(store, domain.id, other := _not_under(key))):
        return 0
    done = failed = after = 0
    while rows := await _page(store, domain.id, other, after):
        after = rows[-1].id
        for row in rows:
            failed += not await _encrypt_recording(store, row, key)
            done += 1
            report(Progress(domain=domain.name, done=done, total=max(total, done), failed=failed))
    return failed


def _not_under(key: DataKey) -> ColumnElement[bool]:
    return or_(segments.c.key_version.is_(None), segments.c.key_version != key.version)


async def _page(store: Store, domain_id: int, condition: ColumnElement[bool], after: int) -> list[Row[Any]]:
    query = _stored(domain_id).where(condition, segments.c.id > after).order_by(segments.c.id)
    async with store.reading() as connection:
        return list((await connection.execute(query.limit(_RECORDINGS_AT_A_TIME))).all())


async def _encrypt_recording(store: Store, row: Row[Any], key: DataKey) -> bool:
    """Encrypt a recording and its peaks; return False if they cannot be read.

    A missing object may come back, with a disk that is not mounted: it needs the old key then.
    """
    for name, sha256 in ((row.object_key, row.sha256), (peaks_key(row.object_key), None)):
        try:
            await store.objects.encrypt(name, key, sha256=sha256)
        except (ObjectMissing, ObjectDamaged) as error:
            log.error("recording.not_encrypted", reason=str(error))
            return False
    is_row = (segments.c.id == row.id) & (segments.c.object_key == row.object_key) & HAS_AUDIO
    async with store.writing() as connection:
        done = await connection.execute(update(segments).where(is_row).values(key_version=key.version))
        kept = select(segments.c.id).where(segments.c.id == row.id, segments.c.expired_at.is_(None))
        is_kept = done.rowcount or (await connection.execute(kept)).first() is not None
    if not is_kept:  # deleted meanwhile: a bucket may have it again
        await store.objects.delete_all([row.object_key, peaks_key(row.object_key)])
    return True


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Keep a second run away, and delete what a killed one left. Raises ConfigurationError."""
    with ExitStack() as stack:
        try:
            stack.enter_context(store.objects.replacing())
        except BlockingIOError as error:
            raise ConfigurationError("another `fonoteka keys` runs: wait for its end") from error
        yield
