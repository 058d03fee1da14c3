"""A watch of leg files that runs during a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from agent.recording.leg_watch import LegWatch


@asynccontextmanager
async def running(legs: LegWatch) -> AsyncIterator[None]:
    """Run the watch until the block ends, and close it."""
    watching = asyncio.create_task(legs.run())
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        legs.close()
