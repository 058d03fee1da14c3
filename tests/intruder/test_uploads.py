"""Uploads lie beside the store, are limited, and an agent keeps what was not taken."""

import asyncio
import os
import shutil
import tempfile
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest
from structlog.testing import capture_logs

from agent.shipping.api_client import ApiClient
from agent.shipping.recording_shipper import RecordingShipper
from api import readiness
from api.http import uploads
from fonoteka.core.config import split_address
from fonoteka.core.errors import ShipError, ShipRefused
from fonoteka.core.manifest import write_manifest, write_mixed
from fonoteka.core.spool import ItemState, Spool
from tests.api.conftest import Site, put_recording, report, serving
from tests.data import seed
from tests.intruder.test_connections import BEGIN
from tests.support.eventually import eventually
from tests.support.stored_objects import objects_folder
from tests.unit.mixer.test_full_disk import fill, small_disk

MIB: Final = 1024**2
PART: Final = b'--x\r\nContent-Disposition: form-data; name="audio"; filename="a.opus"\r\n\r\n'


@asynccontextmanager
async def half_sent(site: Site, length: int = 6 * MIB, sent: int = 3 * MIB) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    """Send the first part of a recording, and no more."""
    reader, writer = await asyncio.open_connection(*split_address(site.address.removeprefix("http://")))
    head = (
        f"PUT /agent/v1/recordings/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {seed.PBX_TOKEN}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {length}\r\n\r\n"
    )
    writer.write(head.encode() + PART + b"x" * (sent - len(PART)))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def open_files(folder: Path) -> list[int]:
    """Return the sizes of this process's open files in a folder, with or without a name."""
    sizes = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            if descriptor.readlink().is_relative_to(folder):
                sizes.append(descriptor.stat().st_size)
        except FileNotFoundError:  # closed meanwhile
            continue
    return sizes


def uploads_of(site: Site) -> Path:
    objects = objects_folder(site.services.store).root
    return objects.with_name(objects.name + "-uploads")


async def a_recording(agent: httpx.AsyncClient, spool: Spool, number: int = 0) -> str:
    """Report a call, and leave its mixed recording in the spool as the mixer does."""
    call = seed.a_call(number, BEGIN)
    await report(agent, call)
    segment, audio = call.segments[0], seed.tone(5000)
    folder, mixed = spool.folder(ItemState.MIXED) / segment.name, seed.mixed_of(audio, 5000)
    folder.mkdir(parents=True)
    write_manifest(folder, seed.manifest_of(call, segment))
    write_mixed(folder, mixed)
    (folder / mixed.audio_file).write_bytes(audio)
    (folder / mixed.peaks_file).write_bytes(seed.peaks(5000))
    return segment.name


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path / "spool")
    made.prepare()
    return made


