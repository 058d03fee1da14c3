"""The API with a bucket of its own for one domain of two: nobody sees it, nor what it suffers."""

import shutil
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from api import readiness
from fonoteka.core.naming import call_id
from store.database.schema import segments
from store.objects import own_bucket
from tests.api.conftest import Site, put_recording, report, serving, ship
from tests.api.test_damaged_recordings import BEGIN, ZIP
from tests.data import seed
from tests.support.eventually import eventually
from tests.support.faulty_link import FaultyLink, faulty_link
from tests.support.own_buckets import put_into
from tests.support.radosgw import S3Server, with_keys
from tests.support.stored_objects import object_keys

OTHER = replace(seed.a_call(5, BEGIN), domain="other")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check at each request, and ask a server again at once, but let a slow one answer."""
    monkeypatch.setattr(readiness, "_BUCKETS_KEPT_S", 0.0)
    monkeypatch.setattr(readiness, "_PATIENCE_S", 60.0)
    monkeypatch.setattr(own_bucket, "_REFUSED_FOR_S", 0.0)


@pytest.fixture
async def link(s3: S3Server) -> AsyncIterator[FaultyLink]:
    """The link between the API and the domain's bucket."""
    async with faulty_link(s3.port) as running:
        yield running


@pytest.fixture
async def site(seeded: Path, tmp_path: Path, s3: S3Server, link: FaultyLink) -> AsyncIterator[Site]:
    """The API with a folder for all domains but acme."""
    shutil.copytree(seeded, tmp_path, dirs_exist_ok=True)
    async with serving(tmp_path, store=with_keys(seed.section(tmp_path))) as running:
        await put_into(running.services.store, f"s3://{s3.new_bucket()}?endpoint=http://127.0.0.1:{link.port}")
        yield running


def of_call(number: int) -> str:
    return f"/api/calls/{call_id('pbx1', seed.a_call(number, BEGIN).linkedid)}"


async def test_a_domain_hears_exports_and_sees_what_is_in_its_bucket(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await ship(agent, seed.a_call(1, BEGIN), 5000)
    await ship(agent, OTHER, 5000)
    audio = seed.tone(5000)
    assert (await admin.get(f"{of_call(1)}/audio")).content == audio
    answer = await admin.get(f"{of_call(1)}/audio", headers={"Range": "bytes=100-199"})
    assert (answer.status_code, answer.content) == (206, audio[100:200])
    assert (await admin.get(f"{of_call(1)}/audio?format=mp3")).status_code == 200
    assert (await admin.get(f"{of_call(1)}/peaks")).json()["duration_ms"] == 5000
    with zipfile.ZipFile(BytesIO((await admin.get(ZIP)).content)) as archive:
        assert audio in [archive.read(name) for name in archive.namelist()]
    assert (await admin.get(f"{of_call(5)}/audio")).status_code == 404, "of another company"
    assert (await agent.get("/readyz")).status_code == 200
    stored = object_keys(site.services.store)
    async with site.services.store.reading() as connection:
        first, second = (await connection.execute(select(segments.c.object_key).order_by(segments.c.id))).scalars()
    assert first.startswith("~1/") and [key for key in stored if key.endswith(".opus")] == [second]


async def test_nobody_reads_where_the_bucket_is(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient, link: FaultyLink
) -> None:
    await ship(agent, seed.a_call(1, BEGIN), 5000)
    for path in ("/api/me", "/api/calls?from=2026-11-22&to=2026-11-23", of_call(1), "/api/users", "/api/audit", "/api/numbers"):
        answer = await admin.get(path)
        assert answer.status_code == 200 and str(link.port) not in answer.text and "s3://" not in answer.text, path
    settings = await agent.get("/agent/v1/settings")
    assert settings.status_code == 200 and str(link.port) not in settings.text
    entries = (await admin.get("/api/audit")).json()["items"]
    assert {"objects": "changed"} in [entry["detail"] for entry in entries]


async def test_without_its_bucket_a_domain_waits_and_the_others_go_on(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient, link: FaultyLink
) -> None:
    await ship(agent, seed.a_call(1, BEGIN), 5000)
    made, audio = seed.a_call(2, BEGIN), seed.tone(5000)
    await report(agent, made)
    manifest, mixed = seed.manifest_of(made, made.segments[0]), seed.mixed_of(audio, 5000)
    link.cut_at = 0
    answer = await put_recording(agent, manifest, mixed, audio)
    assert (answer.status_code, answer.json()["type"]) == (502, "/problems/bucket-away")
    heard = await admin.get(f"{of_call(1)}/audio")
    assert (heard.status_code, heard.json()["type"]) == (502, "/problems/bucket-away")
    assert str(link.port) not in answer.text + heard.text
    await ship(agent, OTHER, 5000)
    said = await agent.get("/readyz")
    assert said.status_code == 503 and "objects of domain acme: the bucket of recordings cannot be written" in said.text
    assert str(link.port) not in said.text and "other" not in said.text
    assert (await agent.get("/readyz?agents=false")).status_code == 200, "a load balancer takes nobody out"
    link.cut_at = None
    assert (await put_recording(agent, manifest, mixed, audio)).status_code == 200

    async def is_ready() -> bool:
        return (await agent.get("/readyz")).status_code == 200

    await eventually(is_ready)
    assert (await admin.get(f"{of_call(2)}/audio")).content == audio
