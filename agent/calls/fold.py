"""The fold of events into calls: `assemble(call, event) → call`, a pure function.

Events may arrive in any order, repeated or with gaps: the fold never raises, and an event that adds
nothing returns the same call. All times are those of the events.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from agent.calls.call_state import Call, Channel, Moment, MomentKind, Talk, united
from agent.calls.events import (
    BridgeEntered,
    BridgeLeft,
    ChannelEnded,
    ChannelStarted,
    Event,
    GuestEntered,
    HoldingEntered,
    StreamMeasured,
    Transferred,
)
from agent.calls.fold_dials import DIAL_STEPS, without_old_dials
from agent.calls.fold_recordings import RECORDING_STEPS, with_recordings_bridged
from agent.calls.fold_timeline import TIMELINE_STEPS, with_timeline_event
from agent.calls.meetings import own_members


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
            room=event.room or channel.room,
            waits=False,
            bridged_since=event.at,
            first_bridged_at=channel.first_bridged_at or event.at,
        ),
    )
    call = with_recordings_bridged(call, event)
    if _someone_talks(call) and call.talking_since is None:
        call = replace(call, talking_since=event.at)
    return _taken(call, event.bridge, event.at)


def _guest_entered(call: Call, event: GuestEntered) -> Call:
    """Add a channel of another call that is in a bridge with a channel of this one."""
    if not any(own_members(call, event.bridge)):
        return call
    if event.uniqueid not in call.channels:
        guest = Channel(
            uniqueid=event.uniqueid,
            name=event.name,
            exten="",
            caller_num=event.caller_num,
            caller_name=event.caller_name,
            started_at=event.at,
            guest=True,
        )
        call = _with_channel(call, guest)
    return _bridge_entered(call, event) if call.channels[event.uniqueid].guest else call


def _holding_entered(call: Call, event: HoldingEntered) -> Call:
    channel = call.channels.get(event.uniqueid)
    if channel is None or channel.ended_at is not None:
        return call
    waiting = replace(channel, waits=channel.bridge is None, agent=channel.agent or event.agent)
    return call if waiting == channel else _with_channel(call, waiting)


def _taken(call: Call, bridge: str, at: datetime) -> Call:
    """Note the party that took the call.

    It is the last party, other than the origin, that began to talk: at first with any party, later
    only with the origin. After a completed transfer it is the target of the transfer; after a
    transfer that was taken back, the transferer again. A conference took an origin that nobody took
    before: the origin itself stands for it.
    """
    members = [member for member in call.members(bridge) if not (member.guest and member.conference)]
    origin = call.origin.uniqueid if call.origin is not None else ""
    room = any(member.conference for member in members) and not call.is_page
    with_origin = any(member.uniqueid == origin for member in members)
    for member in members if len(members) > 1 or room else ():
        if member.is_local or member.uniqueid == call.taken_by or (member.uniqueid == origin and not room):
            continue
        if member.conference and member.bridged_since != at and (room or call.taken_by):
            continue
        first_time = member.first_bridged_at == member.bridged_since
        if first_time or with_origin:
            kind = MomentKind.JOIN if room else MomentKind.ANSWER if first_time else MomentKind.BACK
            call = with_timeline_event(call, at, kind, uniqueid=member.uniqueid)
            # Of a page, the first telephone. An origin that is put into a conference took no call.
            stays = call.is_page or member.uniqueid == origin
            taker = call.taken_by if stays and call.taken_by else member.uniqueid
            call = replace(call, taken_by=taker, taken_at=call.taken_at or at)
    return call


def _bridge_left(call: Call, event: BridgeLeft) -> Call:
    channel = call.channels.get(event.uniqueid)
    if channel is None or channel.bridge != event.bridge:
        return call
    return _leave(call, channel, event.at)


def _leave(call: Call, channel: Channel, at: datetime) -> Call:
    bridge = channel.bridge
    call = _with_channel(call, replace(channel, bridge=None, bridged_since=None, bridged_ms=channel.bridged_ms_until(at)))
    if bridge is not None and not any(own_members(call, bridge)):
        for guest in list(call.members(bridge)):
            call = _leave(call, guest, at)
    if call.talking_since is not None and not _someone_talks(call):
        over = Talk(since=call.talking_since, until=max(call.talking_since, at))
        call = replace(call, talks=united((*call.talks, over)), talking_since=None)
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
    alone_in_room = any(channel.conference for channel in bridged) and not call.is_page
    return alone_in_room or len(bridged) > len({channel.bridge for channel in bridged})


_STEPS: Final[dict[type[Event], Callable[[Call, Any], Call]]] = {
    ChannelStarted: _channel_started,
    ChannelEnded: _channel_ended,
    BridgeEntered: _bridge_entered,
    BridgeLeft: _bridge_left,
    GuestEntered: _guest_entered,
    HoldingEntered: _holding_entered,
    Transferred: _transferred,
    StreamMeasured: _stream_measured,
    **DIAL_STEPS,
    **TIMELINE_STEPS,
    **RECORDING_STEPS,
}
