"""Companies on a PBX: domains, their users and numbers, as the agent needs them to decide.

The store keeps them (`fonoteka apply` and the portal change them); agents fetch them as one `DomainSettings`.
"""

from dataclasses import dataclass
from enum import StrEnum


class RecordRule(StrEnum):
    """Which of a user's talks are recorded (CONTRACT.md, `record`)."""

    OFF = "off"
    ALL = "all"
    IN = "in"
    OUT = "out"
    ON_DEMAND = "on_demand"


class Role(StrEnum):
    """`USER` sees the calls they took part in, `ADMIN` the whole domain."""

    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A person of a domain. `endpoints` are channel prefixes such as `PJSIP/acme-152`."""

    login: str
    name: str
    extension: str
    endpoints: tuple[str, ...]
    record: RecordRule


@dataclass(frozen=True, kw_only=True, slots=True)
class Domain:
    """A company. `country` is ISO 3166 (`RU`), `area_codes` are what counts as the city, `numbers` its own numbers (DID).

    `notice_in`, `notice_out`: the sound that the outside party hears before a talk that is recorded, as Asterisk knows it; None: no
    notice. `beep_every_s`: how often both hear a beep while they are recorded; 0: never.
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
    """All domains of an installation at one version; any change gives a higher version."""

    version: int
    domains: tuple[Domain, ...] = ()
