"""The part of the fold that only adds to the call's timeline: hold, parking, pickup."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from agent.calls.call_state import Call, Moment, MomentKind
from agent.calls.events import Event, Fetched, Held, Parked, PickedUp, VoicemailReached

# A telephone or a program can cause these many times per second, so their number is limited.
MAX_REPEATABLE_EVENTS: Final = 500
_REPEATABLE: Final = frozenset({MomentKind.HOLD, MomentKind.RESUME, MomentKind.PAUSE_RECORD, MomentKind.RESUME_RECORD})


def with_timeline_event(call: Call, at: datetime, kind: MomentKind, *, uniqueid: str = "", text: str = "", other: str = "") -> Call:
    """Return the call with one more moment, unless it has too many of the repeatable kinds."""
    if kind in _REPEATABLE and sum(moment.kind in _REPEATABLE for moment in call.moments) >= MAX_REPEATABLE_EVENTS:
        return call
    return replace(call, moments=(*call.moments, Moment(at=at, kind=kind, uniqueid=uniqueid, text=text, other=other)))


def held(call: Call, event: Held) -> Call:
    """Note a hold or its end, if it is a change.

    A telephone may send «hold» again while it holds, and «resume» without a hold before.
    """
    channel = call.channels.get(event.uniqueid)
    if channel is None or channel.is_local or channel.first_bridged_at is None:
        return call
    kinds = [moment.kind for moment in call.moments if moment.uniqueid == event.uniqueid]
    holding = next((kind is MomentKind.HOLD for kind in reversed(kinds) if kind in (MomentKind.HOLD, MomentKind.RESUME)), False)
    if holding == event.on:
        return call
    kind = MomentKind.HOLD if event.on else MomentKind.RESUME
    return with_timeline_event(call, event.at, kind, uniqueid=event.uniqueid)


def parked(call: Call, event: Parked) -> Call:
    """Note that the call was parked, by the last channel of the endpoint that Asterisk names."""
    channels = reversed(call.channels.values())
    by = next((channel.uniqueid for channel in channels if channel.endpoint == event.parker), "")
    return _once(call, Moment(at=event.at, kind=MomentKind.PARK, uniqueid=by, text=event.space))


def fetched(call: Call, event: Fetched) -> Call:
    """Note that the call was taken from a parking space."""
    return _once(call, Moment(at=event.at, kind=MomentKind.FETCH, uniqueid=event.by, text=event.space))


def picked_up(call: Call, event: PickedUp) -> Call:
    """Note that a user whose telephone did not ring picked the call up."""
    return _once(call, Moment(at=event.at, kind=MomentKind.PICK_UP, uniqueid=event.by, other=event.uniqueid))


def at_voicemail(call: Call, event: VoicemailReached) -> Call:
    """Note that a caller reached a mailbox, each once: a dialplan may come to it repeatedly."""
    known = (event.uniqueid, event.mailbox)
    if event.uniqueid not in call.channels or any(
        moment.kind is MomentKind.VOICEMAIL and (moment.uniqueid, moment.text) == known for moment in call.moments
    ):
        return call
    return with_timeline_event(call, event.at, MomentKind.VOICEMAIL, uniqueid=event.uniqueid, text=event.mailbox)


def _once(call: Call, moment: Moment) -> Call:
    return call if moment in call.moments else replace(call, moments=(*call.moments, moment))


TIMELINE_STEPS: Final[dict[type[Event], Callable[[Call, Any], Call]]] = {
    Held: held,
    Parked: parked,
    Fetched: fetched,
    VoicemailReached: at_voicemail,
}