async def test_an_upload_lies_beside_the_store_without_a_name(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")  # where nothing can be written
    async with half_sent(site):
        await eventually(lambda: sum(open_files(uploads_of(site))) > 2 * MIB)
        assert list(uploads_of(site).iterdir()) == [], "after kill -9 nothing would be left"
        assert uploads_of(site).stat().st_mode & 0o077 == 0
    await eventually(lambda: not open_files(uploads_of(site)))


async def test_a_whole_upload_needs_no_folder_of_the_system(
    site: Site, agent: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    call, audio = seed.a_call(1, BEGIN), seed.tone(600_000)
    assert len(audio) > MIB
    await report(agent, call)
    answer = await put_recording(agent, seed.manifest_of(call, call.segments[0]), seed.mixed_of(audio, 600_000), audio)
    assert answer.status_code == 200, answer.text


async def test_a_client_that_goes_away_leaves_nothing_behind(site: Site, agent: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            async with AsyncExitStack() as stack:
                for _ in range(4):
                    await stack.enter_async_context(half_sent(site))
                await eventually(lambda: len(open_files(uploads_of(site))) == 4)
            await eventually(lambda: not open_files(uploads_of(site)))
    await eventually(lambda: site.services.uploads._uploads == 0)
    assert site.services.uploads._bytes == 0
    assert [line for line in logs if line["event"] == "request.crashed"] == []


# Who has sent half of how much, and what the next upload of 30 KB gets.
CROWDED: Final = [
    ({}, 3, 6 * MIB, None),
    ({}, 4, 6 * MIB, "4 recordings of this PBX are being received"),
    ({"_UPLOADS": 2}, 2, 6 * MIB, "2 recordings of 12 MiB are being received"),
    ({"_UPLOAD_BYTES": 12 * MIB}, 1, 6 * MIB, None),
    ({"_UPLOAD_BYTES": 12 * MIB}, 2, 6 * MIB, "2 recordings of 12 MiB are being received"),
]


@pytest.mark.parametrize(("limits", "count", "length", "detail"), CROWDED)
async def test_uploads_are_limited_in_number_and_size_and_the_agent_comes_again(
    site: Site,
    agent: httpx.AsyncClient,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
    limits: dict[str, int],
    count: int,
    length: int,
    detail: str | None,
) -> None:
    for name, value in limits.items():
        monkeypatch.setattr(uploads, name, value)
    await a_recording(agent, spool)
    api = ApiClient(site.address, seed.PBX_TOKEN)
    shipped: list[str] = []
    shipper = RecordingShipper(api, spool, lambda folder, _: shipped.append(folder.name), lambda *_: None)
    async with AsyncExitStack() as stack:
        for _ in range(count):
            await stack.enter_async_context(half_sent(site, length))
        await eventually(lambda: len(open_files(uploads_of(site))) == count)
        with capture_logs() as logs:
            shipping = asyncio.create_task(shipper.run())
            if detail is None:
                await eventually(lambda: shipped)
            else:
                line = await eventually(lambda: next((line for line in logs if line["event"] == "recordings.ship_failed"), None))
                assert f"503 {detail}; send this one again later" in line["reason"]
                assert len(spool.items(ItemState.MIXED)) == 1 and not spool.items(ItemState.REJECTED)
    await eventually(lambda: shipped)
    assert spool.items(ItemState.MIXED) == spool.items(ItemState.REJECTED) == []
    shipping.cancel()
    await api.close()


async def test_the_answer_comes_before_the_body(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_UPLOAD_BYTES", MIB)
    async with half_sent(site, sent=len(PART)) as (reader, _):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    assert head.startswith(b"HTTP/1.1 503") and b"retry-after: 5\r\n" in head


@pytest.fixture
async def on_a_disk(seeded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Site, Path]]:
    """The API with its objects on a small disk, and its index on another."""
    monkeypatch.setattr(readiness, "LEAST_FREE_BYTES", 0)
    with small_disk(tmp_path / "disk", "8m") as disk:
        shutil.copytree(seeded, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("objects*"))
        (tmp_path / "objects").symlink_to(disk / "objects")
        for name in ("objects", "objects-uploads"):
            (disk / name).mkdir()
        (tmp_path / "objects-uploads").symlink_to(disk / "objects-uploads")
        async with serving(tmp_path) as site:
            yield site, disk


async def test_a_disk_without_room_is_507_and_the_agent_comes_again(on_a_disk: tuple[Site, Path], spool: Spool) -> None:
    site, disk = on_a_disk
    async with site.client(seed.PBX_TOKEN) as agent:
        name = await a_recording(agent, spool)
    api = ApiClient(site.address, seed.PBX_TOKEN)
    folder = spool.folder(ItemState.MIXED) / name
    filler = fill(disk, 16 * 1024)
    mixed = seed.mixed_of(seed.tone(5000), 5000)
    with pytest.raises(ShipError, match=r"507 the disk of '\S+objects-uploads' is full: free space there") as refused:
        await api.put_recording(folder, mixed)
    assert not isinstance(refused.value, ShipRefused)
    filler.unlink()
    assert (await api.put_recording(folder, mixed)).sha256 == mixed.sha256
    await api.close()


async def test_a_disk_that_fills_meanwhile_is_507(on_a_disk: tuple[Site, Path]) -> None:
    site, disk = on_a_disk
    async with half_sent(site, length=3 * MIB, sent=MIB + 4096) as (reader, writer):
        await eventually(lambda: sum(open_files(disk / "objects-uploads")) > 0)
        fill(disk)
        writer.write(b"x" * (2 * MIB - 4096))
        assert (await asyncio.wait_for(reader.readline(), 60)).split()[1] == b"507"


async def test_a_folder_that_is_gone_is_503(site: Site, agent: httpx.AsyncClient) -> None:
    call, audio = seed.a_call(1, BEGIN), seed.tone(600_000)
    await report(agent, call)
    uploads_of(site).rmdir()
    answer = await put_recording(agent, seed.manifest_of(call, call.segments[0]), seed.mixed_of(audio, 600_000), audio)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")
    assert os.path.lexists(uploads_of(site)) is False
