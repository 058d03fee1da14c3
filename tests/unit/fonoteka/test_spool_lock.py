"""The lock of a spool: one process has it, and notices when it is replaced."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fonoteka.core import spool_lock
from fonoteka.core.errors import SpoolTaken
from fonoteka.core.spool_lock import LOOK_EVERY_S, Holder, SpoolLock

HOLD = (
    "import sys; from pathlib import Path; from fonoteka.core.spool_lock import SpoolLock\n"
    "lock = SpoolLock.take(Path('agent')); print(lock is not None, flush=True); sys.stdin.read()"
)


async def test_a_lock_is_free_once_its_process_is_dead_and_not_while_it_is_stopped(tmp_path: Path) -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLD, cwd=tmp_path, stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"True\n"
    assert str(Holder.of(tmp_path / "agent")) == f"process {process.pid}"
    process.send_signal(signal.SIGSTOP)
    assert SpoolLock.take(tmp_path / "agent") is None
    process.kill()
    await process.wait()
    lock = SpoolLock.take(tmp_path / "agent")
    assert lock is not None
    assert Holder.of(tmp_path / "agent") == Holder.own()
    lock.close()


def test_who_replaces_a_lock_has_it_and_the_other_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(spool_lock, "time", SimpleNamespace(monotonic=lambda: now_s))
    path = tmp_path / "agent"
    first = SpoolLock.take(path)
    assert first is not None
    second = SpoolLock.replace(path)
    now_s += LOOK_EVERY_S + 0.1
    assert (first.is_held(), second.is_held()) == (False, True)
    with pytest.raises(SpoolTaken, match=f"process {os.getpid()} has taken over"):
        first.check()
    first.close()
    assert SpoolLock.take(path) is None, "the lock of the second is not free by the end of the first"
    path.unlink()
    now_s += LOOK_EVERY_S + 0.1
    assert second.is_held(), "a file that somebody removed is no other agent"
    second.close()


def test_an_inherited_descriptor_is_the_lock_and_outlives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "agent"
    parent = SpoolLock.take(path)
    assert parent is not None
    child = SpoolLock.inherit(path, parent.descriptor)
    assert child is not None
    child.close()
    assert SpoolLock.take(path) is None, "the parent has it still"
    SpoolLock.replace(path).close()
    assert SpoolLock.inherit(path, parent.descriptor) is None, "it was replaced"
    assert SpoolLock.inherit(path, 9999) is None
    parent.close()


@pytest.mark.parametrize(
    ("text", "here", "words"),
    [
        ("another-boot 7 far", False, "process 7 on far"),
        ("", True, "another process"),
        ("junk", True, "another process"),
    ],
)
def test_a_free_lock_of_another_kernel_proves_nothing(tmp_path: Path, text: str, here: bool, words: str) -> None:
    (tmp_path / "agent").write_text(text, encoding="utf-8")
    found = Holder.of(tmp_path / "agent")
    assert (found.is_here, str(found)) == (here, words)
