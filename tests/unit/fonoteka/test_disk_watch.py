"""The watch of a disk: a real file system that fills, a real mail server."""

import asyncio
import errno
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fonoteka.core import disk_watch
from fonoteka.core.config import MailSection
from fonoteka.core.disk_forecast import DiskState
from fonoteka.core.disk_watch import DiskLook, DiskWatch
from tests.support.eventually import LIMIT_S, eventually
from tests.support.mail_server import FROM, mail_server
from tests.unit.mixer.test_full_disk import fill, small_disk

MIB = 1024**2
OPERATOR = "operator@acme.example"


@asynccontextmanager
async def following(folder: Path, mail: MailSection) -> AsyncIterator[list[DiskLook]]:
    """Follow the disk as a process that has just started."""
    looks: list[DiskLook] = []
    watch = DiskWatch(folder, folder / "disk.json", floor_bytes=4 * MIB)
    task = asyncio.create_task(disk_watch.follow(watch, mail, looks.append))
    try:
        yield looks
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=LIMIT_S)
    assert task.cancelled()


async def test_the_operator_gets_one_letter_for_each_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the mail server is full at first, and if the process starts again."""
    monkeypatch.setattr(disk_watch, "LOOK_EVERY_S", 0.01)
    with small_disk(tmp_path / "disk", "16m") as disk, mail_server(tmp_path) as (server, section), capture_logs() as logs:
        mail = section.model_copy(update={"operator": (OPERATOR,)})
        async with following(disk, mail) as looks:
            await eventually(lambda: looks)
            assert (looks[-1].state, server.taken) == (DiskState.OK, [])
            server.full = True
            filler = fill(disk, 2 * MIB)
            await eventually(lambda: any(line["event"] == "disk.letter_not_sent" for line in logs))
            server.full = False
            await eventually(lambda: server.taken)
            seen = len(looks)
            await eventually(lambda: len(looks) > seen + 5)
        async with following(disk, mail) as looks:
            await eventually(lambda: len(looks) > 5)
            assert looks[-1].reported is DiskState.FULL
            filler.unlink()
            await eventually(lambda: len(server.taken) == 2)
            seen = len(looks)  # the letter is noted before the next look
            await eventually(lambda: len(looks) > seen + 1)
        async with following(disk, mail) as looks:
            await eventually(lambda: len(looks) > 5)
    full, has_space = server.taken
    assert full.recipients == has_space.recipients == (OPERATOR,) and FROM in full.message["From"]
    assert "заполнен" in full.message["Subject"] and f"the disk of {disk} is full: 0.0 GB free" in full.message.get_content()
    assert "has enough space again" in has_space.message.get_content()
    assert [line["state"] for line in logs if line["event"] == "disk.fills"] == ["full", "full"]  # once for each process


async def test_a_cancellation_that_the_mail_client_swallows_ends_the_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As asyncio.wait_for of Python 3.11 does if an answer comes in the same moment."""
    reporting = asyncio.Event()

    async def report(*_: object) -> None:
        reporting.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(disk_watch, "_report", report)
    watch = DiskWatch(tmp_path, tmp_path / "disk.json", floor_bytes=10**18)
    task = asyncio.create_task(disk_watch.follow(watch, MailSection(), lambda _: None))
    await reporting.wait()
    task.cancel()
    await asyncio.wait([task], timeout=LIMIT_S)
    assert task.cancelled()


def test_a_disk_without_space_for_the_file_causes_one_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file says that the operator knows of nothing; this process knows better."""
    watch = DiskWatch(tmp_path, tmp_path / "disk.json", floor_bytes=10**18)
    watch.keep(watch.look())

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as full:
        full.setattr(disk_watch, "write_atomically", refuse)
        watch.note_reported(DiskState.FULL)
        assert watch.look().reported is DiskState.FULL
    watch.keep(watch.look(), time.time() + 600)
    assert DiskWatch(tmp_path, tmp_path / "disk.json", floor_bytes=1).look().reported is DiskState.FULL


def test_samples_outlive_the_process_and_a_clock_that_jumps(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "32m") as disk:
        now, file = time.time(), tmp_path / "samples.json"
        watch = DiskWatch(disk, file, floor_bytes=MIB)
        watch.keep(watch.look(now), now)
        (disk / "recordings").write_bytes(bytes(10 * MIB))
        look = DiskWatch(disk, file, floor_bytes=MIB).look(now + 2 * 3600)
        assert look.hours.by_last_day == look.hours.by_busiest_hour == pytest.approx(22 / 5, rel=0.02)
        assert (look.state, str(look)) == (
            DiskState.LOW,
            "0.0 GB free, enough for 4 hours at the rate of the last day, 4 hours at the rate of the busiest hour",
        )
        for jumped in (now - 2 * 86400, now + 2 * 86400):
            assert DiskWatch(disk, file, floor_bytes=MIB).look(jumped).state is DiskState.OK
        file.unlink()
        os.mkfifo(file)
        assert DiskWatch(disk, file, floor_bytes=MIB).look(now + 2 * 3600).state is DiskState.OK
        file.unlink()
        file.write_bytes(b'{"samples": [[')
        assert DiskWatch(disk, file, floor_bytes=MIB).look(now + 2 * 3600).state is DiskState.OK
