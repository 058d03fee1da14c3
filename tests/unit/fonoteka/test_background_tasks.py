"""A background task ends with its block, also if its work loses a cancellation."""

import asyncio
from contextlib import suppress

import pytest

from fonoteka.core import background_tasks
from fonoteka.core.background_tasks import supervised


async def test_a_lost_cancellation_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_tasks, "CLEANUP_S", 0.01)
    began = 0

    async def work() -> None:
        nonlocal began
        began += 1
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        if began < 3:
            await work()
        else:
            await asyncio.Event().wait()

    async with supervised("deaf", work):
        while not began:
            await asyncio.sleep(0)
    assert began == 3


async def test_failed_work_is_begun_again() -> None:
    begun = asyncio.Event()
    failures = iter([OSError("once")])

    async def work() -> None:
        for failure in failures:
            raise failure
        begun.set()
        await asyncio.Event().wait()

    async with supervised("unlucky", work):
        await begun.wait()
