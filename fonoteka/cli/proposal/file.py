"""The proposal as TOML. Whatever an endpoint or a caller id is called, it stays a quoted string. Pure."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from fonoteka.cli.proposal.endpoints import PbxEndpoint
from fonoteka.cli.proposal.people import Guess, Person, guess


def proposal(endpoints: Sequence[PbxEndpoint], *, asterisk: str, timezone: str, domain: str | None = None) -> str:
    """A file for `fonoteka apply`. With `domain`: that company alone, or, if none is called so, everybody in it."""
    found = guess(endpoints)
    people = [person for person in found.people if domain in (None, person.domain)]
    if not people:
        people = list(guess(endpoints, domain).people)
    by_company = groupby(people, key=lambda person: person.domain)
    companies = [line for name, members in by_company for line in _company(name, list(members), timezone)]
    return "\n".join([*_head(found, asterisk, empty=not people), *companies]) + "\n"


def quoted(text: str) -> str:
    """A TOML basic string on one line: JSON's, and DEL escaped as well (TOML 1.0, String)."""
    return re.sub("\x7f", "\\\\u007f", json.dumps(text, ensure_ascii=False))


def _head(found: Guess, asterisk: str, *, empty: bool) -> Iterator[str]:
    yield f"# Proposed by what Asterisk at {asterisk} has. Read it, correct it, then: fonoteka apply FILE"
    yield '# Nobody can log in without a password, and nobody looks after a company before one of its users has role = "admin".'
    yield from _told("These lead outside. For the configuration, [pbx]: trunks = " + _names(found.outside), found.outside)
    yield from _told("These are left out:", found.unfit)
    if empty:
        yield "# Asterisk has no PJSIP endpoint that looks like somebody's telephone."


def _told(title: str, endpoints: Mapping[str, str]) -> Iterator[str]:
    if endpoints:
        yield "#"
        yield f"# {title}"
    for name, why in endpoints.items():
        yield f"#     {quoted(name)}: {why}"


def _names(outside: Mapping[str, str]) -> str:
    return "[" + ", ".join(quoted(f"PJSIP/{name}") for name in outside if name != "anonymous") + "]"


def _company(name: str, people: Sequence[Person], timezone: str) -> Iterator[str]:
    yield ""
    yield "[[domain]]"
    yield f"name = {quoted(name)}  # what is typed at login"
    yield f"title = {quoted(name)}"
    yield f"timezone = {quoted(timezone)}  # of the machine that proposed it"
    yield 'country = "RU"'
    yield 'area_codes = []  # what counts as the city: ["391"]'
    yield "retention_days = 180"
    for person in people:
        yield ""
        yield "  [[domain.user]]"
        yield f"  login = {quoted(person.login)}"
        yield f"  name = {quoted(person.name)}"
        yield f"  extension = {quoted(person.extension)}"
        yield f"  endpoints = [{', '.join(map(quoted, person.endpoints))}]"
        yield '  role = "user"'
        yield '  record = "all"'
        yield '  # password = "…"  # Asterisk\'s passwords are not taken over'
    yield ""
    yield "  # The company's numbers, as callers dial them:"
    yield "  # [[domain.number]]"
    yield '  # number = "2458888"'
    yield '  # label = "…"'
