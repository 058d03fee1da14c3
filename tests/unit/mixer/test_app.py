"""The running mixer: a real spool, real worker processes, and their failures."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fonoteka.core.call_report import Reason
from fonoteka.core.config import Configuration, PbxSection
from fonoteka.core.errors import SpoolError
from fonoteka.core.manifest import read_failure, read_mixed
from fonoteka.core.spool import ItemState, Spool, held
from mixer.app import run
from tests.support.legs import EMPLOYEE_LEG, OUTSIDE_LEG, close_day, close_item, header, hear, replace_legs, talk, write_item
from tests.unit.mixer.running_mixer import midway, mixing, names, runs, until, worker_pids


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    return spool


async def test_waiting_and_new_recordings_are_mixed(spool: Spool) -> None:
    close_item(spool, "there-before", *talk(1.0))
    async with mixing(spool):
        await until(lambda: names(spool, ItemState.MIXED) == {"there-before"})
        close_item(spool, "comes-later", *talk(2.0))
        await until(lambda: names(spool, ItemState.MIXED) == {"there-before", "comes-later"})
    item = spool.folder(ItemState.MIXED) / "comes-later"
    mixed = read_mixed(item)
    assert (mixed.audio_file, mixed.duration_ms, mixed.salvaged) == ("audio.opus", 2000, False)
    assert hear(item / mixed.audio_file).loudest_hz(0) == pytest.approx(440, abs=2)
    there = {path.name for path in item.iterdir()}
    assert {OUTSIDE_LEG, EMPLOYEE_LEG, "manifest.json"} <= there, "the legs stay until the store's receipt"


def yields_to_voice(pid: int) -> bool:
    """Return whether a worker has the lowest priority in its session and among all sessions."""
    autogroup = Path(f"/proc/{pid}/autogroup")  # where Linux schedules by sessions
    return (
        os.getpriority(os.PRIO_PROCESS, pid) == 19
        and os.sched_getscheduler(pid) == os.SCHED_IDLE
        and (not autogroup.exists() or autogroup.read_text(encoding="ascii").endswith(" nice 19\n"))
    )


async def test_the_worker_yields_to_voice(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FONOTEKA_MIXER_URGENT")
    async with mixing(spool):
        await until(worker_pids)
        (worker,) = worker_pids()
        await until(lambda: yields_to_voice(worker))
        assert os.getsid(worker) == worker


async def test_what_cannot_be_mixed_is_set_aside_and_the_next_is_mixed(spool: Spool) -> None:
    close_item(spool, "nothing-said", header(0), header(0))
    close_item(spool, "no-audio", b"nonsense" * 9, b"nonsense" * 9)
    close_item(spool, "no-manifest", *talk(1.0))
    (spool.folder(ItemState.CLOSED) / "no-manifest" / "manifest.json").write_text("{}")
    close_item(spool, "good", *talk(1.0))
    with capture_logs() as logs:
        async with mixing(spool):
            await until(lambda: names(spool, ItemState.MIXED))
    rejected = spool.folder(ItemState.REJECTED)
    assert {item: read_failure(rejected / item).reason for item in names(spool, ItemState.REJECTED)} == {
        "nothing-said": Reason.NO_AUDIO,
        "no-audio": Reason.AUDIO_DAMAGED,
        "no-manifest": Reason.AUDIO_DAMAGED,
    }
    assert {line["segment"] for line in logs if line["event"] == "recording.rejected"} == names(spool, ItemState.REJECTED)
    assert [line["linkedid"] for line in logs if line["event"] == "recording.mixed"] == ["1795391022.0"]


def put_fifo(path: Path) -> None:
    os.mkfifo(path)


def put_link(path: Path) -> None:
    (path.parent / "elsewhere").write_bytes(talk(1.0)[0])
    path.symlink_to("elsewhere")


def put_device(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero


ODD_FILES: dict[str, Callable[[Path], None]] = {
    "a FIFO": put_fifo,
    "a symbolic link": put_link,
    "a folder": Path.mkdir,
    "a device": put_device,
}


async def test_something_else_than_a_file_is_set_aside_at_once(spool: Spool) -> None:
    """None is opened: a FIFO would hold the worker, or the mixer, for ever."""
    expected = {}
    for kind, put in ODD_FILES.items():
        for file in (OUTSIDE_LEG, "manifest.json"):
            folder = write_item(spool.folder(ItemState.RECORDING) / f"{kind[2:8].strip()}-{file[:3]}", *talk(1.0))
            (folder / file).unlink()
            put(folder / file)
            spool.move(folder, ItemState.CLOSED)
            expected[folder.name] = f"{file} is {kind}, not a file"
    cut = write_item(spool.folder(ItemState.RECORDING) / "cut", *talk(1.0))
    os.truncate(cut / "manifest.json", 200)
    spool.move(cut, ItemState.CLOSED)
    close_item(spool, "next", *talk(1.0))
    async with mixing(spool):
        await until(lambda: names(spool, ItemState.MIXED))
        assert names(spool, ItemState.REJECTED) == {"cut", *expected}, "the others came first"
    rejected = spool.folder(ItemState.REJECTED)
    assert {name for name, detail in expected.items() if detail not in read_failure(rejected / name).detail} == set()


async def test_a_short_recording_does_not_wait_for_a_long_one(spool: Spool) -> None:
    """The long one has two legs of 2 GiB; its worker ends with it."""
    close_day(spool, "long", 2 * 1024**3)
    async with mixing(spool):
        await until(lambda: midway(spool))
        for name in ("short", "shorter"):
            close_item(spool, name, *talk(1.0))
            await until(lambda name=name: name in names(spool, ItemState.MIXED))  # type: ignore[misc]
        assert names(spool, ItemState.MIXING) == {"long"}
        replace_legs(spool.folder(ItemState.MIXING) / "long", *talk(1.0))
        worker = midway(spool)
        assert worker is not None
        os.kill(worker, signal.SIGKILL)
        await until(lambda: "long" in names(spool, ItemState.MIXED))
        await until(lambda: len(worker_pids()) == 1)


async def test_a_missing_leg_is_logged(spool: Spool) -> None:
    close_item(spool, "half", talk(1.0)[0], None)
    with capture_logs() as logs:
        async with mixing(spool):
            await until(lambda: names(spool, ItemState.MIXED))
    salvaged = [(line["segment"], line["reason"]) for line in logs if line["event"] == "leg.salvaged"]
    assert salvaged == [("half", "employee.wav: missing")]


async def test_a_killed_worker_loses_nothing(spool: Spool) -> None:
    close_day(spool, "long")
    async with mixing(spool):
        await until(lambda: midway(spool))
        first = midway(spool)
        assert first is not None
        replace_legs(spool.folder(ItemState.MIXING) / "long", *talk(3.0))
        os.kill(first, signal.SIGKILL)
        close_item(spool, "next", *talk(1.0))
        await until(lambda: names(spool, ItemState.MIXED) == {"long", "next"})
        assert worker_pids().isdisjoint({first})
    item = spool.folder(ItemState.MIXED) / "long"
    assert read_mixed(item).duration_ms == 3000
    assert not list(item.glob(".*")), "a draft of the killed worker is left"


async def test_a_recording_that_kills_two_workers_is_set_aside(spool: Spool) -> None:
    close_day(spool, "deadly")
    async with mixing(spool):
        killed = set[int]()
        while len(killed) < 2:
            await until(lambda: midway(spool) not in {None, *killed})
            worker = midway(spool)
            assert worker is not None
            os.kill(worker, signal.SIGKILL)
            killed.add(worker)
            await until(lambda: not any(map(runs, killed)))
        close_item(spool, "next", *talk(1.0))
        await until(lambda: (names(spool, ItemState.MIXED), names(spool, ItemState.REJECTED)) == ({"next"}, {"deadly"}))
    failure = read_failure(spool.folder(ItemState.REJECTED) / "deadly")
    assert failure.reason is Reason.AUDIO_DAMAGED
    assert "killed by signal 9" in failure.detail


async def test_stopping_returns_the_recording_and_leaves_no_process(spool: Spool) -> None:
    close_day(spool, "long")
    async with mixing(spool):
        await until(lambda: midway(spool))
    assert names(spool, ItemState.CLOSED) == {"long"}
    assert worker_pids() == set()


async def test_a_mixer_killed_midway_is_taken_over(spool: Spool) -> None:
    """The process and its workers die; another mixer finds the lock free and mixes again."""
    close_day(spool, "long")
    script = (
        "import asyncio; from pathlib import Path; from mixer.app import run;"
        "from fonoteka.core.config import Configuration, PbxSection;"
        f"asyncio.run(run(Configuration(pbx=PbxSection(spool=Path({str(spool.root)!r})))))"
    )
    victim = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", script], stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[3]
    )
    await until(lambda: midway(spool))
    workers = worker_pids(parent=victim.pid)
    victim.kill()
    victim.wait()
    assert workers
    await until(lambda: not any(map(runs, workers)))
    assert names(spool, ItemState.MIXING) == {"long"}
    replace_legs(spool.folder(ItemState.MIXING) / "long", *talk(3.0))
    async with mixing(spool):
        await until(lambda: names(spool, ItemState.MIXED) == {"long"})
    item = spool.folder(ItemState.MIXED) / "long"
    mixed = read_mixed(item)
    assert mixed.duration_ms == 3000
    assert not list(item.glob(".*"))


async def test_a_recording_that_a_living_mixer_holds_is_left_alone(spool: Spool) -> None:
    elsewhere = write_item(spool.folder(ItemState.MIXING) / "elsewhere", *talk(1.0))
    with held(elsewhere) as ours:
        assert ours
        async with mixing(spool):
            close_item(spool, "here", *talk(1.0))
            await until(lambda: names(spool, ItemState.MIXED) == {"here"})
        assert names(spool, ItemState.MIXING) == {"elsewhere"}


async def test_mixers_on_one_spool_share_the_work(spool: Spool) -> None:
    for number in range(24):
        close_item(spool, f"item-{number}", *talk(1.0))
    with capture_logs() as logs:
        async with mixing(spool, workers=2), mixing(spool):
            await until(lambda: len(spool.items(ItemState.MIXED)) == 24)
    assert sorted(line["segment"] for line in logs if line["event"] == "recording.mixed") == sorted(f"item-{n}" for n in range(24))
    assert not [line for line in logs if line["log_level"] != "info"]


async def test_a_spool_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match="cannot be written"):
        await run(Configuration(pbx=PbxSection(spool=tmp_path / "file" / "spool")))
