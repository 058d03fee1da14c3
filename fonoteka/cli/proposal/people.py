"""Guess users, domains and trunks from endpoints. Pure; an operator reads the result."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Final

from fonoteka.cli.proposal.endpoints import PbxEndpoint

NAMELESS: Final = "company"  # the domain of endpoints that name none


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """A proposed user; `extension` is empty if no internal number is known."""

    domain: str
    login: str
    name: str
    extension: str
    endpoints: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """The guess for a PBX; `outside` (trunks) and `unfit` map an endpoint to the reason."""

    people: tuple[Person, ...]
    outside: dict[str, str]
    unfit: dict[str, str]


_WITH_NUMBER: Final = re.compile(r"(?:(?P<company>.+)[-_.])?(?P<number>[0-9]{1,6})")
_INTERNAL: Final = re.compile(r"[0-9]{1,6}")
_MOST_OF_A_NAME: Final = 200


def guess(endpoints: Sequence[PbxEndpoint], domain: str | None = None) -> Guess:
    """Guess from endpoints; with `domain` all users are put into that domain."""
    outside = {endpoint.name: why for endpoint in endpoints if (why := leads_outside(endpoint))}
    unfit = {
        e.name: "a channel of such a name cannot be identified" for e in endpoints if not re.fullmatch(r"[^\s\x00]{1,190}", e.name)
    }
    phones = [endpoint for endpoint in endpoints if endpoint.name not in outside and endpoint.name not in unfit]
    domains = dict.fromkeys((phone.name for phone in phones), domain) if domain else _domains(phones)
    people: dict[tuple[str, str], Person] = {}
    for phone in phones:
        _add(people, _person(phone, domains[phone.name] or NAMELESS))
    return Guess(people=tuple(sorted(people.values(), key=_order)), outside=outside, unfit=unfit)


def _add(people: dict[tuple[str, str], Person], person: Person) -> None:
    """Add a user, or its endpoint to a user with the same number and name.

    A user with the number of another user, but another name, is named after the endpoint.
    """
    same = people.get((person.domain, person.login))
    if same is not None and same.extension and same.name == person.name:
        person = replace(same, endpoints=same.endpoints + person.endpoints)
    elif same is not None:
        login = _free(_word(person.endpoints[0].partition("/")[2]), {login for domain, login in people if domain == person.domain})
        person = replace(person, login=login, extension="")
    people[person.domain, person.login] = person


def _free(login: str, taken: set[str]) -> str:
    return next(name for name in chain([login], (f"{login[:60]}-{n}" for n in count(2))) if name not in taken)


def leads_outside(endpoint: PbxEndpoint) -> str | None:
    """Return why an endpoint is a trunk, or None.

    An internal number in the caller id is a sign of a telephone.
    """
    if endpoint.name == "anonymous":
        return "unidentified callers use it"
    if endpoint.registers:
        return "Asterisk registers there"
    if _INTERNAL.fullmatch(caller_id(endpoint.caller_id)[1]):
        return None
    if endpoint.logs_in:
        return "Asterisk logs in there (outbound_auth)"
    if endpoint.matched_by_address:
        return "is matched by its address (identify), and has no internal number as caller id"
    if endpoint.address_is_fixed:
        return "has a fixed address, and no internal number as caller id"
    return None


_QUOTED: Final = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*(?:<([^<>]*)>)?\s*')
_PLAIN: Final = re.compile(r"\s*(.*?)\s*<([^<>]*)>\s*")


def caller_id(text: str) -> tuple[str, str]:
    """Split `"name" <number>`, in which Asterisk escapes `"` and a backslash.

    The number is digits or empty.
    """
    if text == "<unknown>":
        return "", ""
    if quoted := _QUOTED.fullmatch(text):
        return re.sub(r"\\(.)", r"\1", quoted.group(1)).strip(), _digits(quoted.group(2) or "")
    if plain := _PLAIN.fullmatch(text):
        return plain.group(1), _digits(plain.group(2))
    return ("", text.strip()) if _digits(text.strip()) else (text.strip(), "")


def _digits(text: str) -> str:
    return text if re.fullmatch(r"\+?[0-9]+", text) else ""


def _domains(phones: Iterable[PbxEndpoint]) -> dict[str, str]:
    """Return endpoint → domain: `tenantid`, else a prefix that several names share (`acme-152`)."""
    before = {phone.name: found["company"] or "" for phone in phones if (found := _WITH_NUMBER.fullmatch(phone.name))}
    often = Counter(before.values())
    named = {name: prefix for name, prefix in before.items() if often[prefix] > 1}
    return {phone.name: _word(phone.tenant or named.get(phone.name) or NAMELESS) for phone in phones}


def _person(phone: PbxEndpoint, domain: str) -> Person:
    name, number = caller_id(phone.caller_id)
    found = _WITH_NUMBER.fullmatch(phone.name)
    extension = found["number"] if found else number if _INTERNAL.fullmatch(number) else ""
    shown = re.sub(r"\x00", "", name).strip()[:_MOST_OF_A_NAME].strip()
    return Person(
        domain=domain,
        login=extension or _word(phone.name),
        name=shown or extension or phone.name,
        extension=extension,
        endpoints=(f"PJSIP/{phone.name}",),
    )


def _word(text: str) -> str:
    """Return text that can be typed at login."""
    return re.sub(r"[\s/\x00]", "-", text)[:64]


def _order(person: Person) -> tuple[str, int, str]:
    return person.domain, int(person.extension or "999999"), person.login
