"""The time that a company (domain) takes part in a call of several companies. Pure."""

from dataclasses import replace
from datetime import datetime

from agent.calls.call_state import Call, Channel, Moment, MomentKind, Recording, Talk
from agent.rules.company_sides import CompanySides


def clipped(seen: Call, sides: CompanySides) -> Call:
    """Return the call from when the domain took part until its last party has left."""
    own = [channel for channel in seen.channels.values() if sides.is_own(channel.uniqueid)]
    started_at, ended_at = _started_at(own, sides), _ended_at(own, sides)
    moments = [moment for moment in seen.moments if started_at <= moment.at and (ended_at is None or moment.at <= ended_at)]
    if not sides.is_first:
        moments = [moment for moment in moments if moment.kind is not MomentKind.ARRIVE]
        origin = seen.origin
        assert origin is not None
        moments.insert(0, Moment(at=started_at, kind=MomentKind.ARRIVE, uniqueid=origin.uniqueid, text=origin.exten))
    if ended_at is not None and not any(moment.kind is MomentKind.END for moment in moments):
        moments.append(Moment(at=ended_at, kind=MomentKind.END))
    part = replace(
        seen,
        started_at=started_at,
        ended_at=ended_at,
        moments=tuple(moments),
        channels={uniqueid: _until(channel, ended_at) for uniqueid, channel in seen.channels.items()},
        recordings=tuple(recording for recording in seen.recordings if _began_before(recording, ended_at)),
    )
    return part if sides.is_first and ended_at == seen.ended_at else _with_talk_of(own, part)


def _started_at(own: list[Channel], sides: CompanySides) -> datetime:
    if sides.is_first or _arrived(sides) or not own:
        return sides.call.started_at
    return min(channel.started_at for channel in own)


def _ended_at(own: list[Channel], sides: CompanySides) -> datetime | None:
    """Return when the last party of the domain left; the next of its queue may still ring."""
    ends = [channel.ended_at for channel in own if channel.ended_at is not None]
    spoke = any(channel.first_bridged_at is not None for channel in own)
    if not own or len(ends) < len(own) or not (sides.is_first or spoke or sides.call.ended_at is not None):
        return sides.call.ended_at
    return sides.call.ended_at if _arrived(sides) and not spoke else max(ends)


def _arrived(sides: CompanySides) -> bool:
    """Whether the call began by dialling a number of the domain."""
    origin = sides.call.origin
    return origin is not None and sides.is_own_number(origin.exten) and sides.called


def _until(channel: Channel, end: datetime | None) -> Channel:
    return channel if end is None or channel.ended_at is None or channel.ended_at <= end else replace(channel, ended_at=end)


def _began_before(recording: Recording, end: datetime | None) -> bool:
    return end is None or recording.started_at is None or recording.started_at <= end


def _with_talk_of(own: list[Channel], call: Call) -> Call:
    """Return a call without the talk before these channels took part in it."""
    spoke = [channel.first_bridged_at for channel in own if channel.first_bridged_at is not None]
    if not spoke:
        return replace(call, talks=(), talking_since=None)
    since, until, present = min(spoke), call.ended_at, call.talking_since
    talks = [*call.talks, *([Talk(since=present, until=until)] if present is not None and until is not None else [])]
    clipped = (Talk(since=max(talk.since, since), until=min(talk.until, until or talk.until)) for talk in talks)
    goes_on = present is not None and until is None and any(channel.bridge is not None for channel in own)
    return replace(
        call,
        talks=tuple(talk for talk in clipped if talk.since < talk.until),
        talking_since=max(present, since) if present is not None and goes_on else None,
    )
