"""`fonoteka keys encrypt-existing` and `rotate`, killed at any step and run again."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from fonoteka.core.config import StoreSection
from fonoteka.core.naming import peaks_key
from store import rekeying
from store.database.schema import domain_keys, encryption, segments
from store.database.store import Store
from store.encryption.encrypted_file import HEADER_BYTES, parse_header
from tests.data import seed
from tests.store.killed_work import assert_completed_after_kills
from tests.support.dying import Work
from tests.support.stored_objects import stored_bytes

BEGIN = datetime(2026, 11, 22, tzinfo=UTC)
RECORDINGS = 4
SEED = 25


async def encrypt_existing(store: Store) -> None:
    """Encrypt a store from before recordings were encrypted."""
    assert await rekeying.encrypt_existing(store, lambda _: None) == 0


async def rotate(store: Store) -> None:
    """Replace the keys of a store."""
    assert await rekeying.rotate(store, lambda _: None, old_keys_stay_s=0) == 0


@pytest.mark.parametrize("work", [encrypt_existing, rotate])
@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
async def test_killed_and_run_again_it_is_complete(section: StoreSection, tmp_path: Path, work: Work, kills: int) -> None:
    """All recordings can be read between the kill and the second run, too."""
    store = await Store.open(section)
    pbx = await seed.seed(store, count=0)
    for number in range(RECORDINGS):
        await seed.ship(store, pbx, seed.a_call(number, BEGIN), (1000 + number,))
    if work is rotate:
        await encrypt_existing(store)
    await store.close()
    await assert_completed_after_kills(section, work, state_of, tmp_path, kills=kills, seed=SEED, check=check_readable)


async def check_readable(section: StoreSection) -> None:
    """Read every recording and its peaks as the API does."""
    store = await Store.open(section)
    try:
        async with store.reading() as connection:
            rows = (await connection.execute(select(segments).order_by(segments.c.id))).all()
        assert len(rows) == RECORDINGS
        for row in rows:
            assert seed.mixed_of(await store.objects.read(row.object_key), row.duration_ms).sha256 == row.sha256
            assert await store.objects.read(peaks_key(row.object_key)) == seed.peaks(row.duration_ms)
    finally:
        await store.close()


async def state_of(section: StoreSection) -> Mapping[str, Any]:
    """Check that everything is under the one key that is left; return what is left besides."""
    await check_readable(section)
    store = await Store.open(section)
    try:
        async with store.reading() as connection:
            rows = (await connection.execute(select(segments.c.object_key, segments.c.key_version).order_by(segments.c.id))).all()
            versions = list((await connection.execute(select(domain_keys.c.version))).scalars())
            rotation = (await connection.execute(select(encryption.c.rotation_began_at))).scalars().all()
        named = [key for row in rows for key in (row.object_key, peaks_key(row.object_key))]
        headers = [parse_header((await stored_bytes(store, key))[:HEADER_BYTES]) for key in named]
        in_use = {header and header.version for header in headers} | {row.key_version for row in rows}
        assert len(versions) == 1 and in_use == set(versions)
        return {"rotation": rotation, "drafts": list((store.objects.workspace / ".incoming").glob("replaced-*"))}
    finally:
        await store.close()
