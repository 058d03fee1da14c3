"""Work that goes on beside the main one, none of which can fail unseen."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

PAUSE_S: Final = 1.0
_log = structlog.get_logger()


async def again_and_again(name: str, work: Callable[[], Awaitable[None]], pause_s: float = PAUSE_S) -> None:
    """Keep `work` going until cancelled: when it fails, that is logged and it is begun again after a pause."""
    while True:
        try:
            await work()
        except Exception:
            _log.exception("background.failed", task=name)
        await asyncio.sleep(pause_s)


@asynccontextmanager
async def supervised(name: str, work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Keep `work` going while the block runs, as `again_and_again` does."""
    task = asyncio.create_task(again_and_again(name, work), name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
