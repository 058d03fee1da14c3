"""Retention is killed at any step: nothing is half deleted, and the next run completes it."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from fonoteka.core.config import StoreSection
from store.audit.chain import broken_links
from store.database.counter_tables import group_counters, hour_counters
from store.database.schema import audit, calls, participants, segments
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.people.accounts import Pbx
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.data import seed
from tests.store.killed_work import assert_completed_after_kills
from tests.store.retaining import NOW, retain
from tests.store.test_intake import scope_of, take
from tests.store.test_retention import hold
from tests.support.stored_objects import object_keys

AGES = (70, 65, 64, 63, 61, 45, 40, 35, 34, 33, 31, 29, 1)  # days; calls are kept for 60, audio for 30
SEED = 11


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
async def test_a_killed_run_is_completed_by_the_next(
    store: Store, pbx: Pbx, section: StoreSection, tmp_path: Path, kills: int
) -> None:
    await fill(store, pbx)
    await store.engine.dispose()  # PostgreSQL copies a database that nobody uses
    await assert_completed_after_kills(section, retain, state_of, tmp_path, kills=kills, seed=SEED)


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
        return tables | {"journal": journal, "files": object_keys(store)}
    finally:
        await store.close()
