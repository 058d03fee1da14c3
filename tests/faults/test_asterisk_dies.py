"""Asterisk is killed in the middle of a call (SCENARIOS 29).

What it had written becomes a recording, and the next call is recorded as ever.
"""

import time
from collections.abc import AsyncIterator
from datetime import datetime

import pytest
import pytest_asyncio

from lab.asterisk.server import LabAsterisk
from lab.scenarios.steps import customer_with
from lab.tools.installation import Fonoteka, beside
from tests.support.eventually import eventually


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mortal(spare_pbx: LabAsterisk, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fonoteka]:
    """A Fonoteka beside the PBX that tests may kill."""
    async with beside(spare_pbx, tmp_path_factory.mktemp("mortal"), FONOTEKA_MIXER_URGENT="1") as running:
        yield running


async def test_what_reached_the_disk_is_kept_and_the_next_call_is_recorded(spare_pbx: LabAsterisk, mortal: Fonoteka) -> None:
    """Asterisk writes legs in blocks of 32 KiB, a second of 16 kHz: a kill loses the last one."""
    before = await mortal.ids()
    legs = spare_pbx.spool / "recording"
    async with customer_with(spare_pbx):
        await eventually(lambda: len([leg for leg in legs.glob("*/*.wav*") if leg.stat().st_size > 1000]) == 2)
        killed_at = time.time()
        await spare_pbx.kill()
    await spare_pbx.start()
    call = await mortal.settled(before)
    answered, ended = (datetime.fromisoformat(call[name]) for name in ("answered_at", "ended_at"))
    recorded_s = call["recording"]["duration_ms"] / 1000
    lost_s = (ended - answered).total_seconds() - recorded_s
    assert abs(ended.timestamp() - killed_at) < 1
    assert recorded_s > 1 and 0 <= lost_s < 1.2
    expected = ("partial", "audio_damaged") if lost_s > 0.1 else ("ready", None)
    assert (call["recording"]["state"], call["recording"]["reason"]) == expected

    before = await mortal.ids()
    async with customer_with(spare_pbx) as (customer, employee, _):
        await customer.hang_up()
        await employee.over()
    following = await mortal.settled(before)
    assert (following["recording"]["state"], len(following["recording"]["segments"])) == ("ready", 1)
