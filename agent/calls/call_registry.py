"""The calls in progress: finds the call of each event and folds the event into it. No I/O."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final

from agent.calls.call_state import Call, RecordingStage
from agent.calls.events import (
    BridgeEntered,
    BridgeLeft,
    ChannelEnded,
    ChannelStarted,
    Event,
    PickedUp,
    RecordingEvent,
)
from agent.calls.fold import assemble
from agent.calls.merge import merged
from fonoteka.core.naming import safe

# A call does not keep its earlier bridges, so the bridges of forgotten calls are removed together.
SWEEP_BRIDGES_AT: Final = 1000


class CallRegistry:
    """The calls that are not settled, indexed by linkedid, channel, bridge and recording.

    While the store is away, calls that only wait for it are left to the journal (`leave`).
    `in_journal` returns such a call, given by its linkedid, as an event of it may still come: its
    recording was stored, say.
    """

    def __init__(self, calls: Iterable[Call] = (), in_journal: Callable[[str], Call | None] = lambda _: None) -> None:
        self.calls: dict[str, Call] = {}
        self._in_journal = in_journal
        self._merged: list[Call] = []
        self._call_of_channel: dict[str, str] = {}
        self._call_in_bridge: dict[str, str] = {}
        self._call_of_recording: dict[str, str] = {}
        self.restore(calls)

    def restore(self, calls: Iterable[Call]) -> None:
        """Add calls of an earlier run; a channel in several of them belongs to the first."""
        for call in calls:
            self._keep(call)

    def fold(self, event: Event) -> tuple[Call | None, Call | None]:
        """Fold an event into its call. Returns the call before and after, the same if unchanged.

        Only a channel begins a call: for any other event of an unknown call, both are None.
        """
        if isinstance(event, BridgeEntered) and not event.conference:
            self._merge_into_bridge(event)
        if isinstance(event, PickedUp):
            self._merge(self._call_of(event), self.calls.get(self._call_of_channel.get(event.by, "")))
        before = self._call_of(event)
        if before is None and not isinstance(event, ChannelStarted):
            return None, None
        after = assemble(before, event)
        if after is not before:
            self._keep(after)
        return before, after

    def take(self, event: Event) -> Call | None:
        """Fold an event into its call. Returns the call if the event changed it."""
        before, after = self.fold(event)
        return None if after is before else after

    def take_merged(self) -> list[Call]:
        """Return the calls that became part of other calls since the last time."""
        merged_calls, self._merged = self._merged, []
        return merged_calls

    def _call_of(self, event: Event) -> Call | None:
        """Return the call of an event: of its channel, else of its linkedid.

        Asterisk changes the linkedid of a channel during a call, so the channel counts first.
        """
        if isinstance(event, RecordingEvent):
            return self.with_recording(event.segment)
        of_channel = (found for uniqueid in event.channels if (found := self._call_of_channel.get(uniqueid)) is not None)
        return self.call(next(of_channel, event.linkedid))

    def _merge_into_bridge(self, event: BridgeEntered) -> None:
        """Merge two calls when a channel of one enters a bridge with channels of the other."""
        there = self.call(self._call_in_bridge.get(event.bridge, ""))
        if there is not None and any(there.members(event.bridge)):
            self._merge(self._call_of(event), there)

    def _merge(self, one: Call | None, other: Call | None) -> None:
        if one is None or other is None or one is other:
            return
        continuing, part = merged(one, other)
        for uniqueid in part.channels:
            self._call_of_channel[uniqueid] = continuing.linkedid
        self._keep(continuing)
        self.calls[part.linkedid] = part
        self._merged.append(part)

    def call(self, linkedid: str) -> Call | None:
        """Return the call with this linkedid, or the call that it became a part of."""
        call = self._find(linkedid)
        return self._find(call.merged_into) or call if call is not None and call.merged_into else call

    def knows(self, linkedid: str) -> bool:
        """Return whether there is a call with this linkedid, in memory or in the journal."""
        return self._find(linkedid) is not None

    def _find(self, linkedid: str) -> Call | None:
        if not linkedid or linkedid in self.calls:
            return self.calls.get(linkedid)
        call = self._in_journal(linkedid)
        return self.calls.get(call.linkedid, call) if call is not None else None

    def call_of_channel(self, uniqueid: str) -> Call | None:
        """Return the call of a channel."""
        return self.call(self._call_of_channel.get(uniqueid, ""))

    def with_recording(self, segment: str) -> Call | None:
        """Return the call of a recording."""
        call = self.call(self._call_of_recording.get(segment) or _call_in_name(segment))
        return call if call is not None and call.recording(segment) is not None else None

    def is_news(self, event: Event) -> bool:
        """Return whether an event would change its call, or begin one."""
        call = self._call_of(event)
        return isinstance(event, ChannelStarted) if call is None else assemble(call, event) is not call

    def put(self, call: Call) -> None:
        """Add a call that was folded elsewhere, or replace the state of one."""
        self._keep(call)
        self._call_of_channel |= dict.fromkeys(() if call.merged_into else call.channels, call.linkedid)

    def leave(self, call: Call) -> None:
        """Drop a call that the journal has, as it is there, and that only waits for the store.

        Its recordings are found by their names. Those that are not named for it, as it was merged
        with another call or its linkedid is long, stay in the index.
        """
        self.forget(call.linkedid)
        for recording in call.recordings:
            if recording.stage is RecordingStage.CLOSED and _call_in_name(recording.segment) != safe(call.linkedid):
                self._call_of_recording[recording.segment] = call.linkedid

    def forget(self, linkedid: str) -> None:
        """Drop a settled call."""
        call = self.calls.pop(linkedid, None)
        if call is None:
            return
        for uniqueid in call.channels:
            if self._call_of_channel.get(uniqueid) == linkedid:
                del self._call_of_channel[uniqueid]
        for recording in call.recordings:
            self._call_of_recording.pop(recording.segment, None)
        if len(self._call_in_bridge) > SWEEP_BRIDGES_AT + 2 * len(self.calls):
            self._call_in_bridge = {bridge: of for bridge, of in self._call_in_bridge.items() if of in self.calls}

    def reconcile(self, listed: Iterable[ChannelStarted | BridgeEntered], ended_at: Callable[[Call], datetime]) -> Iterator[Event]:
        """Return the events that were missed, given all channels and bridges that Asterisk lists.

        `ended_at` returns when the channels of a call ended that are no longer listed.
        """
        listed = list(listed)
        alive = {event.uniqueid for event in listed if isinstance(event, ChannelStarted)}
        bridges = {event.uniqueid: event for event in listed if isinstance(event, BridgeEntered)}
        for call in list(self.calls.values()):
            missed_at = ended_at(call)
            for channel in call.channels.values():
                if channel.ended_at is None and channel.uniqueid not in alive:
                    yield ChannelEnded(at=missed_at, linkedid=call.linkedid, uniqueid=channel.uniqueid, cause=0)
                elif channel.bridge is not None and channel.uniqueid not in bridges and channel.ended_at is None:
                    yield BridgeLeft(at=missed_at, linkedid=call.linkedid, uniqueid=channel.uniqueid, bridge=channel.bridge)
        yield from listed

    def _keep(self, call: Call) -> None:
        self.calls[call.linkedid] = call
        for uniqueid in call.channels:
            self._call_of_channel.setdefault(uniqueid, call.linkedid)
        self._call_in_bridge |= {channel.bridge: call.linkedid for channel in call.channels.values() if channel.bridge is not None}
        self._call_of_recording |= {recording.segment: call.linkedid for recording in call.recordings if recording.segment}


def _call_in_name(segment: str) -> str:
    """Return the linkedid in the name of a recording, as `segment_name` has put it there."""
    return segment.rsplit("_", 2)[0]
