"""The API with its recordings in S3: as from a folder, and while the server fails."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from fonoteka.core.naming import call_id
from tests.api.conftest import Site, put_recording, report, serving, ship
from tests.api.test_audio import (  # noqa: F401 (these run here once more)
    BEGIN,
    call,
    test_a_part_is_given_only_of_what_the_player_knows,
    test_another_format_is_the_same_sound,
    test_ranges,
    test_segments_are_joined_in_order_without_a_seam,
)
from tests.data import seed
from tests.support.eventually import eventually
from tests.support.faulty_link import FaultyLink, faulty_link
from tests.support.radosgw import S3Server
from tests.support.stored_objects import object_keys, stored_bytes

LONG_MS = 600_000  # its tone has 1.2 MB


@pytest.fixture
async def link(s3: S3Server) -> AsyncIterator[FaultyLink]:
    """The link between the API and S3."""
    async with faulty_link(s3.port) as running:
        yield running


@pytest.fixture
async def site(seeded: Path, tmp_path: Path, s3: S3Server, link: FaultyLink) -> AsyncIterator[Site]:
    """The API with a bucket of its own."""
    shutil.copytree(seeded, tmp_path, dirs_exist_ok=True)
    section = s3.section(seed.section(tmp_path).database, s3.new_bucket(), tmp_path / "objects", port=link.port)
    async with serving(tmp_path, store=section) as running:
        yield running


def of_call(number: int) -> str:
    return f"/api/calls/{call_id('pbx1', seed.a_call(number, BEGIN).linkedid)}"


async def test_a_recording_that_s3_does_not_take_is_sent_again(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient, link: FaultyLink
) -> None:
    """The agent gets 503, and keeps the recording; nothing is half stored."""
    made, audio = seed.a_call(1, BEGIN), seed.tone(5000)
    await report(agent, made)
    manifest, mixed = seed.manifest_of(made, made.segments[0]), seed.mixed_of(audio, 5000)
    link.cut_at = 0
    answer = await put_recording(agent, manifest, mixed, audio)
    assert (answer.status_code, answer.json()["type"], answer.headers["retry-after"]) == (503, "/problems/store-unavailable", "5")
    assert "127.0.0.1" not in answer.text

    async def is_not_ready() -> bool:
        return (await agent.get("/readyz")).status_code == 503

    await eventually(is_not_ready)
    assert "the bucket of recordings cannot be written" in (said := (await agent.get("/readyz")).text)
    assert str(link.port) not in said
    assert (await admin.get(f"{of_call(1)}/audio")).status_code == 404
    link.cut_at = None
    assert (await put_recording(agent, manifest, mixed, audio)).status_code == 200
    assert (await admin.get(f"{of_call(1)}/audio")).content == audio


async def test_while_s3_is_away_nothing_is_damaged(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient, link: FaultyLink
) -> None:
    await ship(agent, seed.a_call(1, BEGIN), 5000)
    link.cut_at = 0
    for asked in ("/audio", "/audio?format=mp3", "/peaks"):
        assert (await admin.get(of_call(1) + asked)).status_code == 503, asked
    assert (await admin.get("/api/calls", params={"from": "2026-11-22", "to": "2026-11-23"})).json()["total"] == 1
    link.cut_at = None
    assert (await admin.get(f"{of_call(1)}/audio")).status_code == 200


async def test_seeking_in_a_long_recording_fetches_little(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient, link: FaultyLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.integrity.intact._LONG_BYTES", 100_000)
    await ship(agent, seed.a_call(1, BEGIN), LONG_MS)
    audio, before = seed.tone(LONG_MS), link.received
    assert len(audio) > 1_000_000
    answer = await admin.get(f"{of_call(1)}/audio", headers={"Range": f"bytes={len(audio) - 1000}-"})
    assert (answer.status_code, answer.content) == (206, audio[-1000:])
    assert link.received - before < 600_000


async def test_an_object_that_was_altered_or_is_gone_is_not_sent(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await ship(agent, seed.a_call(1, BEGIN), 5000)
    objects = site.services.store.objects
    key = next(key for key in await asyncio.to_thread(object_keys, site.services.store) if key.endswith(".opus"))
    content = bytearray(await stored_bytes(site.services.store, key))
    content[-1] ^= 1
    await objects.put_bytes(key, bytes(content), data_key=None)
    assert (await admin.get(f"{of_call(1)}/audio")).status_code == 502
    await objects.put_bytes(key, seed.tone(5000), data_key=None)
    assert (await admin.get(f"{of_call(1)}/audio")).status_code == 502, "plain, in the place of an encrypted one"
    await objects.delete(key)
    assert (await admin.get(f"{of_call(1)}/audio")).status_code == 502
