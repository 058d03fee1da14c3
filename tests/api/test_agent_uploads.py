"""The agent's client uploads recordings to the real API."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from agent.shipping.api_client import ApiClient
from agent.shipping.recording_shipper import RecordingShipper
from fonoteka.core.errors import ShipError, ShipRefused
from fonoteka.core.manifest import Mixed, read_failure, read_manifest, write_manifest, write_mixed
from fonoteka.core.spool import ItemState, Spool
from tests.api.conftest import Site, report
from tests.data import seed
from tests.support.eventually import eventually

STARTED = datetime(2026, 11, 22, 16, 43, 42, tzinfo=UTC)


async def _recording(agent: httpx.AsyncClient, spool: Path, length_ms: int) -> tuple[Path, Mixed]:
    """Report a call, and leave its mixed recording in a folder as the mixer does."""
    call = seed.a_call(0, STARTED)
    await report(agent, call)
    segment, audio = call.segments[0], seed.tone(length_ms)
    folder, mixed = spool / segment.name, seed.mixed_of(audio, length_ms)
    folder.mkdir()
    write_manifest(folder, seed.manifest_of(call, segment))
    write_mixed(folder, mixed)
    (folder / mixed.audio_file).write_bytes(audio)
    (folder / mixed.peaks_file).write_bytes(seed.peaks(length_ms))
    return folder, mixed


@pytest.mark.parametrize("length_ms", [5_000, 120_000])
async def test_a_recording_is_stored_as_it_lies_in_the_spool(
    site: Site, agent: httpx.AsyncClient, tmp_path: Path, length_ms: int
) -> None:
    folder, mixed = await _recording(agent, tmp_path, length_ms)
    api = ApiClient(site.address, seed.PBX_TOKEN)
    receipt = await api.put_recording(folder, mixed)
    assert (receipt.segment, receipt.sha256, receipt.size_bytes) == (folder.name, mixed.sha256, mixed.size_bytes)
    await api.close()


async def test_a_file_that_is_not_the_mixed_one_is_refused_and_a_missing_one_is_an_os_error(
    site: Site, agent: httpx.AsyncClient, tmp_path: Path
) -> None:
    folder, mixed = await _recording(agent, tmp_path, 5_000)
    api = ApiClient(site.address, seed.PBX_TOKEN)
    (folder / mixed.audio_file).write_bytes(b"OggS")
    with pytest.raises(ShipRefused, match=f"agent.api = {site.address}/agent/v1/recordings/{folder.name}: 422"):
        await api.put_recording(folder, mixed)
    (folder / mixed.audio_file).unlink()
    with pytest.raises(FileNotFoundError):
        await api.put_recording(folder, mixed)
    await api.close()


async def test_other_audio_of_a_stored_recording_is_set_aside_and_counts_as_shipped(
    site: Site, agent: httpx.AsyncClient, tmp_path: Path
) -> None:
    """The call has its audio: the agent neither sends this one again nor reports it as lost."""
    spool = Spool(tmp_path)
    spool.prepare()
    folder, mixed = await _recording(agent, spool.folder(ItemState.MIXED), 5_000)
    api = ApiClient(site.address, seed.PBX_TOKEN)
    await api.put_recording(folder, mixed)
    audio = seed.tone(4_000)
    write_mixed(folder, seed.mixed_of(audio, 4_000))
    (folder / mixed.audio_file).write_bytes(audio)
    (folder / mixed.peaks_file).write_bytes(seed.peaks(4_000))
    shipped: list[str] = []
    rejected: list[str] = []
    shipper = RecordingShipper(api, spool, lambda _, linkedid: shipped.append(linkedid), lambda path, _: rejected.append(path.name))
    shipping = asyncio.create_task(shipper.run())
    await eventually(lambda: shipped)
    shipping.cancel()
    assert (shipped, rejected) == ([read_manifest(spool.folder(ItemState.REJECTED) / folder.name).call.linkedid], [])
    assert "other audio already" in read_failure(spool.folder(ItemState.REJECTED) / folder.name).detail
    await api.close()


async def test_an_api_that_is_not_there_is_a_ship_error(agent: httpx.AsyncClient, tmp_path: Path) -> None:
    folder, mixed = await _recording(agent, tmp_path, 5_000)
    api = ApiClient("http://127.0.0.1:1", seed.PBX_TOKEN)
    with pytest.raises(ShipError, match=r"agent\.api = http://127.0.0.1:1: "):
        await api.put_recording(folder, mixed)
    await api.close()
