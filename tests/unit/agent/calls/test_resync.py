"""A missed event is found by listing twice; an event that is still on its way is left to arrive."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import pytest

from agent.ami.client import AmiClient
from agent.calls import resync
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
    """Lists one state after the other, the last one repeatedly.

    `meanwhile` runs after the first list. `events_heard` of the client, and why it was renewed.
    """

    connected = True
    behind = 0
    events_heard = 1
    renewed = ""

    def renew(self, reason: str) -> None:
        self.renewed = reason

    def __init__(self, *states: dict[str, str], meanwhile: Callable[[], None] = lambda: None) -> None:
        self._states, self._meanwhile = states, meanwhile
        self.lists = 0
        self.listed = asyncio.Event()

    async def listing(self, name: str, /, timeout_s: float = 10, **headers: str) -> list[Any]:
        state = self._states[min(self.lists, len(self._states) - 1)]
        if name == "BridgeList":
            return [{"BridgeUniqueid": bridge, "BridgeType": "basic"} for bridge in set(state.values()) if bridge]
        self.lists += 1
        self.listed.set()
        if self.lists == 1:
            asyncio.get_running_loop().call_soon(self._meanwhile)
        return [
            {"Uniqueid": channel, "Linkedid": "1", "Channel": NAMES[channel], "BridgeId": bridge, "Duration": "00:00:09"}
            for channel, bridge in state.items()
        ]


def resync_of(registry: CallRegistry, asterisk: Asterisk, missed: list[str]) -> Resync:
    """A comparison that notes the types of the missed events."""

    def take(happened: Event) -> None:
        missed.append(type(happened).__name__)
        registry.take(happened)

    return Resync(cast(AmiClient, asterisk), registry, take, lambda _: at(9))


async def compared(registry: CallRegistry, asterisk: Asterisk) -> list[str]:
    """The types of the events that one comparison folds."""
    missed: list[str] = []
    await resync_of(registry, asterisk, missed).compare()
    return missed


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> CallRegistry:
    """One talk in progress. Events need one turn of the loop to arrive."""
    monkeypatch.setattr(resync, "EVENTS_ARRIVE_WITHIN_S", 0.001)
    registry = CallRegistry()
    for happened in events(TALK):
        registry.take(happened)
    return registry


async def test_a_request_is_followed_by_a_comparison(registry: CallRegistry) -> None:
    asterisk = Asterisk(BOTH)
    comparison = resync_of(registry, asterisk, [])
    running = asyncio.create_task(comparison.run())
    comparison.request()
    await asyncio.wait_for(asterisk.listed.wait(), 60)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_without_a_difference_asterisk_is_asked_once(registry: CallRegistry) -> None:
    asterisk = Asterisk(BOTH)
    assert await compared(registry, asterisk) == []
    assert asterisk.lists == 1


async def test_a_call_whose_end_was_lost_ends(registry: CallRegistry) -> None:
    assert await compared(registry, Asterisk({})) == ["ChannelEnded", "ChannelEnded"]
    assert registry.calls["1"].ended_at == at(9)


async def test_an_end_that_is_on_its_way_is_left_to_its_event(registry: CallRegistry) -> None:
    """The list shows it first; the event, which has the cause, arrives a moment later."""

    def hang_up() -> None:
        for line in ("5.0 end r 21", "5.0 end c 21"):
            registry.take(event(line))

    assert await compared(registry, Asterisk({}, meanwhile=hang_up)) == []
    assert (registry.calls["1"].ended_at, registry.calls["1"].channels["r"].cause) == (at(5), 21)


async def test_a_channel_that_began_after_the_list_is_not_ended(registry: CallRegistry) -> None:
    def come() -> None:
        registry.take(event("5.0 start n PJSIP/acme-421-3"))

    assert await compared(registry, Asterisk(BOTH, {**BOTH, "n": ""}, meanwhile=come)) == []


async def test_a_bridge_that_was_left_meanwhile_is_not_entered_again(registry: CallRegistry) -> None:
    registry.take(event("3.0 leave r B"))
    assert await compared(registry, Asterisk(BOTH, {"c": "B", "r": ""})) == []


async def test_missed_channels_and_bridges_are_found(registry: CallRegistry) -> None:
    assert await compared(registry, Asterisk({"c": "B", "r": "", "n": "B"})) == ["BridgeLeft", "ChannelStarted", "BridgeEntered"]


async def test_nothing_is_concluded_while_events_wait_in_the_queue(registry: CallRegistry) -> None:
    asterisk = Asterisk({})
    asterisk.behind = 1
    assert await compared(registry, asterisk) == []


async def test_changes_without_a_single_event_are_a_silent_pbx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resync, "EVENTS_ARRIVE_WITHIN_S", 0)
    registry, asterisk, missed = CallRegistry(), Asterisk({}, {}, {"n": ""}), list[str]()
    comparing = resync_of(registry, asterisk, missed)
    await comparing.compare()  # of a quiet PBX
    await comparing.compare()
    assert not comparing.silent
    await comparing.compare()
    assert (missed, comparing.silent) == (["ChannelStarted"], True)
    assert "read = system,call,dialplan,agent" in asterisk.renewed


async def test_a_silent_pbx_is_logged_in_to_each_minute_although_nobody_calls() -> None:
    """Its account may be mended, and the next call is to be heard from its first event."""
    asterisk = Asterisk({})
    comparing = resync_of(CallRegistry(), asterisk, [])
    comparing.silent = True
    await comparing.after_login(_nothing)
    await comparing.compare()
    assert asterisk.renewed == ""
    comparing._logged_in_at -= resync.COMPARE_EVERY_S
    await comparing.compare()
    assert "read = system,call,dialplan,agent" in asterisk.renewed
    assert comparing.silent, "no event has come yet"


async def _nothing(_: object) -> None:
    """There is nothing to catch up with."""


async def test_a_missed_change_among_events_is_no_silent_pbx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resync, "EVENTS_ARRIVE_WITHIN_S", 0)
    registry, asterisk, missed = CallRegistry(), Asterisk({}, {"n": ""}), list[str]()
    comparing = resync_of(registry, asterisk, missed)
    await comparing.compare()
    asterisk.events_heard += 1
    await comparing.compare()
    assert (missed, comparing.silent, asterisk.renewed) == (["ChannelStarted"], False, "")


@pytest.mark.parametrize("begun", [False, True], ids=["begins meanwhile", "began before the login"])
async def test_a_comparison_does_not_overtake_the_catching_up_after_a_login(registry: CallRegistry, begun: bool) -> None:
    """It would end a call whose end is still to be read from the journal, and log in again."""
    asterisk, missed = Asterisk({}), list[str]()
    comparing = resync_of(registry, asterisk, missed)
    comparing._events_heard = asterisk.events_heard
    comparison = asyncio.create_task(comparing.compare()) if begun else None
    if begun:
        await asterisk.listed.wait()

    async def catch_up(_: object) -> None:
        await (comparison or comparing.compare())
        assert missed == []

    await comparing.after_login(catch_up)
    assert (missed, comparing.silent) == (["ChannelEnded", "ChannelEnded"], False)
