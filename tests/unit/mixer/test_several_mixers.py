"""Two mixers, each a process, on one spool: each recording is mixed once, though one is killed."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from fonoteka.core.manifest import MANIFEST_FILE, read_mixed
from fonoteka.core.spool import ItemState, Spool, held
from tests.support.legs import close_day, close_item, replace_legs, talk, write_item
from tests.unit.mixer.running_mixer import midway, mixing, names, runs, until, worker_pids

SHORT: Final = 16
LOCK: Final = (
    "import fcntl, signal, sys; file = open(sys.argv[1], 'r+b'); fcntl.lockf(file, fcntl.LOCK_EX);"
    "print('locked', flush=True); signal.pause()"
)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path / "spool")
    made.prepare()
    return made


async def mixer(folder: Path, name: str) -> asyncio.subprocess.Process:
    """Start `fonoteka mixer` on the spool in `folder`; its log is the file of its name."""
    (folder / "fonoteka.toml").write_text('[pbx]\nspool = "spool"\n', encoding="utf-8")
    with (folder / f"{name}.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fonoteka", "mixer"),
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            stdout=log,
            stderr=log,
        )


def mixed_by(folder: Path, name: str) -> list[str]:
    """Return the recordings that a mixer has mixed, in the words of its log."""
    lines = (folder / f"{name}.log").read_text(encoding="utf-8").splitlines()
    return [
        word.removeprefix("segment=") for line in lines if "recording.mixed" in line for word in line.split() if "segment=" in word
    ]


async def test_each_recording_is_mixed_once_though_one_mixer_is_killed(spool: Spool, tmp_path: Path) -> None:
    """The killed one has a day of talk in its hands, which the other one then takes."""
    close_day(spool, "long")
    one = await mixer(tmp_path, "one")
    await until(lambda: midway(spool))
    other = await mixer(tmp_path, "other")
    for number in range(SHORT):
        close_item(spool, f"item-{number}", *talk(1.0))
    await until(lambda: len(spool.items(ItemState.MIXED)) == SHORT)
    assert names(spool, ItemState.MIXING) == {"long"}, "the one that lives has left it alone"
    workers = worker_pids(parent=one.pid)
    one.send_signal(signal.SIGKILL)
    await one.wait()
    await until(lambda: not any(map(runs, workers)))
    folders = (spool.folder(state) / "long" for state in (ItemState.MIXING, ItemState.CLOSED))
    assert any(folder.exists() for folder in folders)
    await until(lambda: "recording.reclaimed" in (tmp_path / "other.log").read_text(encoding="utf-8"))
    other.terminate()  # a day of talk takes long: it is returned, and shortened
    await other.wait()
    replace_legs(spool.folder(ItemState.CLOSED) / "long", *talk(3.0))
    async with mixing(spool):
        await until(lambda: len(spool.items(ItemState.MIXED)) == SHORT + 1)
    mixed = mixed_by(tmp_path, "one") + mixed_by(tmp_path, "other")
    assert sorted(mixed) == sorted(f"item-{number}" for number in range(SHORT))
    assert read_mixed(spool.folder(ItemState.MIXED) / "long").duration_ms == 3000
    assert names(spool, ItemState.REJECTED) == set()


def test_a_mixer_of_another_machine_is_seen_by_its_record_lock(spool: Spool) -> None:
    """A server of NFS has the locks of its clients as record locks, which flock() does not see."""
    item = write_item(spool.folder(ItemState.MIXING) / "elsewhere", *talk(1.0))
    client = subprocess.Popen([sys.executable, "-c", LOCK, str(item / MANIFEST_FILE)], stdout=subprocess.PIPE)
    assert client.stdout is not None
    assert client.stdout.readline() == b"locked\n"
    with held(item) as is_ours:
        assert not is_ours
    client.kill()
    client.communicate()
    with held(item) as is_ours, held(item) as again:
        assert (is_ours, again) == (True, False)


def test_an_item_without_a_manifest_has_the_lock_of_its_folder(spool: Spool) -> None:
    item = write_item(spool.folder(ItemState.MIXING) / "broken", *talk(1.0))
    (item / MANIFEST_FILE).unlink()
    os.mkfifo(item / MANIFEST_FILE)
    with held(item) as is_ours, held(item) as again:
        assert (is_ours, again) == (True, False)
    with pytest.raises(FileNotFoundError), held(item / "gone"):
        pass
