"""Work for a client who may go away meanwhile, of which nobody tells who does not listen."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from api.http.problems import Problem

T = TypeVar("T")


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What the work gives; cancelled, and waited for, when the client goes. Raises what the work raises."""
    working = asyncio.create_task(work, name=f"working: {request.url.path}")
    leaving = asyncio.create_task(_gone(request), name="leaving")
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Problem(408, "client-gone")  # which nobody hears
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
