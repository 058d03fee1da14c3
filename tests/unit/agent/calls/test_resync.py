"""What was missed is found by asking twice; what is only on its way as an event is left to that event."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, cast

import pytest

from agent.ami.client import AmiClient
from agent.calls import resync as comparing
from agent.calls.call_registry import CallRegistry
from agent.calls.events import Event
from agent.calls.resync import Resync
from tests.unit.agent.fixtures import at, event, events

TALK = """
    0.0 start c PJSIP/trunk-1 2458152 89131234567
    0.1 start r PJSIP/acme-152-2
    0.2 ring  c r acme-152
    2.0 rung  c r ANSWER
    2.0 enter c B
    2.0 enter r B
"""
BOTH = {"c": "B", "r": "B"}
NAMES = {"c": "PJSIP/trunk-1", "r": "PJSIP/acme-152-2", "n": "PJSIP/acme-421-3"}


class Asterisk:
    """What it lists when asked, one state after the other, the last one for ever; `meanwhile` happens after the first."""

    connected = True
    behind = 0

    def __init__(self, *states: dict[str, str], meanwhile: Callable[[], None] = lambda: None) -> None:
        self._states, self._meanwhile = states, meanwhile
        self.asked = 0

    async def listing(self, name: str, /, timeout_s: float = 10, **headers: str) -> list[Any]:
        state = self._states[min(self.asked, len(self._states) - 1)]
        if name == "BridgeList":
            return [{"BridgeUniqueid": bridge, "BridgeType": "basic"} for bridge in set(state.values()) if bridge]
        self.asked += 1
        if self.asked == 1:
            asyncio.get_running_loop().call_soon(self._meanwhile)
        return [
            {"Uniqueid": channel, "Linkedid": "1", "Channel": NAMES[channel], "BridgeId": bridge, "Duration": "00:00:09"}
            for channel, bridge in state.items()
        ]


async def compared(board: CallRegistry, asterisk: Asterisk) -> list[str]:
    """What a comparison has found, as the names of events."""
    found: list[Event] = []

    def take(happened: Event) -> None:
        found.append(happened)
        board.take(happened)

    def ended_at(_: object) -> datetime:
        return at(9)

    checking = Resync(cast(AmiClient, asterisk), board, take, ended_at)
    checking.soon()
    running = asyncio.create_task(checking.run())
    await asyncio.sleep(6 * comparing.ON_THEIR_WAY_S)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return [type(happened).__name__ for happened in found]


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> CallRegistry:
    """One talk that goes on."""
    monkeypatch.setattr(comparing, "ON_THEIR_WAY_S", 0.02)
    board = CallRegistry()
    for happened in events(TALK):
        board.take(happened)
    return board


async def test_where_both_agree_it_is_asked_once(board: CallRegistry) -> None:
    asterisk = Asterisk(BOTH)
    assert await compared(board, asterisk) == []
    assert asterisk.asked == 1


async def test_a_call_whose_end_was_lost_ends(board: CallRegistry) -> None:
    assert await compared(board, Asterisk({})) == ["ChannelEnded", "ChannelEnded"]
    assert board.calls["1"].ended_at == at(9)


async def test_an_end_that_is_on_its_way_is_left_to_its_event(board: CallRegistry) -> None:
    """The list says it first; the event, which knows the cause, comes a moment later."""

    def hang_up() -> None:
        for line in ("5.0 end r 21", "5.0 end c 21"):
            board.take(event(line))

    assert await compared(board, Asterisk({}, meanwhile=hang_up)) == []
    assert (board.calls["1"].ended_at, board.calls["1"].channels["r"].cause) == (at(5), 21)


async def test_a_channel_that_came_after_the_list_was_asked_for_is_not_ended(board: CallRegistry) -> None:
    def come() -> None:
        board.take(event("5.0 start n PJSIP/acme-421-3"))

    assert await compared(board, Asterisk(BOTH, {**BOTH, "n": ""}, meanwhile=come)) == []


async def test_a_bridge_that_was_left_meanwhile_is_not_entered_again(board: CallRegistry) -> None:
    board.take(event("3.0 leave r B"))
    assert await compared(board, Asterisk(BOTH, {"c": "B", "r": ""})) == []


async def test_who_came_and_who_left_unheard_is_found(board: CallRegistry) -> None:
    assert await compared(board, Asterisk({"c": "B", "r": "", "n": "B"})) == ["BridgeLeft", "ChannelStarted", "BridgeEntered"]


async def test_nothing_is_concluded_while_events_wait_in_our_own_queue(board: CallRegistry) -> None:
    asterisk = Asterisk({})
    asterisk.behind = 1
    assert await compared(board, asterisk) == []
