"""Where channels of several calls meet: which calls have channels in a bridge, and guests of them.

Two calls that meet in a bridge become one (`agent.calls.merge`), unless each keeps a row of its own
(`keep_apart`): then the channels of the other call are guests in each.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from agent.calls.call_state import Call, Channel
from agent.calls.dial_chain import origin_rings
from agent.calls.events import BridgeEntered, GuestEntered

# A call does not keep its earlier bridges, so those of forgotten calls are removed together.
SWEEP_AT: Final = 1000

_Linkedids = dict[str, None]  # in the order of their arrival


class Meetings:
    """The calls by bridge, and by guest."""

    def __init__(self) -> None:
        self._in_bridge: dict[str, _Linkedids] = {}
        self._with_guest: dict[str, _Linkedids] = {}

    def note(self, call: Call) -> None:
        """Note the bridges and the guests of a call."""
        for channel in call.channels.values():
            if channel.guest:
                self._with_guest.setdefault(channel.uniqueid, {})[call.linkedid] = None
            elif channel.bridge is not None:
                self._in_bridge.setdefault(channel.bridge, {})[call.linkedid] = None

    def in_bridge(self, bridge: str) -> list[str]:
        """Return the calls that have, or had, a channel of their own in a bridge."""
        return list(self._in_bridge.get(bridge, ()))

    def with_guest(self, uniqueid: str) -> list[str]:
        """Return the calls in which a channel is, or was, a guest."""
        return list(self._with_guest.get(uniqueid, ()))

    def sweep(self, calls: Mapping[str, Call]) -> None:
        """Drop forgotten calls, once they are many."""
        if len(self._in_bridge) + len(self._with_guest) > SWEEP_AT + 2 * len(calls):
            self._in_bridge, self._with_guest = _left(self._in_bridge, calls), _left(self._with_guest, calls)


def _left(by_key: dict[str, _Linkedids], calls: Mapping[str, Call]) -> dict[str, _Linkedids]:
    return {key: left for key, linkedids in by_key.items() if (left := {of: None for of in linkedids if of in calls})}


def own_members(call: Call, bridge: str) -> Iterator[Channel]:
    """Return the channels in a bridge that are no guests."""
    return (member for member in call.members(bridge) if not member.guest)


def keep_apart(here: Call, entering: Channel | None, there: Call, bridge: str, is_user: Callable[[Channel], bool]) -> bool:
    """Return whether two calls that meet in a bridge keep their rows.

    An agent on an open line serves one call after the other. Two incoming calls stay two calls,
    also where a user joins them. A call that a user began becomes a part of the other call.
    """
    if any(member.agent for member in (*own_members(there, bridge), *filter(None, (entering,)))):
        return True
    return _came_in(here, is_user) and _came_in(there, is_user)


def _came_in(call: Call, is_user: Callable[[Channel], bool]) -> bool:
    """Return whether an outside party dialled, and was not rung itself."""
    return call.origin is not None and not is_user(call.origin) and not origin_rings(call)


def as_guest(channel: Channel, call: Call, event: BridgeEntered) -> GuestEntered:
    """Return the event by which a channel becomes a guest of a call, at the time of the meeting."""
    return GuestEntered(
        at=event.at,
        linkedid=call.linkedid,
        uniqueid=channel.uniqueid,
        bridge=event.bridge,
        conference=event.conference,
        late=event.late,
        name=channel.name,
        caller_num=channel.caller_num,
        caller_name=channel.caller_name,
    )
