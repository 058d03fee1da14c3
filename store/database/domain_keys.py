"""The keys of domains in the index, wrapped by the master key.

Recordings are encrypted once the table `encryption` has its row: from the first start of a new
installation, or from `fonoteka keys encrypt-existing`. A process notices this by itself, and a new
master key too.
"""

import asyncio
import base64
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row, Select, delete, func, inspect, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError, IntakeDeferred, IntakeRefused, ObjectDamaged, StoreError
from store.database.dialect import engine_for, index_file, insert, lock_encryption
from store.database.schema import HAS_AUDIO, calls, domain_keys, domains, encryption, segments
from store.encryption.data_key import KEY_BYTES, DataKey
from store.encryption.master_key import LocalMasterKey, MasterKey, MasterKeySource

# A process may use a destroyed key for so long.
_REMEMBERED_S: Final = 60.0

Transaction = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


@dataclass(frozen=True, kw_only=True, slots=True)
class EncryptionState:
    """Since when recordings are encrypted, and under which master key."""

    master_key_id: str
    began_at: datetime
    confirmed_at: datetime | None
    rotation_began_at: datetime | None


class DomainKeys:
    """The data keys of domains: found for readers, made for writers."""

    def __init__(self, reading: Transaction, writing: Transaction, source: MasterKeySource) -> None:
        self.source = source
        self._reading, self._writing = reading, writing
        self._master: MasterKey | None = None
        self._found: dict[tuple[int, int], tuple[DataKey, float]] = {}

    async def check(self) -> None:
        """Load the master key if recordings are encrypted. Raises ConfigurationError."""
        async with self._reading() as connection:
            if not await connection.run_sync(lambda on: inspect(on).has_table(encryption.name)):
                return
            state = await read_state(connection)
        if state is not None:
            self._master = await asyncio.to_thread(self.source.load, state.master_key_id)

    async def state(self) -> EncryptionState | None:
        """Return the state of encryption; None if recordings are not encrypted."""
        async with self._reading() as connection:
            return await read_state(connection)

    async def begin_if_new(self) -> None:
        """Begin to encrypt if the index has no call yet. Raises ConfigurationError."""
        async with self._reading() as connection:
            if await read_state(connection) is not None or (await connection.execute(select(calls.c.id).limit(1))).first():
                return
        await self.begin()

    async def begin(self) -> None:
        """Encrypt new recordings from now on, under the master key of the source.

        What was being stored plain is in the index on return. Raises ConfigurationError.
        """
        master = await asyncio.to_thread(self.source.load_or_make)
        async with self._writing() as connection:
            await lock_encryption(connection, begins=True)
            row = {"id": 1, "master_key_id": master.id, "began_at": datetime.now(UTC)}
            await connection.execute(insert(connection.dialect, encryption).values(row).on_conflict_do_nothing())
        await self.check()

    async def current(self, domain_id: int) -> DataKey | None:
        """Return the newest key of a domain, made if there is none; None: store plain content.

        Raises IntakeRefused for a removed domain, whose keys are destroyed, and StoreError.
        """
        async with self._reading() as connection:
            state, row = await read_state(connection), await _newest(connection, domain_id)
        if state is None:
            return None
        master = await self._master_of(state)
        return await _unwrapped(master, row) if row is not None else await self.add_version(domain_id, 1)

    async def add_version(self, domain_id: int, version: int) -> DataKey:
        """Make a version of a domain's key, unless another process has made it.

        Raises IntakeRefused for a removed domain, and StoreError.
        """
        state = await self.state()
        assert state is not None
        master = await self._master_of(state)
        wrapped = await master.wrap(secrets.token_bytes(KEY_BYTES), _associated(domain_id, version))
        values = {"domain_id": domain_id, "version": version, "wrapped": _text(wrapped), "made_at": datetime.now(UTC)}
        async with self._writing() as connection:
            present = select(domains.c.id).where(domains.c.id == domain_id, domains.c.removed_at.is_(None))
            if (await connection.execute(present.with_for_update(key_share=True))).first() is None:
                raise IntakeRefused("the domain was removed, and its keys with it")
            if (await read_state(connection, lock=True)) != state:
                raise StoreError("the master key was replaced in this moment")
            await connection.execute(insert(connection.dialect, domain_keys).values(values).on_conflict_do_nothing())
            row = await _newest(connection, domain_id)
        assert row is not None
        return await _unwrapped(master, row)

    async def find(self, domain_id: int, version: int) -> DataKey:
        """Return a key to read with. Raises ObjectDamaged if it was destroyed, and StoreError."""
        key, until = self._found.get((domain_id, version), (None, 0.0))
        if key is not None and time.monotonic() < until:
            return key
        self._found.pop((domain_id, version), None)
        async with self._reading() as connection:
            state = await read_state(connection)
            row = (await connection.execute(_versions(domain_id).where(domain_keys.c.version == version))).first()
        if state is None or row is None:
            raise ObjectDamaged(f"the key {version} of domain {domain_id} was destroyed")
        key = await _unwrapped(await self._master_of(state), row)
        self._found[domain_id, version] = key, time.monotonic() + _REMEMBERED_S
        return key

    async def replace_master_key(self) -> None:
        """Wrap all keys by the draft's master key, then put it into place. Raises StoreError.

        Killed in between, the next run or the next start completes it.
        """
        new = await asyncio.to_thread(self.source.make_draft)
        async with self._writing() as connection:
            state = await read_state(connection, lock=True)
            assert state is not None
            await _wrap_again(connection, await self._master_of(state), new)
            values = {"master_key_id": new.id, "confirmed_at": None}
            await connection.execute(update(encryption).values(values))
        await asyncio.to_thread(self.source.publish_draft)
        self._master = new

    async def _master_of(self, state: EncryptionState) -> MasterKey:
        """Return the master key, read again if it was replaced. Raises StoreError."""
        if self._master is None or self._master.id != state.master_key_id:
            try:
                self._master = await asyncio.to_thread(self.source.load, state.master_key_id)
            except ConfigurationError as error:
                raise StoreError(str(error)) from error
        return self._master


