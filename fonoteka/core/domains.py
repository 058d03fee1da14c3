"""Domains (tenants) with their users and numbers, as the agent needs them to decide.

The store keeps them, `fonoteka apply` and the portal change them, and agents fetch them as one
`DomainSettings`.
"""

from dataclasses import dataclass
from enum import StrEnum


class RecordRule(StrEnum):
    """Which talks of a user are recorded."""

    OFF = "off"
    ALL = "all"
    IN = "in"
    OUT = "out"
    ON_DEMAND = "on_demand"


class Role(StrEnum):
    """`USER` sees the calls in which the user took part, `ADMIN` all calls of the domain."""

    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A user of a domain. `endpoints` are channel prefixes such as `PJSIP/acme-152`."""

    login: str
    name: str
    extension: str
    endpoints: tuple[str, ...]
    record: RecordRule


@dataclass(frozen=True, kw_only=True, slots=True)
class Domain:
    """A tenant of the PBX.

    `country` is ISO 3166 (`RU`), `area_codes` are the area codes that count as local, `numbers` the
    domain's numbers (DID). `notice_in` and `notice_out` name the Asterisk sound that the outside
    party hears before a recorded talk; None: no announcement. `beep_every_s` is the interval of the
    beep during a recorded talk; 0: no beep.
    """

    name: str
    country: str
    area_codes: tuple[str, ...]
    users: tuple[User, ...]
    numbers: tuple[str, ...]
    notice_in: str | None = None
    notice_out: str | None = None
    beep_every_s: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class DomainSettings:
    """The domains that a PBX serves, at one version; each change increases the version.

    `domains_unset`: the PBX was registered before PBXs named their domains and gets all of them.
    """

    version: int
    domains: tuple[Domain, ...] = ()
    domains_unset: bool = False
