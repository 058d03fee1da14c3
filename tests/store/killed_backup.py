"""A child process that makes a backup and is killed at a chosen step, as by `kill -9`.

A step is before a file or a database is opened, made, linked, renamed or deleted.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Final

from fonoteka.core.config import StoreSection
from store.backup.backup import make_backup
from tests.support.forked import CONTEXT

_STEPS: Final = {"open", "os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "sqlite3.connect"}


async def count_steps(section: StoreSection, target: Path, counted: Path) -> int:
    """Make the backup in a child; return the number of its steps."""
    assert await _child(section, target, 0, counted) == 0
    return int(counted.read_text(encoding="ascii"))


async def kill_at(step: int, section: StoreSection, target: Path, counted: Path) -> None:
    """Make the backup in a child that is killed at this step, counted from 1."""
    assert await _child(section, target, step, counted) == -signal.SIGKILL


async def _child(section: StoreSection, target: Path, step: int, counted: Path) -> int | None:
    process = CONTEXT.Process(target=_run, args=(section, target, step, counted))
    process.start()
    await asyncio.to_thread(process.join)
    return process.exitcode


def _run(section: StoreSection, target: Path, step: int, counted: Path) -> None:
    done = 0

    def count(event: str, _: object) -> None:
        nonlocal done
        if event in _STEPS:
            done += 1
            if done == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    make_backup(section, target)
    counted.write_text(str(done), encoding="ascii")
