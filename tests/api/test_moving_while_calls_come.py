"""An installation moves while calls come in: each call and each recording is there, once."""

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from pydantic import TypeAdapter

from fonoteka.cli.migrate import migrated
from fonoteka.cli.objects import move_objects
from fonoteka.core.call_report import CallReport
from fonoteka.core.config import Configuration, StoreSection
from fonoteka.core.naming import call_id
from lab.tools.installation import ALWAYS
from store.integrity.verification import verified
from tests.api.conftest import Site, put_recording, serving, ship
from tests.data import seed
from tests.store.test_intake import BEGIN
from tests.support.eventually import eventually
from tests.support.new_stores import create_database, drop_database
from tests.support.radosgw import S3Server
from tests.support.stored_objects import object_keys

LENGTH_MS = 900
BETWEEN_S = 0.1


def _call(number: int) -> CallReport:
    return seed.a_call(number, BEGIN + timedelta(minutes=number))


CALLS = [_call(number) for number in range(14)]


async def test_calls_go_on_while_an_installation_moves(
    seeded: Path, tmp_path: Path, s3: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(seeded, tmp_path, dirs_exist_ok=True)
    before = seed.section(tmp_path)
    after = s3.section(before.database, s3.new_bucket(), tmp_path / "objects")
    moving = Configuration(store=before.model_copy(update=_keys(after)))
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
        await _check_all(site, CALLS)
    assert "check with: fonoteka verify" not in capsys.readouterr().out


async def test_calls_go_on_while_index_and_recordings_move(
    seeded: Path, tmp_path: Path, s3: S3Server, postgresql: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """From SQLite and a folder to PostgreSQL and S3 in one go, as in the guide."""
    shutil.copytree(seeded, tmp_path, dirs_exist_ok=True)
    name = f"moved_{uuid4().hex}"
    await create_database(postgresql, name)
    before = seed.section(tmp_path)
    after = s3.section(f"{postgresql}/{name}", s3.new_bucket(), tmp_path / "objects")
    here = Configuration(store=before.model_copy(update=_keys(after)))
    agent = _Agent()
    async with asyncio.TaskGroup() as calls:
        async with serving(tmp_path, store=before) as agent.site:
            sending = calls.create_task(agent.run())
            await eventually(lambda: len(agent.sent) > 2)
            assert await move_objects(here, after.objects, None) == 0
            for finish in (False, True):
                await migrated(here, after.database, finish=finish)
            await eventually(lambda: agent.refused > 1)
            agent.site = None
        there, stored = Configuration(store=after), len(agent.sent)
        assert await move_objects(there, after.objects, before.objects) == 0
        async with serving(tmp_path, store=after) as agent.site:
            await eventually(lambda: len(agent.sent) > stored + 2)
            agent.over = True
            await sending
            async with agent.site.client(seed.PBX_TOKEN) as client:
                for call in agent.sent[stored - 2 :]:  # once more: their receipts were lost
                    await ship(client, call, LENGTH_MS)
            await _check_all(agent.site, agent.sent)
    assert "the index is moved" in capsys.readouterr().out
    await drop_database(postgresql, name)


class _Agent:
    """An agent that sends each call again until the store has it, to the API that is up.

    `refused` is how often an API said that it is not ready. With `over` no other call begins.
    """

    def __init__(self) -> None:
        self.site: Site | None = None
        self.sent: list[CallReport] = []
        self.refused = 0
        self.over = False

    async def run(self) -> None:
        while not self.over:
            call = _call(len(self.sent))
            while not await self._sent(call):
                await asyncio.sleep(BETWEEN_S)
            self.sent.append(call)
            await asyncio.sleep(BETWEEN_S)

    async def _sent(self, call: CallReport) -> bool:
        if self.site is None:
            return False
        manifest, audio = seed.manifest_of(call, call.segments[0], talk_ms=LENGTH_MS), seed.tone(LENGTH_MS)
        document = TypeAdapter(list[CallReport]).dump_python([call], mode="json")
        try:
            async with self.site.client(seed.PBX_TOKEN) as client:
                answer = await client.put("/agent/v1/calls", json=document)
                if answer.status_code == 200:
                    answer = await put_recording(client, manifest, seed.mixed_of(audio, LENGTH_MS), audio)
        except httpx.TransportError:  # the API is being stopped
            return False
        self.refused += answer.status_code == 503
        assert answer.status_code in (200, 503), answer.text
        return answer.status_code == 200


def _keys(section: StoreSection) -> dict[str, object]:
    return {"s3_access_key": section.s3_access_key, "s3_secret_key": section.s3_secret_key}


async def _check_all(site: Site, calls: list[CallReport]) -> None:
    """Each call and its recording are there once, as they were sent."""
    assert (await verified(site.services.store)).found == ()
    assert len(await asyncio.to_thread(object_keys, site.services.store)) == 2 * len(calls)
    async with await site.log_in("900") as admin:
        assert (await admin.get("/api/calls", params=ALWAYS)).json()["total"] == len(calls)
        for call in calls:
            answer = await admin.get(f"/api/calls/{call_id('pbx1', call.linkedid)}/audio")
            assert (answer.status_code, answer.content) == (200, seed.tone(LENGTH_MS))
