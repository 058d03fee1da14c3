"""Cancel work when the client disconnects: ASGI reports that only to a reader of the request."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from api.http.problems import Problem

T = TypeVar("T")


async def cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of the work; cancel the work, and wait for its end, if the client leaves.

    Raises the exceptions of the work.
    """
    working = asyncio.create_task(work, name=f"working: {request.url.path}")
    disconnect = asyncio.create_task(_wait_for_disconnect(request), name="client disconnect")
    try:
        await asyncio.wait((working, disconnect), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Problem(408, "client-gone")  # never received
        return working.result()
    finally:
        working.cancel()
        disconnect.cancel()
        await asyncio.gather(working, disconnect, return_exceptions=True)


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
