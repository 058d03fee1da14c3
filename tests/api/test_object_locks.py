"""The API locks what is under legal hold, soon, and whatever the server of the bucket does."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from fonoteka.core.naming import call_id
from tests.api.conftest import Site, report, serving, ship
from tests.api.test_audio import BEGIN
from tests.data import seed
from tests.store.test_object_locks import versions
from tests.support.eventually import eventually
from tests.support.faulty_link import FaultyLink, faulty_link
from tests.support.radosgw import S3Server

CALL = seed.a_call(1, BEGIN)


@pytest.fixture
async def link(s3: S3Server) -> AsyncIterator[FaultyLink]:
    """The link between the API and S3."""
    async with faulty_link(s3.port) as running:
        yield running


@pytest.fixture
async def site(seeded: Path, tmp_path: Path, s3: S3Server, link: FaultyLink) -> AsyncIterator[Site]:
    """The API with a bucket that has object lock."""
    shutil.copytree(seeded, tmp_path, dirs_exist_ok=True)
    bucket = s3.new_bucket(object_lock=True)
    section = s3.section(seed.section(tmp_path).database, bucket, tmp_path / "objects", port=link.port)
    async with serving(tmp_path, store=section) as running:
        yield running


async def set_hold(admin: httpx.AsyncClient, *, hold: bool) -> None:
    answer = await admin.put(f"/api/calls/{call_id('pbx1', CALL.linkedid)}/hold", json={"hold": hold, "note": ""})
    assert answer.status_code == 200 and answer.json()["recording"]["held"] is hold


async def locked(s3: S3Server, site: Site, count: int) -> None:
    """Wait until so many objects are locked."""
    await eventually(lambda: sum(is_held for _, is_held in versions(s3, site.services.store)) == count)


@pytest.mark.parametrize("is_late", [False, True], ids=["recorded before", "recorded later"])
async def test_a_hold_locks_and_a_release_unlocks(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient, s3: S3Server, is_late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.object_locks._EACH_S", 0.05 if is_late else 3600.0)
    if is_late:
        await report(agent, CALL)
        await set_hold(admin, hold=True)
        await ship(agent, CALL, 5000)
    else:
        await ship(agent, CALL, 5000)
        await set_hold(admin, hold=True)
    await locked(s3, site, 2)
    await set_hold(admin, hold=False)
    await locked(s3, site, 0)


async def test_a_hold_is_set_while_the_server_is_away_and_locks_later(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient, link: FaultyLink, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.object_locks._EACH_S", 0.05)
    await ship(agent, CALL, 5000)
    link.cut_at = 0
    await set_hold(admin, hold=True)

    async def counted(number: float) -> bool:
        return f"fonoteka_recordings_unlocked {number}" in (await admin.get("/metrics")).text

    await eventually(lambda: counted(1.0))
    link.cut_at = None
    await locked(s3, site, 2)
    await eventually(lambda: counted(0.0))
