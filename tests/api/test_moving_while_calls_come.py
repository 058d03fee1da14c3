"""An installation moves from a folder to S3 while calls come in: each recording is there, once."""

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from fonoteka.cli.objects import move_objects
from fonoteka.core.config import Configuration
from fonoteka.core.naming import call_id
from store.integrity.verification import verified
from tests.api.conftest import serving, ship
from tests.data import seed
from tests.store.test_intake import BEGIN
from tests.support.eventually import eventually
from tests.support.radosgw import S3Server
from tests.support.stored_objects import object_keys

CALLS = [seed.a_call(number, BEGIN + timedelta(minutes=number)) for number in range(14)]
LENGTH_MS = 900


async def test_calls_go_on_while_an_installation_moves(
    seeded: Path, tmp_path: Path, s3: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(seeded, tmp_path, dirs_exist_ok=True)
    before = seed.section(tmp_path)
    after = s3.section(before.database, s3.new_bucket(), tmp_path / "objects")
    keys = {"s3_access_key": after.s3_access_key, "s3_secret_key": after.s3_secret_key}
    moving = Configuration(store=before.model_copy(update=keys))
    shipped = 0
    async with serving(tmp_path, store=before) as site, site.client(seed.PBX_TOKEN) as agent:

        async def calls_come_in() -> None:
            nonlocal shipped
            for call in CALLS[:12]:
                await ship(agent, call, LENGTH_MS)
                shipped += 1

        calls = asyncio.create_task(calls_come_in())
        await eventually(lambda: shipped > 2)
        runs = 0
        while not calls.done() or runs < 2:
            assert await move_objects(moving, after.objects, None) == 0
            runs += 1
        await calls
    assert await move_objects(moving, after.objects, None) == 0  # the API is stopped: what came in between
    async with serving(tmp_path, store=after) as site:
        async with site.client(seed.PBX_TOKEN) as agent:
            for call in CALLS[10:]:  # two of them once more: their receipts were lost
                await ship(agent, call, LENGTH_MS)
        assert (await verified(site.services.store)).found == ()
        assert len(await asyncio.to_thread(object_keys, site.services.store)) == 2 * len(CALLS)
        async with await site.log_in("900") as admin:
            for call in CALLS:
                answer = await admin.get(f"/api/calls/{call_id('pbx1', call.linkedid)}/audio")
                assert (answer.status_code, answer.content) == (200, seed.tone(LENGTH_MS))
    assert "check with: fonoteka verify" not in capsys.readouterr().out
