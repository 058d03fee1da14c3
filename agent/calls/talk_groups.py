"""Who hears whom: channels joined by bridges, and by the two halves of a Local channel between them.

A transfer by feature code talks through a Local channel for a while: two bridges, one talk.
"""

from collections.abc import Iterable

from agent.calls.call_state import Call


def talk_groups(call: Call) -> list[frozenset[str]]:
    """The groups of channels (uniqueids) that share a talk now; only groups with two parties or more."""
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
    """Two parties of this call, or one in a conference, where the others have calls of their own."""
    parties = [channel for uniqueid in group if not (channel := call.channels[uniqueid]).is_local]
    return len(parties) > 1 or any(channel.conference for channel in parties)


def heard_by(call: Call, uniqueid: str) -> tuple[str, ...]:
    """The parties of this call whom a channel hears now, in a fixed order; a conference counts as one party."""
    channel = call.channels[uniqueid]
    if channel.conference and channel.bridge is not None:
        return (channel.bridge,)
    group: frozenset[str] = next((group for group in talk_groups(call) if uniqueid in group), frozenset())
    return tuple(sorted(other for other in group if other != uniqueid and not call.channels[other].is_local))
