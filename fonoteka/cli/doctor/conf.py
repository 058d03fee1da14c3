"""Asterisk's configuration as lines, and whether what is there does what a line of the kit asks for. Pure.

The form of the files: https://docs.asterisk.org/Configuration/Core-Configuration/Asterisk-Configuration-Files/
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfLine:
    """`key = value` below `[section]`."""

    section: str
    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key} = {self.value}".rstrip()


_COMMENT: Final = re.compile(r"(?<!\\);.*")
_SECTION: Final = re.compile(r"\[([^\]]+)\]")


def parse(text: str) -> list[ConfLine]:
    """The lines of a file, comments and `#include` left out."""
    lines: list[ConfLine] = []
    section = ""
    for raw in text.splitlines():
        line = _COMMENT.sub("", raw).strip()
        if named := _SECTION.match(line):
            section = named.group(1)
        elif line and not line.startswith("#"):
            lines.append(_line(section, line))
    return lines


def read_answer(answer: Mapping[str, str]) -> list[ConfLine]:
    """The lines of a `GetConfig` answer: `Category-000001: name`, `Line-000001-000000: key=value`."""
    sections = {key.removeprefix("Category-"): value for key, value in answer.items() if key.startswith("Category-")}
    lines = ((key.split("-")[1], value) for key, value in answer.items() if key.startswith("Line-"))
    return [_line(sections.get(number, ""), line) for number, line in lines]


def _line(section: str, line: str) -> ConfLine:
    key, _, value = line.partition("=")
    return ConfLine(section=section, key=key.strip(), value=value.removeprefix(">").strip().replace("\\;", ";"))


_LISTS: Final = frozenset({"read", "write", "events", "apps"})  # ours must be among theirs
_OF_THE_PLACE: Final = frozenset({"secret", "deny", "permit"})  # each PBX has its own value
_CODES: Final = "applicationmap"  # of features.conf: which digits people dial is theirs to choose
_YES: Final = frozenset({"yes", "true", "y", "t", "1", "on"})
_NAMED_EVENT: Final = re.compile(r"eventfilter\(action\(include\),name\((\w+)\)\)")


def does(wanted: ConfLine, theirs: Sequence[ConfLine]) -> bool:
    """Whether the lines of a configuration hold what `wanted` asks for; of a key that is given repeatedly, the last counts."""
    if event := _NAMED_EVENT.fullmatch(wanted.key):
        return any(_lets_pass(line, event.group(1)) for line in theirs if line.section == wanted.section)
    values = [line.value for line in theirs if (line.section, line.key) == (wanted.section, wanted.key)]
    if wanted.section == _CODES:
        return bool(values) and values[-1].partition(",")[2] == wanted.value.partition(",")[2]
    return bool(values) and _as_good(wanted.key, wanted.value, values[-1])


def _as_good(key: str, ours: str, theirs: str) -> bool:
    if key in _OF_THE_PLACE:
        return bool(theirs)
    if key in _LISTS:
        given = _words(theirs)
        return "all" in given or _words(ours) <= given
    if key == "bindaddr":
        return _is_loopback(theirs)
    if key == "writetimeout":
        return theirs.isdecimal() and int(theirs) >= int(ours)
    if ours.lower() in _YES:
        return theirs.lower() in _YES
    return " ".join(ours.split()) == " ".join(theirs.split())


def _words(text: str) -> set[str]:
    return {word.strip().lower() for word in text.split(",")}


def _lets_pass(line: ConfLine, event: str) -> bool:
    """Also in the older form, `eventfilter = Event: Name`, a regular expression."""
    if line.key == "eventfilter":
        return re.fullmatch(rf"Event:\s*{event}\$?", line.value) is not None
    return line.key.replace(" ", "") == f"eventfilter(action(include),name({event}))"


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"
