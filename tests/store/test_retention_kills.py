"""Retention is killed at any step: nothing is half deleted, and the next run completes it."""

import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from fonoteka.core.config import StoreSection
from fonoteka.core.naming import peaks_key
from store.audit.chain import broken_links
from store.database.counter_tables import group_counters, hour_counters
from store.database.schema import HAS_AUDIO, audit, calls, domains, participants, segments
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.intake.write_counters import rebuild_counters
from store.people.accounts import Pbx
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.data import seed
from tests.store.retaining import NOW, retain
from tests.store.test_counters import counters
from tests.store.test_intake import files, scope_of, take
from tests.store.test_retention import hold
from tests.support.dying import count_steps, kill_at
from tests.support.new_stores import create_database

AGES = (70, 65, 64, 63, 61, 45, 40, 35, 34, 33, 31, 29, 1)  # days; calls are kept for 60, audio for 30
SEED = 11


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.long)])
async def test_a_killed_run_is_completed_by_the_next(
    store: Store, pbx: Pbx, section: StoreSection, tmp_path: Path, kills: int
) -> None:
    await fill(store, pbx)
    await store.engine.dispose()  # PostgreSQL copies a database that nobody uses
    whole = await copy(section, tmp_path / "whole")
    steps = await count_steps(whole, retain, tmp_path)
    expected = await state_of(whole)
    chance = Random(SEED)  # noqa: S311 (no secret)
    for number in range(kills):
        step = chance.randrange(1, steps + 1)
        killed = await copy(section, tmp_path / str(number))
        await kill_at(step, killed, retain, tmp_path)
        try:
            await check_nothing_is_half_deleted(killed)
            await completed(killed)
            assert await state_of(killed) == expected
        except AssertionError as error:
            raise AssertionError(f"killed at step {step} of {steps}") from error
    print(f"{kills} kills at steps 1 to {steps}: nothing half deleted, nothing left")


async def fill(store: Store, pbx: Pbx) -> None:
    """Calls of many ages: two are held, one has a part, one is of a user with a longer period."""
    made = [seed.a_call(number, NOW - timedelta(days=age)) for number, age in enumerate(AGES)]
    made[7] = seed.but(made[7], segments=(seed.but(made[7].segments[0], user="421"),), participants=("421", "152"))
    for call in made:
        await take(store, pbx, call)
    part = seed.but(seed.a_call(90, NOW - timedelta(days=64)), merged_into=made[2].linkedid, segments=())
    await upsert_calls(store, pbx, [part])
    for held in (made[1], made[6]):
        await hold(store, held)
    periods = "retention_days = 30\ncalls_retention_days = 60\n"
    wanted = seed.DIRECTORY.replace("retention_days = 180\n", periods, 1)
    wanted = wanted.replace('login = "421"', 'login = "421"\n  retention_days = 50', 1)
    await apply(store, parse_directory(wanted, source="test"))


async def completed(section: StoreSection) -> None:
    """The next run of another process."""
    store = await Store.open(section)
    try:
        await retain(store)
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
    objects = Path(section.objects.removeprefix("file://"))
    shutil.copytree(objects, folder / "objects")
    shutil.copy(objects.with_name("master.key"), folder)
    return StoreSection(database=database, objects=f"file://{folder}/objects")


async def state_of(section: StoreSection) -> Mapping[str, Any]:
    """All that retention changes, and what the journal says."""
    store = await Store.open(section)
    try:
        domain_id = (await scope_of(store)).domain_id
        assert [link async for link in broken_links(store, domain_id)] == []
        async with store.reading() as connection:
            tables = {
                table.name: sorted(map(str, (await connection.execute(select(table))).all()))
                for table in (calls, segments, participants, hour_counters, group_counters)
            }
            entries = await connection.execute(select(audit.c.action, audit.c.detail).where(audit.c.login == "system"))
            journal = sorted((row.action, name) for row in entries for name in row.detail["ids"])
        return tables | {"journal": journal, "files": [path.name for path in files(store)]}
    finally:
        await store.close()


async def check_nothing_is_half_deleted(section: StoreSection) -> None:
    """Audio that is seen is there with its peaks, and the counters are those of the calls."""
    store = await Store.open(section)
    try:
        async with store.reading() as connection:
            keys = (await connection.execute(select(segments.c.object_key).where(HAS_AUDIO))).scalars().all()
        for key in keys:
            assert store.objects.path(key).exists() and store.objects.path(peaks_key(key)).exists(), key
        before = await counters(store)
        async with store.writing() as connection:
            for domain_id in (await connection.execute(select(domains.c.id))).scalars():
                await connection.run_sync(rebuild_counters, domain_id)
        assert before == await counters(store)
    finally:
        await store.close()
