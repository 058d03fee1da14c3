"""A child process that works on a store and is killed at a chosen step, as by `kill -9`.

Steps are SQL statements, commits, the release of a connection after its commit, each time that a
file is deleted, synced or exchanged with another, and each change of a bucket. `count_steps` runs
the work to its end and returns their number.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Pool, event

from fonoteka.core.config import StoreSection
from store.database.store import Store
from store.objects import folder as objects
from store.objects.s3_client import S3Client
from store.objects.s3_versions import S3Versions
from tests.support.forked import CONTEXT

Work = Callable[[Store], Coroutine[Any, Any, None]]
"""A function of a module: the child imports it."""


async def count_steps(section: StoreSection, work: Work, folder: Path) -> int:
    """Run the work to its end in a child; return the number of its steps."""
    counted = folder / "steps"
    assert await _child(section, work, 0, counted) == 0
    return int(counted.read_text(encoding="ascii"))


async def kill_at(step: int, section: StoreSection, work: Work, folder: Path) -> None:
    """Run the work in a child that is killed after this step, counted from 1."""
    assert await _child(section, work, step, folder / "steps") == -signal.SIGKILL


async def _child(section: StoreSection, work: Work, step: int, counted: Path) -> int | None:
    process = CONTEXT.Process(target=_run, args=(section, work, step, counted))
    process.start()
    await asyncio.to_thread(process.join)
    return process.exitcode


def _run(section: StoreSection, work: Work, step: int, counted: Path) -> None:
    done = 0

    def count(*_: object) -> None:
        nonlocal done
        done += 1
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted_after(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **options: Any) -> Any:
            result = function(*given, **options)
            count()
            return result

        return call

    async def working() -> None:
        store = await Store.open(section)
        event.listen(Engine, "after_cursor_execute", count)
        event.listen(Engine, "commit", count)
        event.listen(Pool, "checkin", count)
        changes: list[tuple[Any, str]] = [(os, "unlink"), (os, "fsync"), (objects, "exchange")]
        changes += [(S3Client, "put"), (S3Client, "copy"), (S3Versions, "remove"), (S3Versions, "forget_replaced")]
        for module, name in changes:
            setattr(module, name, counted_after(getattr(module, name)))
        try:
            await work(store)
            counted.write_text(str(done), encoding="ascii")
        finally:
            await store.close()

    asyncio.run(working())
