"""What an event of Asterisk's must look like: the headers it always has, in the order in which Asterisk writes them.

Asterisk prints a caller's number as it is, line ends included, so a caller can write lines into an event. They cannot write
much: a number and an extension hold 79 bytes (seen on 22.10), less than the headers that follow a number in any event. So the
headers before the first number are true where they stand first, and those that name channel and call where they stand last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

# Every channel is described like this; a caller's text may follow the numbers and the extension.
_BEFORE: Final = ("Channel", "ChannelState", "ChannelStateDesc", "CallerIDNum")
_BETWEEN: Final = ("CallerIDName", "ConnectedLineNum", "ConnectedLineName", "AccountCode", "Context", "Exten")
_AFTER: Final = ("Priority", "Uniqueid", "Linkedid")

_Keys = tuple[str, ...]
_Places = dict[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """One event's: `lead` stands before the channels, `tail` after them. Each channel's headers begin with its prefix.

    Of what is in `may_lead` and `may_follow` any may be missing; so may the first channel if `may_lack_first`.
    """

    lead: tuple[str, ...] = ("Privilege",)
    may_lead: tuple[str, ...] = ("Timestamp",)
    channels: tuple[str, ...] = ("",)
    may_lack_first: bool = False
    tail: tuple[str, ...] = ()
    may_follow: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Arranged:
    """What was found: `begun` tells that all before the first number is there, `whole` that nothing is missing."""

    headers: dict[str, str]
    begun: bool
    whole: bool


def arranged(lines: Sequence[str], shape: Shape) -> Arranged:
    """The headers of an event that Asterisk wrote, whatever a caller wrote in between. Lines of their own are left out."""
    parts = [line.partition(": ") for line in lines]
    places, begun, whole = _arranged(tuple(key if colon else "" for key, colon, _ in parts), shape)
    return Arranged(headers={key: parts[place][2] for key, place in places.items()}, begun=begun, whole=whole)


@lru_cache(maxsize=256)  # nearly all events of a kind are alike
def _arranged(keys: _Keys, shape: Shape) -> tuple[_Places, bool, bool]:
    """In which line each header stands that is to be believed; whether the event has begun, and is whole."""
    places: _Places = {}
    prefixes = shape.channels
    at = _forward(keys, 0, ("Event", *shape.lead), places)
    if at is None:
        return places, False, False
    if shape.may_lack_first and f"{prefixes[0]}Channel" not in keys[at:]:
        prefixes = prefixes[1:]
    number = _forward(keys, at, _named(prefixes[0], _BEFORE), places)
    if number is None:
        return places, False, False
    _optional(keys, 0, number, shape.may_lead, places)
    whole = _channels(keys, at, prefixes, shape.tail, places)
    _optional(keys, number, len(keys), shape.may_follow, places)
    return places, True, whole


def _channels(keys: _Keys, at: int, prefixes: _Keys, tail: _Keys, places: _Places) -> bool:
    """Find the channels' headers from `at` on, and what stands after them; False if something is missing."""
    prefix, following = prefixes[0], prefixes[1:]
    middle = _forward(keys, at, _named(prefix, (*_BEFORE, *_BETWEEN)), places)
    if middle is None:
        return False
    ends = _named(prefix, _AFTER)
    if not following:
        return _backward(keys, middle, len(keys), (*ends, *tail), places)
    # Where a caller wrote such a line too, what must follow it tells the true one.
    return any(
        keys[place] == f"{following[0]}Channel"
        and _channels(keys, place, following, tail, places)
        and _backward(keys, middle, place, ends, places)
        for place in range(len(keys) - 1, middle - 1, -1)
    )


def _named(prefix: str, keys: _Keys) -> _Keys:
    return tuple(prefix + key for key in keys)


def _forward(keys: _Keys, at: int, wanted: _Keys, places: _Places) -> int | None:
    """Find the first line of each, one after the other from `at` on; where the last one ended, None if one is missing."""
    for key in wanted:
        try:
            places[key] = keys.index(key, at)
        except ValueError:
            return None
        at = places[key] + 1
    return at


def _backward(keys: _Keys, begin: int, end: int, wanted: _Keys, places: _Places) -> bool:
    """Find the last line of each, one before the other from `end` back to `begin`; False if one is missing."""
    for key in reversed(wanted):
        found = _last_of(keys, begin, end, key)
        if found is None:
            return False
        places[key] = end = found
    return True


def _optional(keys: _Keys, begin: int, end: int, wanted: _Keys, places: _Places) -> None:
    for key in wanted:
        found = _last_of(keys, begin, end, key)
        if found is not None:
            places[key] = found


def _last_of(keys: _Keys, begin: int, end: int, key: str) -> int | None:
    return next((place for place in range(end - 1, begin - 1, -1) if keys[place] == key), None)
