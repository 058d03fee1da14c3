"""Describe the headers of an event, in the order in which Asterisk writes them, and find them.

Asterisk writes a caller's number into an event without escaping line ends, so a caller can add
lines to an event. The text is short: a number and an extension hold 79 bytes (seen on 22.10), less
than the headers that follow a number in any event. Of the headers before the first number, the
first occurrence is therefore genuine; of the headers that name channel and call, the last.

A telephone can write line ends into the name of one kind of channel: the Local channel to which
Asterisk forwards by the Contact of its 302. Its name reaches to the line `ChannelState`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

# Every channel is described by these headers. Text of a caller may follow the numbers and Exten.
_BEFORE: Final = ("Channel", "ChannelState", "ChannelStateDesc", "CallerIDNum")
_BETWEEN: Final = ("CallerIDName", "ConnectedLineNum", "ConnectedLineName", "AccountCode", "Context", "Exten")
_AFTER: Final = ("Priority", "Uniqueid", "Linkedid")

_LINE_END: Final = "␍␊"  # within a name

_Keys = tuple[str, ...]
_Places = dict[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class EventLayout:
    """The headers of one event: `lead`, then each channel, then `tail`.

    `channels` holds the prefix of each channel's headers. The headers in `may_lead` and
    `may_follow` are optional, and so is the first channel if `may_lack_first` is set. An event
    without the bytes `only_with` is not wanted.
    """

    lead: tuple[str, ...] = ("Privilege",)
    may_lead: tuple[str, ...] = ("Timestamp",)
    channels: tuple[str, ...] = ("",)
    may_lack_first: bool = False
    tail: tuple[str, ...] = ()
    may_follow: tuple[str, ...] = ()
    only_with: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayoutMatch:
    """The genuine headers that were found.

    `begins`: all headers before the first number are present. `complete`: no header is missing.
    """

    headers: dict[str, str]
    begins: bool
    complete: bool


def match_layout(lines: Sequence[str], layout: EventLayout) -> LayoutMatch:
    """Find the headers that Asterisk wrote; lines that a caller added are left out."""
    parts = [line.partition(": ") for line in lines]
    places, begins, complete = _match(tuple(key if colon else "" for key, colon, _ in parts), layout)
    headers = {key: parts[place][2] for key, place in places.items()}
    for prefix in layout.channels:
        begin, end = places.get(f"{prefix}Channel", 0), places.get(f"{prefix}ChannelState", 0)
        if end > begin + 1:
            headers[f"{prefix}Channel"] = _LINE_END.join((headers[f"{prefix}Channel"], *lines[begin + 1 : end]))
    return LayoutMatch(headers=headers, begins=begins, complete=complete)


def is_cut_in_name(lines: Sequence[str], layout: EventLayout) -> bool:
    """Return whether an event ends in the name of its first channel, a Local channel."""
    keys = tuple(line.partition(": ")[0] for line in lines)
    named = (f"{prefix}Channel" for prefix in layout.channels[: 1 + layout.may_lack_first])
    return any(
        _forward(keys, 0, ("Event", *layout.lead, name), {}) == len(keys) and lines[-1].startswith(f"{name}: Local/")
        for name in named
    )


@lru_cache(maxsize=256)  # nearly all events of a kind have the same keys
def _match(keys: _Keys, layout: EventLayout) -> tuple[_Places, bool, bool]:
    """Return the line of each genuine header, and the `begins` and `complete` of a LayoutMatch."""
    places: _Places = {}
    prefixes = layout.channels
    at = _forward(keys, 0, ("Event", *layout.lead), places)
    if at is None:
        return places, False, False
    if layout.may_lack_first and f"{prefixes[0]}Channel" not in keys[at:]:
        prefixes = prefixes[1:]
    number = _forward(keys, at, _prefixed(prefixes[0], _BEFORE), places)
    if number is None:
        return places, False, False
    _optional(keys, 0, number, layout.may_lead, places)
    complete = _channels(keys, at, prefixes, layout.tail, places)
    _optional(keys, number, len(keys), layout.may_follow, places)
    return places, True, complete


def _channels(keys: _Keys, at: int, prefixes: _Keys, tail: _Keys, places: _Places) -> bool:
    """Find the headers of channels and tail from line `at` on; False if one is missing."""
    prefix, following = prefixes[0], prefixes[1:]
    middle = _forward(keys, at, _prefixed(prefix, (*_BEFORE, *_BETWEEN)), places)
    if middle is None:
        return False
    ends = _prefixed(prefix, _AFTER)
    if not following:
        return _backward(keys, middle, len(keys), (*ends, *tail), places)
    # A caller may have written such a line, too; the other channels follow the genuine line only.
    return any(
        keys[place] == f"{following[0]}Channel"
        and _channels(keys, place, following, tail, places)
        and _backward(keys, middle, place, ends, places)
        for place in range(len(keys) - 1, middle - 1, -1)
    )


def _prefixed(prefix: str, keys: _Keys) -> _Keys:
    return tuple(prefix + key for key in keys)


def _forward(keys: _Keys, at: int, wanted: _Keys, places: _Places) -> int | None:
    """Find the first line of each key, in order from line `at` on.

    Return the line after the last, or None if a key is missing.
    """
    for key in wanted:
        try:
            places[key] = keys.index(key, at)
        except ValueError:
            return None
        at = places[key] + 1
    return at


def _backward(keys: _Keys, begin: int, end: int, wanted: _Keys, places: _Places) -> bool:
    """Find the last line of each key, in order back from `end`; False if a key is missing."""
    for key in reversed(wanted):
        place = _last_of(keys, begin, end, key)
        if place is None:
            return False
        places[key] = end = place
    return True


def _optional(keys: _Keys, begin: int, end: int, wanted: _Keys, places: _Places) -> None:
    for key in wanted:
        place = _last_of(keys, begin, end, key)
        if place is not None:
            places[key] = place


def _last_of(keys: _Keys, begin: int, end: int, key: str) -> int | None:
    return next((place for place in range(end - 1, begin - 1, -1) if keys[place] == key), None)
