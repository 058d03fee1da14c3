"""Run background tasks so that no failure goes unnoticed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

PAUSE_S: Final = 1.0
CLEANUP_S: Final = 10.0  # what cancelled work may take to clean up
_log = structlog.get_logger()


async def again_and_again(name: str, work: Callable[[], Awaitable[None]], pause_s: float = PAUSE_S) -> None:
    """Run `work` until cancelled; log each failure and start `work` again after a pause."""
    while True:
        try:
            await work()
        except Exception:
            _log.exception("background.failed", task=name)
        await asyncio.sleep(pause_s)


@asynccontextmanager
async def supervised(name: str, work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run `work` as `again_and_again` does, while the block runs.

    `work` that goes on after CLEANUP_S is cancelled again: libraries may lose a cancellation, as
    `asyncio.wait_for` of Python 3.11 does.
    """
    task = asyncio.create_task(again_and_again(name, work), name=name)
    try:
        yield
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=CLEANUP_S)
        with suppress(asyncio.CancelledError):
            await task
