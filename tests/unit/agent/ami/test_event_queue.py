"""The queue is bounded, in order, and refuses an event when it is full."""

import asyncio
from datetime import UTC, datetime

import pytest

from agent.ami.event_queue import EventQueue
from agent.ami.message import AmiEvent, LinkDown, LinkUp

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def event(number: int) -> AmiEvent:
    return AmiEvent(name="Hangup", headers={"Uniqueid": str(number)}, received_at=NOW)


@pytest.mark.parametrize(
    ("most_events", "most_bytes", "sizes_bytes", "taken"),
    [
        (3, 1000, [1, 1, 1, 1], [True, True, True, False]),
        (9, 100, [60, 40, 1], [True, True, False]),
        (9, 100, [101], [False]),
    ],
)
def test_full_by_number_or_by_bytes(most_events: int, most_bytes: int, sizes_bytes: list[int], taken: list[bool]) -> None:
    queue = EventQueue(most_events, most_bytes)
    assert [queue.put_event(event(number), size) for number, size in enumerate(sizes_bytes)] == taken


async def test_a_consumed_event_makes_room() -> None:
    queue = EventQueue(2, 10)
    for number in range(5):
        assert queue.put_event(event(number), 10)
        assert not queue.put_event(event(number), 1)
        assert await queue.next() == event(number)


async def test_a_change_of_the_link_always_fits_in_order() -> None:
    queue = EventQueue(2, 100)
    up, down = LinkUp(version="11"), LinkDown(reason="overflow")
    queue.put_link(up)
    assert queue.put_event(event(1), 1)
    assert not queue.put_event(event(2), 1)
    queue.put_link(down)
    assert [await queue.next() for _ in range(3)] == [up, event(1), down]


async def test_there_is_room_once_half_is_consumed() -> None:
    queue = EventQueue(4, 100)
    await queue.room()
    while queue.put_event(event(0), 1):
        pass
    waiting = asyncio.create_task(queue.room())
    await queue.next()
    await asyncio.sleep(0)
    assert not waiting.done()
    await queue.next()
    await waiting


async def test_a_cancelled_wait_removes_nothing() -> None:
    queue = EventQueue(4, 100)
    impatient = asyncio.create_task(queue.next())
    await asyncio.sleep(0)
    queue.put_event(event(1), 1)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert await queue.next() == event(1)
