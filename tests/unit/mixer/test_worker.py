"""A worker process without a mixer."""

import os
import signal
from pathlib import Path

import pytest

from fonoteka.core.manifest import AudioFormat, Layout
from mixer import worker_pool
from mixer.job import WorkerFailed
from mixer.mix import Mixture
from tests.support.eventually import eventually
from tests.support.legs import copies, mix, talk, write_item
from tests.unit.mixer.running_mixer import mix_job, runs, working


def memory_mb(pid: int | None, key: str) -> float:
    """Return a value of /proc/PID/status in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(key))


async def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    """RssAnon is what the worker allocates; bench/mixer.py measures the shared pages too."""
    highest_mb = []
    async with working() as worker:
        for minutes in (1, 10):
            item = write_item(tmp_path / f"{minutes}", *talk(60.0 * minutes))
            assert isinstance(await worker.mix(mix_job(item, AudioFormat.OPUS)), Mixture)
            highest_mb.append(memory_mb(worker.pid, "VmHWM"))
        assert memory_mb(worker.pid, "RssAnon") <= 28
    assert highest_mb[1] - highest_mb[0] < 4  # nine minutes of legs are 17 MB; allocators alone differ by 2 MB


async def test_a_worker_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item = write_item(tmp_path / "item", *talk(3.0))
    async with working() as worker:
        await worker.start()
        assert worker.pid is not None
        hung = worker.pid
        os.kill(hung, signal.SIGSTOP)
        with monkeypatch.context() as impatient:
            impatient.setattr(worker_pool, "_LEAST_PATIENCE_S", 0.5)
            impatient.setattr(worker_pool, "_BYTES_PER_SECOND", 3.0 * 16_000)
            reply = await worker.mix(mix_job(item, AudioFormat.OPUS))
        assert reply == WorkerFailed(detail="no reply within 2 s")
        assert not runs(hung)
        assert isinstance(await worker.mix(mix_job(item, AudioFormat.OPUS)), Mixture)


async def test_a_worker_that_died_idle_is_replaced_before_the_next_job(tmp_path: Path) -> None:
    item = write_item(tmp_path / "item", *talk(3.0))
    async with working() as worker:
        await worker.start()
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        await eventually(lambda: worker.pid is None)
        assert isinstance(await worker.mix(mix_job(item, AudioFormat.OPUS)), Mixture)


async def test_worker_and_direct_call_agree(tmp_path: Path) -> None:
    item = write_item(tmp_path / "item", *talk(3.0))
    direct = mix(item, AudioFormat.OPUS, Layout.STEREO)
    files = copies(item, [direct.audio_file, direct.peaks_file])
    async with working() as worker:
        reply = await worker.mix(mix_job(item, AudioFormat.OPUS))
    assert reply == Mixture(mixed=direct, troubles=())
    assert copies(item, [direct.audio_file, direct.peaks_file]) == files