async def recorded_state(section: StoreSection) -> EncryptionState | None:
    """Return the state in an index that is not opened as a store; None if it has none.

    Raises ConfigurationError and StoreError.
    """
    engine = engine_for(section.database, create=False)
    if (file := index_file(engine)) is not None and not file.exists():
        return None
    try:
        async with engine.connect() as connection:
            has_table = await connection.run_sync(lambda on: inspect(on).has_table(encryption.name))
            return await read_state(connection) if has_table else None
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(f"store.database cannot be read: {getattr(error, 'orig', None) or error}") from error
    finally:
        await engine.dispose()


async def read_state(connection: AsyncConnection, *, lock: bool = False) -> EncryptionState | None:
    """Return the state of encryption; with `lock` it stays until the transaction ends.

    None: recordings are not encrypted. Raises StoreError if the index has keys nevertheless.
    """
    query = select(encryption)
    row = (await connection.execute(query.with_for_update() if lock else query)).mappings().first()
    if row is not None:
        return EncryptionState(**{key: value for key, value in row.items() if key != "id"})
    if (await connection.execute(select(domain_keys.c.version).limit(1))).first() is not None:
        raise StoreError("the row of the table `encryption` is gone, but domains have keys: restore the index from its backup")
    return None


async def check_current(connection: AsyncConnection, domain_id: int, key: DataKey | None) -> None:
    """Check, in the transaction that writes a recording, that its key still exists.

    The key is then not destroyed before the transaction ends, nor does encryption begin if there is
    none. Raises IntakeDeferred.
    """
    if key is None:
        await lock_encryption(connection, begins=False)
        is_current = await read_state(connection) is None
    else:
        query = _versions(domain_id).where(domain_keys.c.version == key.version)
        is_current = key.domain_id == domain_id and (await connection.execute(query.with_for_update(read=True))).first() is not None
    if not is_current:
        raise IntakeDeferred("the key of the recording was replaced in this moment")


async def destroy_keys(connection: AsyncConnection, domain_id: int) -> int:
    """Destroy all keys of a domain in the caller's transaction; return their number.

    Its encrypted recordings can never be read again. Raises ConfigurationError, so that the
    transaction is rolled back, if calls are under legal hold.
    """
    of_domain = domain_keys.c.domain_id == domain_id
    count = (await connection.execute(delete(domain_keys).where(of_domain))).rowcount
    held = select(func.count()).select_from(calls).where(calls.c.domain_id == domain_id, calls.c.legal_hold)
    if count and (number := (await connection.execute(held)).scalar_one()):
        name = (await connection.execute(select(domains.c.name).where(domains.c.id == domain_id))).scalar()
        raise ConfigurationError(
            f"domain {name!r} cannot be removed: {number} of its calls are under legal hold, and its key would be "
            "destroyed; release them first, or leave the domain in the file"
        )
    return count


async def destroy_old_versions(connection: AsyncConnection, domain_id: int) -> Sequence[int] | None:
    """Destroy a domain's keys but for the newest, and return their versions.

    Returns None, and destroys none, if a recording still needs one of them.
    """
    *old, newest = sorted(row.version for row in await connection.execute(_versions(domain_id).with_for_update())) or [0]
    if not old:
        return ()
    needed = select(segments.c.id).join(calls, calls.c.id == segments.c.call_id)
    needed = needed.where(calls.c.domain_id == domain_id, HAS_AUDIO, segments.c.key_version < newest)
    if (await connection.execute(needed.limit(1))).first() is not None:
        return None
    is_old = (domain_keys.c.domain_id == domain_id) & (domain_keys.c.version < newest)
    await connection.execute(delete(domain_keys).where(is_old))
    return old


async def _wrap_again(connection: AsyncConnection, old: MasterKey, new: LocalMasterKey) -> None:
    for row in (await connection.execute(select(domain_keys).with_for_update())).all():
        associated = _associated(row.domain_id, row.version)
        wrapped = await new.wrap(await old.unwrap(base64.b64decode(row.wrapped), associated), associated)
        is_row = (domain_keys.c.domain_id == row.domain_id) & (domain_keys.c.version == row.version)
        await connection.execute(update(domain_keys).where(is_row).values(wrapped=_text(wrapped)))


async def _newest(connection: AsyncConnection, domain_id: int) -> Row[Any] | None:
    query = _versions(domain_id).order_by(domain_keys.c.version.desc()).limit(1)
    row: Row[Any] | None = (await connection.execute(query)).first()
    return row


def _versions(domain_id: int) -> Select[Any]:
    return select(domain_keys).where(domain_keys.c.domain_id == domain_id)


async def _unwrapped(master: MasterKey, row: Row[Any]) -> DataKey:
    secret = await master.unwrap(base64.b64decode(row.wrapped), _associated(row.domain_id, row.version))
    return DataKey(domain_id=row.domain_id, version=row.version, secret=secret)


def _associated(domain_id: int, version: int) -> bytes:
    return f"fonoteka data key 1\0{domain_id}\0{version}".encode()


def _text(wrapped: bytes) -> str:
    return base64.b64encode(wrapped).decode()
