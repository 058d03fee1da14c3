"""Wait for a condition instead of a time: the only polling loop of the lab and the tests."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

T = TypeVar("T")

# Generous: a machine may stand still, and a condition that holds is not waited for.
LIMIT_S: Final = 60.0
_FIRST_PAUSE_S: Final = 0.02
_LAST_PAUSE_S: Final = 0.5


@overload
async def eventually(condition: Callable[[], Awaitable[T | None]], *, within_s: float = LIMIT_S) -> T: ...


@overload
async def eventually(condition: Callable[[], T | None], *, within_s: float = LIMIT_S) -> T: ...


async def eventually(condition: Callable[[], Any], *, within_s: float = LIMIT_S) -> Any:
    """Return the first truthy value of the condition (a plain or an async function).

    The condition is evaluated every 20 ms at first, later every 500 ms (it may cost a request), and
    once more after the limit. Raises AssertionError with the condition and its last value.
    """
    deadline, pause_s = time.monotonic() + within_s, _FIRST_PAUSE_S
    while True:
        is_last = time.monotonic() > deadline
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if is_last:
            raise AssertionError(f"not within {within_s:.0f} s: {_source(condition)}; its last value is {value!r}")
        await asyncio.sleep(pause_s)
        pause_s = min(_LAST_PAUSE_S, 1.1 * pause_s)


def _source(condition: Callable[[], object]) -> str:
    try:
        return " ".join(inspect.getsource(condition).split())
    except (OSError, TypeError):
        return repr(condition)
