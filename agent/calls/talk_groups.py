"""Which channels hear each other: channels in a bridge, and bridges joined by a Local channel.

During a transfer by feature code, a talk passes through a Local channel: two bridges, one talk.
"""

from collections.abc import Iterable

from agent.calls.call_state import Call


def talk_groups(call: Call) -> list[frozenset[str]]:
    """Return the groups of channels (uniqueids) that share a talk now, of two parties or more."""
    groups: list[set[str]] = [{member.uniqueid for member in call.members(bridge)} for bridge in _bridges(call)]
    halves = {channel.name: channel for channel in call.channels.values() if channel.is_local and channel.bridge is not None}
    for channel in halves.values():
        other = halves.get(channel.other_half)
        if other is not None:
            groups = _joined(groups, channel.uniqueid, other.uniqueid)
    return [frozenset(group) for group in groups if _is_talk(call, group)]


def _bridges(call: Call) -> Iterable[str]:
    return dict.fromkeys(channel.bridge for channel in call.channels.values() if channel.bridge is not None)


def _joined(groups: list[set[str]], one: str, other: str) -> list[set[str]]:
    touched = [group for group in groups if one in group or other in group]
    return [group for group in groups if group not in touched] + [set().union(*touched)]


def _is_talk(call: Call, group: Iterable[str]) -> bool:
    """Return whether a group has two parties of this call.

    In a conference one party is enough: the other participants have calls of their own.
    """
    parties = [channel for uniqueid in group if not (channel := call.channels[uniqueid]).is_local]
    return len(parties) > 1 or (any(channel.conference for channel in parties) and not call.is_page)


def heard_by(call: Call, uniqueid: str) -> tuple[str, ...]:
    """Return the parties that a channel hears now, sorted. A conference counts as one party."""
    channel = call.channels[uniqueid]
    if channel.conference and channel.bridge is not None:
        return (channel.bridge,)
    group: frozenset[str] = next((group for group in talk_groups(call) if uniqueid in group), frozenset())
    return tuple(sorted(other for other in group if other != uniqueid and not call.channels[other].is_local))
