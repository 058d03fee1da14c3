"""The disk of the recordings is full: recordings wait on the PBX, and administrators see it."""

import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api import readiness
from fonoteka.core import disk_watch
from tests.api.conftest import Site, put_recording, report, serving
from tests.data import seed
from tests.support.eventually import eventually
from tests.unit.mixer.test_full_disk import fill, small_disk

MIB = 1024**2


@pytest.fixture
async def on_a_disk(seeded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Site, Path]]:
    """The API with its store on a disk of 16 MiB, of which 4 are to stay free; it looks often."""
    monkeypatch.setattr(readiness, "LEAST_FREE_BYTES", 4 * MIB)
    monkeypatch.setattr(disk_watch, "LOOK_EVERY_S", 0.02)
    with small_disk(tmp_path / "disk", "16m") as disk:
        shutil.copytree(seeded, disk, dirs_exist_ok=True)
        async with serving(disk) as site:
            yield site, disk


async def test_recordings_wait_until_there_is_space(on_a_disk: tuple[Site, Path]) -> None:
    (site, disk), call, audio = on_a_disk, seed.a_call(1, datetime.now(UTC)), seed.tone(1000)
    manifest, mixed = seed.manifest_of(call, call.segments[0], talk_ms=1000), seed.mixed_of(audio, 1000)
    async with await site.log_in("900") as admin, await site.log_in("152") as user, site.client(seed.PBX_TOKEN) as agent:

        async def is_now(state: str) -> bool:
            return bool((await admin.get("/api/me")).json()["store_disk"] == state)

        assert await is_now("ok")
        filler = fill(disk, 3 * MIB)
        await eventually(lambda: is_now("full"))
        assert (await user.get("/api/me")).json()["store_disk"] is None
        await report(agent, call)
        refused = await put_recording(agent, manifest, mixed, audio)
        assert (refused.status_code, refused.headers["retry-after"]) == (507, "60")
        (row,) = (await user.get("/api/calls")).json()["items"]
        assert row["recording"]["state"] == "processing"
        filler.unlink()
        await eventually(lambda: is_now("ok"))
        assert (await put_recording(agent, manifest, mixed, audio)).status_code == 200
        metrics = (await admin.get("/metrics")).text
    assert 'fonoteka_store_hours_left{rate="last_day"} +Inf' in metrics and "fonoteka_store_disk_free_bytes 1" in metrics
