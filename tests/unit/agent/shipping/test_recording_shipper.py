"""Recordings are shipped beside each other: none holds up the others, whatever is in its folder."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.shipping import recording_shipper
from agent.shipping.api_client import ApiClient
from agent.shipping.recording_shipper import RecordingShipper
from fonoteka.cli import spool as command
from fonoteka.core.agent_protocol import RecordingReceipt
from fonoteka.core.errors import ShipBucketAway, ShipDeferred, ShipError
from fonoteka.core.manifest import Failure, Mixed, write_manifest, write_mixed
from fonoteka.core.spool import ItemState, Spool
from tests.data import seed
from tests.support.eventually import eventually


class Api(ApiClient):
    """Takes recordings unless they are to wait; `errors` has those that it refuses."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.begun: list[str] = []
        self.errors: dict[str, ShipError] = {}
        self.gate: dict[str, asyncio.Event] = {}

    async def put_recording(self, folder: Path, mixed: Mixed) -> RecordingReceipt:
        self.begun.append(folder.name)
        if folder.name in self.gate:
            await self.gate[folder.name].wait()
        if folder.name in self.errors:
            raise self.errors[folder.name]
        self.taken.append(folder.name)
        return RecordingReceipt(segment=folder.name, sha256=mixed.sha256, size_bytes=mixed.size_bytes)


class Shipping:
    """A shipper, and what it reported."""

    def __init__(self, spool: Spool) -> None:
        self.spool, self.api = spool, Api()
        self.shipped: list[str] = []
        self.rejected: dict[str, str] = {}
        self.shipper = RecordingShipper(self.api, spool, lambda folder, _: self.shipped.append(folder.name), self._reject)

    def _reject(self, folder: Path, failure: Failure) -> None:
        self.rejected[folder.name] = failure.detail

    def mix(self, name: str, audio_bytes: int = 100, spoil: Callable[[Path], object] = lambda _: None) -> None:
        """Leave a mixed recording in the spool, as the mixer does, spoiled before."""
        folder = self.spool.folder(ItemState.MIXING) / name
        folder.mkdir()
        call = seed.a_call(0, datetime(2026, 11, 22, 16, 43, 42, tzinfo=UTC))
        write_manifest(folder, seed.but(seed.manifest_of(call, call.segments[0]), name=name))
        mixed = seed.mixed_of(b"", 1000)
        write_mixed(folder, mixed)
        (folder / mixed.audio_file).touch()
        os.truncate(folder / mixed.audio_file, audio_bytes)
        spoil(folder)
        self.spool.move(folder, ItemState.MIXED)


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Shipping]:
    spool = Spool(tmp_path)
    spool.prepare()
    shipping = Shipping(spool)
    task = asyncio.create_task(shipping.shipper.run())
    try:
        yield shipping
    finally:
        assert not task.done(), task
        task.cancel()
        await asyncio.wait([task])


async def test_a_large_recording_holds_up_no_small_one(tmp_path: Path) -> None:
    async with running(tmp_path) as shipping:
        shipping.api.gate["large"] = asyncio.Event()
        shipping.mix("large", recording_shipper.LARGE_BYTES + 1)
        await eventually(lambda: shipping.api.begun == ["large"])
        for number in range(3):
            shipping.mix(f"small-{number}")
        await eventually(lambda: len(shipping.shipped) == 3)
        shipping.api.gate["large"].set()
        await eventually(lambda: "large" in shipping.shipped)


async def test_a_recording_that_the_api_does_not_take_now_comes_after_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as shipping:
        shipping.api.errors["first"] = ShipDeferred("not yet")
        shipping.mix("first")
        await eventually(lambda: "first" in shipping.shipper._postponed)
        shipping.mix("second")
        await eventually(lambda: shipping.shipped == ["second"])
        assert shipping.api.begun.count("first") == 1, "it waits for its own time"

        monkeypatch.setattr(recording_shipper, "GIVE_UP_S", 0.0)
        shipping.shipper._postponed["first"].until = 0.0
        shipping.mix("third")  # wakes the shipper
        await eventually(lambda: shipping.rejected == {"first": "not yet"})


async def test_a_recording_waits_for_the_bucket_of_its_domain_as_long_as_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_shipper, "GIVE_UP_S", 0.0)
    async with running(tmp_path) as shipping:
        shipping.api.errors["first"] = ShipBucketAway("502")
        shipping.mix("first")
        await eventually(lambda: "first" in shipping.shipper._postponed)
        shipping.mix("second")
        await eventually(lambda: shipping.shipped == ["second"])
        shipping.shipper._postponed["first"].until = 0.0
        shipping.mix("third")  # wakes the shipper
        await eventually(lambda: shipping.shipped == ["second", "third"])
        assert shipping.api.begun.count("first") == 2 and not shipping.rejected


@pytest.mark.parametrize("name", ["odd\nname", "odd?name", "odd#name", "odd name"])
async def test_a_folder_with_a_name_that_is_no_recordings_holds_up_nothing(tmp_path: Path, name: str) -> None:
    """httpx raises for the first; the others would be the address of another recording."""
    async with running(tmp_path) as shipping:
        shipping.mix(name)
        shipping.mix("next")
        await eventually(lambda: shipping.shipped == ["next"] and name in shipping.rejected)
    assert shipping.api.begun == ["next"]


async def test_no_recording_is_given_up_while_the_api_takes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API that answers too late, for a weekend, is at fault, and not the recordings."""
    monkeypatch.setattr(recording_shipper, "GIVE_UP_S", 0.0)
    async with running(tmp_path) as shipping:
        shipping.api.errors = {name: ShipDeferred("too late") for name in ("first", "second")}
        shipping.mix("first")
        await eventually(lambda: shipping.api.begun == ["first"])
        shipping.shipper._postponed["first"].until = 0.0
        shipping.mix("second")  # wakes the shipper
        await eventually(lambda: shipping.api.begun == ["first", "first", "second"])
        assert not shipping.rejected


def put_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("file", ["manifest.json", "mixed.json"])
async def test_a_fifo_is_set_aside_and_holds_up_nothing(tmp_path: Path, file: str) -> None:
    async with running(tmp_path) as shipping:
        shipping.mix("odd", spoil=lambda folder: put_fifo(folder / file))
        shipping.mix("next")
        await eventually(lambda: shipping.shipped == ["next"] and "odd" in shipping.rejected)
    assert f"{file} is a FIFO, not a file" in shipping.rejected["odd"]


async def test_a_recording_whose_place_aside_is_taken_holds_up_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as shipping:
        (shipping.spool.folder(ItemState.REJECTED) / "odd" / "full").mkdir(parents=True)
        shipping.mix("odd", spoil=lambda folder: os.truncate(folder / "mixed.json", 20))
        shipping.mix("next")
        await eventually(lambda: shipping.shipped == ["next"] and "odd" in shipping.shipper._postponed)


async def test_what_an_operator_tries_again_is_reported_when_it_fails_again(tmp_path: Path) -> None:
    async with running(tmp_path) as shipping:
        shipping.mix("odd", spoil=lambda folder: os.truncate(folder / "mixed.json", 20))
        await eventually(lambda: "odd" in shipping.rejected)
        command.retry(shipping.spool, "odd")
        (closed,) = shipping.spool.items(ItemState.CLOSED)
        shipping.mix("next")
        await eventually(lambda: "odd" not in shipping.shipper._reported)
        shipping.rejected.clear()
        shipping.spool.move(closed, ItemState.MIXED)
        await eventually(lambda: "odd" in shipping.rejected)
