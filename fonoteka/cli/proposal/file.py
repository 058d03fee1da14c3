"""Write the proposal as a TOML file. Names of endpoints and caller ids only become strings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import tomlkit
from tomlkit.items import Table

from fonoteka.cli.proposal.endpoints import PbxEndpoint
from fonoteka.cli.proposal.people import Guess, Person, guess

_LOCALTIME: Final = Path("/etc/localtime")


def zone_here(link: Path = _LOCALTIME) -> str:
    """Return the time zone of this machine (localtime(5)), or `UTC` if it is not set."""
    _, found, zone = str(link.resolve()).partition("/zoneinfo/")
    return zone if found else "UTC"


def proposal(endpoints: Sequence[PbxEndpoint], *, asterisk: str, timezone: str, domain: str | None = None) -> str:
    """Return the text of a file for `fonoteka apply`.

    With `domain` the file has the users of that domain only; if no endpoint belongs to it, all
    users are put into it.
    """
    found = guess(endpoints)
    people = [person for person in found.people if domain in (None, person.domain)]
    if not people:
        people = list(guess(endpoints, domain).people)
    document = tomlkit.document()
    for line in _head(found, asterisk, empty=not people):
        document.add(tomlkit.comment(line) if line else tomlkit.nl())
    domains = tomlkit.aot()
    for name, members in groupby(people, key=lambda person: person.domain):
        domains.append(_domain(name, members, timezone))
    if people:
        document.add("domain", domains)
    return tomlkit.dumps(document)


def _head(found: Guess, asterisk: str, *, empty: bool) -> Iterator[str]:
    yield f"Proposed from the endpoints of Asterisk at {asterisk}."
    yield "Read it, correct it, then: fonoteka apply FILE"
    yield 'A user without a password cannot log in; a domain needs a user with role = "admin".'
    outside = [f"PJSIP/{name}" for name in found.outside if name != "anonymous"]
    yield from _listed(f"These lead outside. For the configuration, [pbx]: trunks = {_toml(outside)}", found.outside)
    yield from _listed("These are left out:", found.unfit)
    if empty:
        yield "Asterisk has no PJSIP endpoint that looks like a telephone of a user."


def _listed(title: str, endpoints: Mapping[str, str]) -> Iterator[str]:
    if endpoints:
        yield ""
        yield title
    for name, why in endpoints.items():
        yield f"    {_toml(name)}: {why}"


def _toml(value: str | list[str]) -> str:
    return tomlkit.item(value).as_string()


def _domain(name: str, people: Iterable[Person], timezone: str) -> Table:
    table = tomlkit.table()
    table.add("name", tomlkit.string(name).comment("what is typed at login"))
    table.add("title", name)
    table.add("timezone", tomlkit.string(timezone).comment("of the machine that proposed it"))
    table.add("country", "RU")
    table.add("area_codes", tomlkit.array().comment('the city: ["391"]'))
    table.add("retention_days", 180)
    table.add(tomlkit.comment("The numbers of the company, as callers dial them:"))
    for line in ("[[domain.number]]", 'number = "2458888"', 'label = "…"'):
        table.add(tomlkit.comment(line))
    users = tomlkit.aot()
    for person in people:
        users.append(_user(person))
    table.add("user", users)
    return table


def _user(person: Person) -> Table:
    table = tomlkit.table()
    table.add("login", person.login)
    table.add("name", person.name)
    table.add("extension", person.extension)
    table.add("endpoints", list(person.endpoints))
    table.add("role", "user")
    table.add("record", "all")
    table.add(tomlkit.comment('password = "…"  # passwords of Asterisk are not copied'))
    return table
