"""The fold of events into calls: `assemble(call, event) → call`, a pure function.

Events may arrive in any order, repeated or with gaps: the fold never raises, and an event that adds
nothing returns the same call. All times are those of the events.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from agent.calls.call_state import Call, Channel, Moment, MomentKind
from agent.calls.events import (
    BridgeEntered,
    BridgeLeft,
    ChannelEnded,
    ChannelStarted,
    Event,
    StreamMeasured,
    Transferred,
)
from agent.calls.fold_dials import DIAL_STEPS, without_old_dials
from agent.calls.fold_recordings import RECORDING_STEPS, with_recordings_bridged
from agent.calls.fold_timeline import TIMELINE_STEPS, with_timeline_event


def assemble(call: Call | None, event: Event) -> Call:
    """Return the call after the event. `call` is None for the first event of a linkedid."""
    call = call or Call(linkedid=event.linkedid, started_at=event.at)
    after = _STEPS[type(event)](call, event)
    if after is call:
        return call
    # The revision contains the time, so that it grows even if an agent has lost its journal.
    return replace(after, revision=max(call.revision + 1, int(event.at.timestamp() * 1000)))


def _channel_started(call: Call, event: ChannelStarted) -> Call:
    if event.uniqueid in call.channels:
        return call
    channel = Channel(
        uniqueid=event.uniqueid,
        name=event.name,
        exten=event.exten,
        caller_num=event.caller_num,
        caller_name=event.caller_name,
        started_at=event.at,
    )
    moments = call.moments
    if not call.channels:
        moments = (Moment(at=event.at, kind=MomentKind.ARRIVE, uniqueid=event.uniqueid, text=event.exten),)
    # After a new connection, channels arrive in any order: the oldest one dates the call.
    return replace(
        call,
        started_at=min(call.started_at, event.at),
        channels={**call.channels, event.uniqueid: channel},
        moments=moments,
        ended_at=None,
    )


def _channel_ended(call: Call, event: ChannelEnded) -> Call:
    channel = call.channels.get(event.uniqueid)
    if channel is None or channel.ended_at is not None:
        return call
    if channel.bridge is not None:
        call = _leave(call, channel, event.at)
        channel = call.channels[event.uniqueid]
    call = _with_channel(call, replace(channel, ended_at=event.at, cause=event.cause))
    if channel.first_bridged_at is not None and not channel.is_local:
        call = with_timeline_event(call, event.at, MomentKind.LEAVE, uniqueid=event.uniqueid)
    if call.alive:
        return without_old_dials(call)
    return with_timeline_event(replace(call, ended_at=event.at), event.at, MomentKind.END)


def _bridge_entered(call: Call, event: BridgeEntered) -> Call:
    channel = call.channels.get(event.uniqueid)
    if channel is None or channel.ended_at is not None or channel.bridge == event.bridge:
        return call
    if channel.bridge is not None:
        call = _leave(call, channel, event.at)
        channel = call.channels[event.uniqueid]
    call = _with_channel(
        call,
        replace(
            channel,
            bridge=event.bridge,
            conference=event.conference,
            bridged_since=event.at,
            first_bridged_at=channel.first_bridged_at or event.at,
        ),
    )
    call = with_recordings_bridged(call, event)
    if _someone_talks(call) and call.talking_since is None:
        call = replace(call, talking_since=event.at)
    return _taken(call, event.bridge, event.at)


def _taken(call: Call, bridge: str, at: datetime) -> Call:
    """Note the party that took the call.

    It is the last party, other than the origin, that began to talk: at first with any party, later
    only with the origin. After a completed transfer it is the target of the transfer; after a
    transfer that was taken back, the transferer again.
    """
    members = list(call.members(bridge))
    origin = call.origin.uniqueid if call.origin is not None else ""
    conference = any(member.conference for member in members)
    with_origin = any(member.uniqueid == origin for member in members)
    for member in members if len(members) > 1 or conference else ():
        if member.is_local or (member.uniqueid == origin and not conference) or member.uniqueid == call.taken_by:
            continue
        if conference and member.bridged_since != at:
            continue
        first_time = member.first_bridged_at == member.bridged_since
        if first_time or with_origin:
            # A customer that was transferred into a conference did not take the own call.
            taker = call.taken_by if member.uniqueid == origin and call.taken_by else member.uniqueid
            call = replace(call, taken_by=taker, taken_at=call.taken_at or at)
            kind = MomentKind.JOIN if conference else MomentKind.ANSWER if first_time else MomentKind.BACK
            call = with_timeline_event(call, at, kind, uniqueid=member.uniqueid)
    return call


def _bridge_left(call: Call, event: BridgeLeft) -> Call:
    channel = call.channels.get(event.uniqueid)
    if channel is None or channel.bridge != event.bridge:
        return call
    return _leave(call, channel, event.at)


def _leave(call: Call, channel: Channel, at: datetime) -> Call:
    call = _with_channel(call, replace(channel, bridge=None, bridged_since=None, bridged_ms=channel.bridged_ms_until(at)))
    if call.talking_since is not None and not _someone_talks(call):
        call = replace(call, talk_ms=call.talk_ms_until(at), talking_since=None)
    return call


def _transferred(call: Call, event: Transferred) -> Call:
    transfer = Moment(at=event.at, kind=MomentKind.TRANSFER, uniqueid=event.transferer, text=event.target)
    return call if transfer in call.moments else replace(call, moments=(*call.moments, transfer))


def _stream_measured(call: Call, event: StreamMeasured) -> Call:
    channel = call.channels.get(event.uniqueid)
    if channel is None or channel.figures is not None:  # Asterisk sets the variable once
        return call
    return _with_channel(call, replace(channel, figures=event.figures))


def _with_channel(call: Call, channel: Channel) -> Call:
    return replace(call, channels={**call.channels, channel.uniqueid: channel})


def _someone_talks(call: Call) -> bool:
    bridged = [channel for channel in call.channels.values() if channel.bridge is not None]
    return len(bridged) > len({channel.bridge for channel in bridged}) or any(channel.conference for channel in bridged)


_STEPS: Final[dict[type[Event], Callable[[Call, Any], Call]]] = {
    ChannelStarted: _channel_started,
    ChannelEnded: _channel_ended,
    BridgeEntered: _bridge_entered,
    BridgeLeft: _bridge_left,
    Transferred: _transferred,
    StreamMeasured: _stream_measured,
    **DIAL_STEPS,
    **TIMELINE_STEPS,
    **RECORDING_STEPS,
}
