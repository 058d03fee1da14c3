"""What happens in a call that changes nothing but the story of it: hold, parking, picking up. Pure steps of the fold."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from agent.calls.call_state import Call, Moment, MomentKind
from agent.calls.events import Event, Fetched, Held, Parked, PickedUp

MOST_AT_WILL: Final = 500
_AT_WILL: Final = frozenset({MomentKind.HOLD, MomentKind.RESUME, MomentKind.PAUSE_RECORD, MomentKind.RESUME_RECORD})


def told(call: Call, at: datetime, kind: MomentKind, *, uniqueid: str = "", text: str = "", other: str = "") -> Call:
    """The call with one more moment; of what a telephone or a program can do many times a second no more than so many."""
    if kind in _AT_WILL and sum(moment.kind in _AT_WILL for moment in call.moments) >= MOST_AT_WILL:
        return call
    return replace(call, moments=(*call.moments, Moment(at=at, kind=kind, uniqueid=uniqueid, text=text, other=other)))


def held(call: Call, event: Held) -> Call:
    """A telephone says «hold» again while it holds, and «resume» without having held: only changes are told."""
    channel = call.channels.get(event.uniqueid)
    if channel is None or channel.is_local or channel.first_bridged_at is None:
        return call
    kinds = [moment.kind for moment in call.moments if moment.uniqueid == event.uniqueid]
    holding = next((kind is MomentKind.HOLD for kind in reversed(kinds) if kind in (MomentKind.HOLD, MomentKind.RESUME)), False)
    if holding == event.on:
        return call
    return told(call, event.at, MomentKind.HOLD if event.on else MomentKind.RESUME, uniqueid=event.uniqueid)


def parked(call: Call, event: Parked) -> Call:
    """Left at a parking place by the last channel of the endpoint that Asterisk names."""
    by = next((channel.uniqueid for channel in reversed(call.channels.values()) if channel.endpoint == event.parker), "")
    return _once(call, Moment(at=event.at, kind=MomentKind.PARK, uniqueid=by, text=event.space))


def fetched(call: Call, event: Fetched) -> Call:
    """Taken from a parking place."""
    return _once(call, Moment(at=event.at, kind=MomentKind.FETCH, uniqueid=event.by, text=event.space))


def picked_up(call: Call, event: PickedUp) -> Call:
    """Taken by somebody whose telephone did not ring."""
    return _once(call, Moment(at=event.at, kind=MomentKind.PICK_UP, uniqueid=event.by, other=event.uniqueid))


def _once(call: Call, moment: Moment) -> Call:
    return call if moment in call.moments else replace(call, moments=(*call.moments, moment))


STORY_STEPS: Final[dict[type[Event], Callable[[Call, Any], Call]]] = {
    Held: held,
    Parked: parked,
    Fetched: fetched,
}
