"""The calls in progress: finds the call of each event and folds the event into it. No I/O."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from agent.calls.call_state import Call, Channel, RecordingStage
from agent.calls.events import (
    BridgeEntered,
    BridgeLeft,
    ChannelEnded,
    ChannelStarted,
    Event,
    Held,
    HoldingEntered,
    PickedUp,
    RecordingEvent,
)
from agent.calls.fold import assemble
from agent.calls.meetings import Meetings, as_guest, keep_apart, own_members
from agent.calls.merge import merged
from fonoteka.core.naming import safe


class CallRegistry:
    """The calls that are not settled, indexed by linkedid, channel, bridge and recording.

    While the store is away, calls that only wait for it are left to the journal (`leave`).
    `in_journal` returns such a call, given by its linkedid, as an event of it may still come: its
    recording was stored, say. `is_user` says whether a channel belongs to a user of any domain.

    Calls whose channels meet in a bridge become one, unless each keeps a row of its own: then the
    channels of the other call are guests of each (`agent.calls.meetings`).
    """

    def __init__(
        self,
        calls: Iterable[Call] = (),
        in_journal: Callable[[str], Call | None] = lambda _: None,
        is_user: Callable[[Channel], bool] = lambda _: True,
    ) -> None:
        self.calls: dict[str, Call] = {}
        self._in_journal, self._is_user = in_journal, is_user
        self._merged: list[Call] = []
        self._visits: list[tuple[Call, Event]] = []
        self._call_of_channel: dict[str, str] = {}
        self._meetings = Meetings()
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
            self._merge_in_bridge(event)
        if isinstance(event, PickedUp):
            self._merge(self._call_of(event), self.calls.get(self._call_of_channel.get(event.by, "")))
        before = self._call_of(event)
        if before is None and not isinstance(event, ChannelStarted):
            return None, None
        after = assemble(before, event)
        if after is not before:
            self._keep(after)
            self._tell_others(after, event)
        return before, self.calls.get(after.linkedid, after)

    def take(self, event: Event) -> Call | None:
        """Fold an event into its call. Returns the call if the event changed it."""
        before, after = self.fold(event)
        return None if after is before else after

    def take_merged(self) -> list[Call]:
        """Return the calls that became part of other calls since the last time."""
        merged_calls, self._merged = self._merged, []
        return merged_calls

    def take_visits(self) -> Iterator[tuple[Call, Call, Event]]:
        """Yield what was folded into calls whose guests are concerned since the last time.

        Each call before and as it is now, and the event.
        """
        visits, self._visits = self._visits, []
        for before, event in visits:
            yield before, self.calls.get(before.linkedid, before), event

    def _tell_others(self, call: Call, event: Event) -> None:
        """Fold into other calls what happens to a channel that is a guest there."""
        match event:
            case BridgeEntered() if (channel := call.channels[event.uniqueid]).bridge == event.bridge:
                self._leave_as_guest(channel.uniqueid, event.at, but=event.bridge)
                self._meet(call, channel, event)
            case BridgeLeft() | Held():
                for other in self._visited(event.uniqueid):
                    self._visit(other, replace(event, linkedid=other.linkedid))
            case ChannelEnded():
                self._leave_as_guest(event.uniqueid, event.at)

    def _meet(self, call: Call, channel: Channel, event: BridgeEntered) -> None:
        """Make the channels of other calls in a bridge guests of each other's calls."""
        for other in self._others_in(event.bridge, call):
            for member in own_members(other, event.bridge):
                if not channel.agent:
                    call = self._visit(call, as_guest(member, call, event))
                if not member.agent:
                    other = self._visit(other, as_guest(channel, other, event))

    def _leave_as_guest(self, uniqueid: str, at: datetime, but: str = "") -> None:
        for other in self._visited(uniqueid):
            bridge = other.channels[uniqueid].bridge
            if bridge is not None and bridge != but:
                self._visit(other, BridgeLeft(at=at, linkedid=other.linkedid, uniqueid=uniqueid, bridge=bridge))

    def _visited(self, uniqueid: str) -> list[Call]:
        """Return the calls in which a channel is a guest now."""
        found = (self.calls.get(linkedid) for linkedid in self._meetings.with_guest(uniqueid))
        return [call for call in found if call is not None and not call.merged_into]

    def _visit(self, call: Call, event: Event) -> Call:
        after = assemble(call, event)
        if after is not call:
            self._keep(after)
            self._visits.append((call, event))
        return after

    def _others_in(self, bridge: str, call: Call | None) -> list[Call]:
        """Return the other calls that have a channel of their own in a bridge."""
        there = (self.call(linkedid) for linkedid in self._meetings.in_bridge(bridge))
        others = {other.linkedid: other for other in there if other is not None and any(own_members(other, bridge))}
        return [other for other in others.values() if call is None or other.linkedid != call.linkedid]

    def _call_of(self, event: Event) -> Call | None:
        """Return the call of an event: of its channel, else of its linkedid.

        Asterisk changes the linkedid of a channel during a call, so the channel counts first.
        """
        if isinstance(event, RecordingEvent):
            return self.with_recording(event.segment)
        of_channel = (found for uniqueid in event.channels if (found := self._call_of_channel.get(uniqueid)) is not None)
        return self.call(next(of_channel, event.linkedid))

    def _merge_in_bridge(self, event: BridgeEntered) -> None:
        """Merge calls when a channel of one enters a bridge with channels of another."""
        for there in self._others_in(event.bridge, self._call_of(event)):
            here = self._call_of(event)
            entering = here.channels.get(event.uniqueid) if here is not None else None
            if here is not None and not keep_apart(here, entering, there, event.bridge, self._is_user):
                self._merge(here, there)

    def _merge(self, one: Call | None, other: Call | None) -> None:
        if one is None or other is None or one is other:
            return
        continuing, part = merged(one, other)
        for channel in part.own:
            self._call_of_channel[channel.uniqueid] = continuing.linkedid
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
        own = () if call.merged_into else (channel.uniqueid for channel in call.own)
        self._call_of_channel |= dict.fromkeys(own, call.linkedid)

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
        self._meetings.sweep(self.calls)

    def reconcile(
        self, listed: Iterable[ChannelStarted | HoldingEntered | BridgeEntered], ended_at: Callable[[Call], datetime]
    ) -> Iterator[Event]:
        """Return the events that were missed, given all channels and bridges that Asterisk lists.

        `ended_at` returns when the channels of a call ended that are no longer listed.
        """
        listed = list(listed)
        alive = {event.uniqueid for event in listed if isinstance(event, ChannelStarted)}
        bridges = {event.uniqueid: event for event in listed if isinstance(event, BridgeEntered)}
        for call in list(self.calls.values()):
            missed_at = ended_at(call)
            for channel in call.own:
                if channel.ended_at is None and channel.uniqueid not in alive:
                    yield ChannelEnded(at=missed_at, linkedid=call.linkedid, uniqueid=channel.uniqueid, cause=0)
                elif channel.bridge is not None and channel.uniqueid not in bridges and channel.ended_at is None:
                    yield BridgeLeft(at=missed_at, linkedid=call.linkedid, uniqueid=channel.uniqueid, bridge=channel.bridge)
        yield from listed

    def _keep(self, call: Call) -> None:
        self.calls[call.linkedid] = call
        self._meetings.note(call)
        for channel in call.own:
            self._call_of_channel.setdefault(channel.uniqueid, call.linkedid)
        self._call_of_recording |= {recording.segment: call.linkedid for recording in call.recordings if recording.segment}


def _call_in_name(segment: str) -> str:
    """Return the linkedid in the name of a recording, as `segment_name` has put it there."""
    return segment.rsplit("_", 2)[0]
