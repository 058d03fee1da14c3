"""A recording that is not what was stored is never sent: 502, journal, log line, metric."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from structlog.testing import capture_logs

from api.dependencies.damage import DamageReports
from fonoteka.core.naming import call_id
from store.queries.audio import StoredAudio
from tests.api.conftest import Site, ship
from tests.data import seed

BEGIN = datetime(2026, 11, 22, 16, 43, 42, 123000, tzinfo=UTC)
CALL = f"/api/calls/{call_id('pbx1', seed.a_call(1, BEGIN).linkedid)}"
ZIP = "/api/calls.zip?from=2026-11-22&to=2026-11-22"


def flipped(path: Path) -> None:
    """Change one bit; size and modification time stay."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


AUDIO, PEAKS = "*.opus", "*.peaks.json"
# Which file, what happens to it, what is asked then, and what the metric counts.
DAMAGED: list[tuple[str, str, Callable[[Path], object], str, str]] = [
    ("gone", AUDIO, Path.unlink, "/audio", "missing"),
    ("one bit", AUDIO, flipped, "/audio", "altered"),
    ("one byte less", AUDIO, cut, "/audio", "altered"),
    ("a folder", AUDIO, replaced_by_a_folder, "/audio", "altered"),
    ("one bit, converted", AUDIO, flipped, "/audio?format=wav", "altered"),
    ("one bit, downloaded", AUDIO, flipped, "/audio?download=1", "altered"),
    ("one bit, as evidence", AUDIO, flipped, "/evidence", "altered"),
    ("peaks gone", PEAKS, Path.unlink, "/peaks", "missing"),
    ("one bit of the peaks", PEAKS, flipped, "/peaks", "altered"),
    ("no JSON", PEAKS, lambda path: path.write_bytes(b"{}"), "/peaks", "altered"),
]


@pytest.mark.one_machine
async def test_damaged_recordings_are_not_sent(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await ship(agent, seed.a_call(1, BEGIN), 900)
    root = Path(site.configuration.store.objects.removeprefix("file://"))
    for name, pattern, damage, asked, reason in DAMAGED:
        (path,) = root.rglob(pattern)
        intact = path.read_bytes()
        assert (await admin.get(CALL + asked)).status_code == 200, name
        before = await counted(site, reason)
        damage(path)
        with capture_logs() as lines:
            for headers in ({}, {"Range": "bytes=0-0"}):
                answer = await admin.get(CALL + asked, headers=headers)
                assert (answer.status_code, answer.json()["type"]) == (502, "/problems/recording-damaged"), name
                assert str(root) not in answer.text and path.name not in answer.text
        assert [(line["reason"], line["call"]) for line in lines if line["event"] == "recording.damaged"] == [
            (reason, CALL.rpartition("/")[2])
        ] * 2, name
        assert await counted(site, reason) == before + 2, name
        if path.is_dir():
            path.rmdir()
        path.write_bytes(intact)
        assert (await admin.get(CALL + asked)).status_code == 200, name
    entries = (await admin.get("/api/audit", params={"action": "recording_damaged", "from": "2026-01-01"})).json()["items"]
    assert [(entry["login"], entry["detail"]) for entry in entries] == [("900", {"problem": "altered"})], (
        "one for the session and call"
    )


@pytest.mark.one_machine
async def test_a_damaged_recording_in_an_archive_is_counted(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await ship(agent, seed.a_call(1, BEGIN), 900)
    (path,) = Path(site.configuration.store.objects.removeprefix("file://")).rglob(AUDIO)
    flipped(path)
    answer = await admin.get(ZIP)
    (folder := path.parent / "answer.zip").write_bytes(answer.content)
    with ZipFile(folder) as archive:
        assert archive.namelist() == ["index.csv"]
    assert await counted(site, "altered") == 1


@pytest.mark.one_machine
@pytest.mark.parametrize("format_", ["mp3", "wav"])
async def test_a_cached_conversion_of_a_damaged_recording_is_not_sent(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient, format_: str
) -> None:
    await ship(agent, seed.a_call(1, BEGIN), 900)
    assert (await admin.get(f"{CALL}/audio?format={format_}")).status_code == 200
    (path,) = Path(site.configuration.store.objects.removeprefix("file://")).rglob(AUDIO)
    flipped(path)
    assert (await admin.get(f"{CALL}/audio?format={format_}")).status_code == 502


@pytest.mark.one_machine
@pytest.mark.parametrize("asked", ["/audio", "/audio?format=wav"])
async def test_a_recording_that_is_swapped_after_the_check_is_not_sent(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    await ship(agent, seed.a_call(1, BEGIN), 900)
    (path,) = Path(site.configuration.store.objects.removeprefix("file://")).rglob(AUDIO)
    intact, check = path.read_bytes(), DamageReports.check

    async def swapping(damage: DamageReports, call: str, parts: Sequence[StoredAudio]) -> None:
        await check(damage, call, parts)
        (other := path.with_suffix(".other")).write_bytes(seed.tone(3000))
        other.replace(path)

    with monkeypatch.context() as patched:
        patched.setattr(DamageReports, "check", swapping)
        assert (await admin.get(CALL + asked)).status_code == 502
    path.write_bytes(intact)
    answer = await admin.get(CALL + asked)
    assert answer.status_code == 200
    if "wav" in asked:
        assert len(answer.content) < 3000 * 16, "no conversion of the other recording is in the cache"


@pytest.mark.one_machine
async def test_plain_audio_in_the_place_of_an_encrypted_recording_is_not_sent(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await ship(agent, seed.a_call(1, BEGIN), 900)
    (path,) = Path(site.configuration.store.objects.removeprefix("file://")).rglob(AUDIO)
    path.write_bytes((await admin.get(f"{CALL}/audio")).content)
    assert (await admin.get(f"{CALL}/audio")).status_code == 502


@pytest.mark.one_machine
async def test_without_the_folder_the_store_is_unavailable(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await ship(agent, seed.a_call(1, BEGIN), 900)
    root = Path(site.configuration.store.objects.removeprefix("file://"))
    root.rename(root.with_name("unmounted"))
    answer = await admin.get(f"{CALL}/audio")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")


async def counted(site: Site, reason: str) -> float:
    async with site.client() as client:
        text = (await client.get("/metrics")).text
    (line,) = [line for line in text.splitlines() if line.startswith(f'fonoteka_objects_damaged_total{{reason="{reason}"}}')]
    return float(line.split()[-1])
