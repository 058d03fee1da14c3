"""Wait for a condition instead of a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

T = TypeVar("T")

LIMIT_S: Final = 60.0
_PAUSE_S: Final = 0.02


@overload
async def eventually(condition: Callable[[], Awaitable[T]], *, within_s: float = LIMIT_S) -> T: ...


@overload
async def eventually(condition: Callable[[], T], *, within_s: float = LIMIT_S) -> T: ...


async def eventually(condition: Callable[[], Any], *, within_s: float = LIMIT_S) -> Any:
    """Return the first truthy value of the condition, a plain or an async function.

    The condition is evaluated every 20 ms. Raises AssertionError, with the condition, at the limit.
    """
    deadline = time.monotonic() + within_s
    while True:
        is_last = time.monotonic() > deadline
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        assert not is_last, f"not within {within_s:.0f} s: {inspect.getsource(condition).strip()}"
        await asyncio.sleep(_PAUSE_S)
