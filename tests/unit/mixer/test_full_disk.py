"""A full disk: a real file system, small enough to fill."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fonoteka.core.manifest import AudioFormat, read_mixed
from fonoteka.core.spool import ItemState, Spool
from mixer.job import DiskFull
from mixer.mix import Mixture
from tests.support.legs import close_item, talk, write_item
from tests.unit.mixer.running_mixer import mix_job, mixing, names, until, working


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a tmpfs of this size on `folder`. Needs root, as the lab does."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path, all_but_bytes: int = 0) -> Path:
    """Fill a disk but for `all_but_bytes`; returns the file that takes the room."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        with suppress(OSError):
            while file.write(b"\1" * 4096):
                pass
        file.truncate(file.tell() - all_but_bytes)
    return filler


async def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk, capture_logs() as logs:
        spool = Spool(disk)
        spool.prepare()
        close_item(spool, "waiting", *talk(20.0))
        filler = fill(disk)
        async with mixing(spool):
            await until(lambda: any(line["event"] == "spool.not_writable" for line in logs))
            assert names(spool, ItemState.CLOSED) == {"waiting"}
            filler.unlink()
            await until(lambda: names(spool, ItemState.MIXED) == {"waiting"})
        assert read_mixed(spool.folder(ItemState.MIXED) / "waiting").duration_ms == 20_000
    assert os.strerror(errno.ENOSPC) in next(line["reason"] for line in logs if line["event"] == "spool.not_writable")


@pytest.mark.parametrize("audio_format", AudioFormat)
async def test_every_format_reports_a_full_disk(
    tmp_path: Path, audio_format: AudioFormat, capfd: pytest.CaptureFixture[str]
) -> None:
    """The disk fills up in the middle of the file: no draft is left, and the worker goes on."""
    with small_disk(tmp_path / "disk", "1200k") as disk:
        long, short = write_item(disk / "long", *talk(30.0)), write_item(disk / "short", *talk(1.0))
        filler = fill(disk, all_but_bytes=16384)
        async with working() as worker:
            assert isinstance(await worker.mix(mix_job(long, audio_format)), DiskFull)
            assert not list(long.glob(".*"))
            filler.unlink()
            assert isinstance(await worker.mix(mix_job(short, audio_format)), Mixture)
    assert capfd.readouterr().err == "", "the worker printed something"
