"""Kill work on a store at any of its steps, and compare what the next run leaves."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from minio.commonconfig import CopySource
from sqlalchemy import select

from fonoteka.core.config import StoreSection
from fonoteka.core.naming import peaks_key
from store.database.schema import HAS_AUDIO, domains, segments
from store.database.store import Store
from store.intake.write_counters import rebuild_counters
from store.objects.bucket_place import bucket_place, is_bucket
from store.objects.places import workspace_of
from tests.store.test_counters import counters
from tests.support.dying import Work, count_steps, kill_at
from tests.support.new_stores import create_database, drop_database
from tests.support.radosgw import S3Server

State = Mapping[str, Any]


async def check_nothing_is_half_deleted(section: StoreSection) -> None:
    """Audio that is seen is there with its peaks, and the counters are those of the calls."""
    store = await Store.open(section)
    try:
        async with store.reading() as connection:
            keys = (await connection.execute(select(segments.c.object_key).where(HAS_AUDIO))).scalars().all()
        for key in keys:
            assert await store.objects.exists(key) and await store.objects.exists(peaks_key(key)), key
        before = await counters(store)
        async with store.writing() as connection:
            for domain_id in (await connection.execute(select(domains.c.id))).scalars():
                await connection.run_sync(rebuild_counters, domain_id)
        assert before == await counters(store)
    finally:
        await store.close()


async def assert_completed_after_kills(
    section: StoreSection,
    work: Work,
    state_of: Callable[[StoreSection], Awaitable[State]],
    folder: Path,
    *,
    kills: int,
    seed: int,
    check: Callable[[StoreSection], Awaitable[None]] = check_nothing_is_half_deleted,
) -> State:
    """Kill the work at seeded steps, each time on a copy of a store that nobody uses.

    After each kill the check passes, and the same work once more leaves the state that the work
    leaves without a kill, which is returned.
    """
    whole = await copy(section, folder / "whole")
    steps = await count_steps(whole, work, folder)
    expected = await state_of(whole)
    chance = Random(seed)  # noqa: S311 (no secret)
    for number in range(kills):
        step = chance.randrange(1, steps + 1)
        killed = await copy(section, folder / str(number))
        await kill_at(step, killed, work, folder)
        try:
            await check(killed)
            await _run(killed, work)
            assert await state_of(killed) == expected
        except AssertionError as error:
            raise AssertionError(f"killed at step {step} of {steps}") from error
        await _discard(killed, folder / str(number))
    database = section.database.partition(":")[0]
    print(f"\n{work.__name__}, {database}: {kills} kills at steps 1 to {steps}; each run that followed was complete")
    return expected


async def _run(section: StoreSection, work: Work) -> None:
    """Run the work to its end in this process."""
    store = await Store.open(section)
    try:
        await work(store)
    finally:
        await store.close()


async def copy(section: StoreSection, folder: Path) -> StoreSection:
    """Copy a store that nobody uses."""
    folder.mkdir()
    database = f"sqlite:///{folder}/fonoteka.db"
    if section.database.startswith("postgresql"):
        server, _, name = section.database.rpartition("/")
        database = f"{server}/copy_{uuid4().hex}"
        await create_database(server, database.rpartition("/")[2], template=name)
    else:
        shutil.copy(section.database.removeprefix("sqlite:///"), folder / "fonoteka.db")
    objects = workspace_of(section)
    shutil.copytree(objects, folder / "objects")
    if (key := objects.with_name("master.key")).exists():
        shutil.copy(key, folder)
    changed = {"database": database, "objects": f"file://{folder}/objects"}
    if is_bucket(section.objects):
        changed["objects"] = await asyncio.to_thread(_copy_bucket, section)
    return StoreSection.model_validate(dict(section) | changed | ({"workspace": folder / "objects"} if section.workspace else {}))


def _copy_bucket(section: StoreSection) -> str:
    """Copy a bucket; return the place of the copy."""
    place, name = bucket_place(section.objects, section), f"test-{uuid4().hex}"
    client = S3Server(port=int(place.host.rpartition(":")[2])).client()
    client.make_bucket(name)
    for found in client.list_objects(place.bucket, recursive=True):
        client.copy_object(name, str(found.object_name), CopySource(place.bucket, str(found.object_name)))
    return section.objects.replace(place.bucket, name)


async def _discard(section: StoreSection, folder: Path) -> None:
    """Delete a copy."""
    shutil.rmtree(folder)
    if section.database.startswith("postgresql"):
        server, _, name = section.database.rpartition("/")
        await drop_database(server, name)
