"""Parse Asterisk's configuration and compare it with a line of the kit. Pure.

The format of the files: https://docs.asterisk.org/Configuration/Core-Configuration/Asterisk-Configuration-Files/
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
    """Return the lines of a file without comments and `#include`."""
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
    """Return the lines of a `GetConfig` response.

    The response has `Category-000001: name` and `Line-000001-000000: key=value`.
    """
    sections = {key.removeprefix("Category-"): value for key, value in answer.items() if key.startswith("Category-")}
    lines = ((key.split("-")[1], value) for key, value in answer.items() if key.startswith("Line-"))
    return [_line(sections.get(number, ""), line) for number, line in lines]


def _line(section: str, line: str) -> ConfLine:
    key, _, value = line.partition("=")
    return ConfLine(section=section, key=key.strip(), value=value.removeprefix(">").strip().replace("\\;", ";"))


_LISTS: Final = frozenset({"read", "write", "events", "apps"})  # the values of the kit must be among those of the PBX
_OF_THE_PLACE: Final = frozenset({"secret", "deny", "permit"})  # the value is different on each PBX
_CODES: Final = "applicationmap"  # of features.conf: the digits may differ
_YES: Final = frozenset({"yes", "true", "y", "t", "1", "on"})
_NAMED_EVENT: Final = re.compile(r"eventfilter\(action\(include\),name\((\w+)\)(,header\((\w+)\),method\(exact\))?\)")


def does(wanted: ConfLine, present: Sequence[ConfLine]) -> bool:
    """Return whether a configuration has the effect of the line `wanted`.

    If a key is given repeatedly, the last line counts.
    """
    if event := _NAMED_EVENT.fullmatch(wanted.key):
        return any(_lets_pass(line, wanted, event) for line in present if line.section == wanted.section)
    values = [line.value for line in present if (line.section, line.key) == (wanted.section, wanted.key)]
    if wanted.section == _CODES:
        return bool(values) and values[-1].partition(",")[2] == wanted.value.partition(",")[2]
    return bool(values) and _equivalent(wanted.key, wanted.value, values[-1])


def _equivalent(key: str, wanted: str, present: str) -> bool:
    if key in _OF_THE_PLACE:
        return bool(present)
    if key in _LISTS:
        given = _words(present)
        return "all" in given or _words(wanted) <= given
    if key == "bindaddr":
        return _is_loopback(present)
    if key == "writetimeout":
        return present.isdecimal() and int(present) >= int(wanted)
    if wanted.lower() in _YES:
        return present.lower() in _YES
    return " ".join(wanted.split()) == " ".join(present.split())


def _words(text: str) -> set[str]:
    return {word.strip().lower() for word in text.split(",")}


def _lets_pass(line: ConfLine, wanted: ConfLine, event: re.Match[str]) -> bool:
    """Return whether a line lets an event pass, or those of its events that the kit wants.

    `eventfilter = Event: Name` is the older form; of one value of a header, `Variable: VALUE`.
    """
    name, header = event.group(1), event.group(3)
    if line.key == "eventfilter":
        older = rf"Event:\s*{name}\$?" + (rf"|{header}:\s*{re.escape(wanted.value)}(?!\w).*" if header else "")
        return re.fullmatch(older, line.value) is not None
    written = line.key.replace(" ", "")
    every = f"eventfilter(action(include),name({name}))"
    return written == every or (header is not None and (written, line.value) == (wanted.key, wanted.value))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"
