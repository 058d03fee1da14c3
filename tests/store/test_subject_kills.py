"""An erasure is killed at any step: nothing is half deleted, and the same erasure completes it."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from fonoteka.core.config import StoreSection
from store.audit.chain import broken_links
from store.audit.write import OPERATOR
from store.database.counter_tables import group_counters, hour_counters
from store.database.schema import audit, call_paths, calls, participants, segments
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.people.accounts import Pbx
from store.retention import removal
from store.subjects.erasure import erase_subject
from tests.data import seed
from tests.store.killed_work import assert_completed_after_kills
from tests.store.test_intake import NOW, scope_of, take
from tests.store.test_retention import hold
from tests.support.stored_objects import object_keys

NUMBER = "+79131234567"
CALLS = 7
SEED = 27


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
async def test_a_killed_erasure_is_completed_by_the_same_once_more(
    store: Store, pbx: Pbx, section: StoreSection, tmp_path: Path, kills: int
) -> None:
    await fill(store, pbx)
    await store.engine.dispose()  # PostgreSQL copies a database that nobody uses
    expected = await assert_completed_after_kills(section, erase, state_of, tmp_path, kills=kills, seed=SEED)
    assert len(expected["files"]) == 2 * 2, "of the held call and of the other party"


async def fill(store: Store, pbx: Pbx) -> None:
    """Calls of the party, of which one is held and one has a part; and a call of another party."""
    made = [seed.a_call(number, NOW - timedelta(hours=number)) for number in range(1, CALLS + 1)]
    for call in (*made, seed.but(seed.a_call(20, NOW - timedelta(days=1)), src="89139999999")):
        await take(store, pbx, call)
    part = seed.but(seed.a_call(90, NOW - timedelta(hours=2)), merged_into=made[2].linkedid, segments=())
    await upsert_calls(store, pbx, [part])
    await hold(store, made[4])


async def erase(store: Store) -> None:
    """Erase the calls of the party, two at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(removal, "SEGMENTS_AT_A_TIME", 2)
        patch.setattr(removal, "CALLS_AT_A_TIME", 2)
        await erase_subject(store, (await scope_of(store)).domain_id, NUMBER, by=OPERATOR, now=NOW)


async def state_of(section: StoreSection) -> Mapping[str, Any]:
    """All that an erasure changes, and the calls that the journal says were erased."""
    store = await Store.open(section)
    try:
        domain_id = (await scope_of(store)).domain_id
        assert [link async for link in broken_links(store, domain_id)] == []
        async with store.reading() as connection:
            tables = {
                table.name: sorted(map(str, (await connection.execute(select(table))).all()))
                for table in (calls, call_paths, segments, participants, hour_counters, group_counters)
            }
            entries = await connection.execute(select(audit.c.detail).where(audit.c.action == "subject_erased"))
            journal = sorted(name for row in entries for name in row.detail["ids"])
        return tables | {"journal": journal, "files": object_keys(store)}
    finally:
        await store.close()
