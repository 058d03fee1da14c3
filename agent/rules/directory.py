"""Who is who on this PBX: endpoints to users, numbers to companies. Values made from the settings, for quick look-ups.

A call belongs to one company. To it, another company's people on the same PBX are outside parties like any other.
"""

from dataclasses import dataclass
from functools import cached_property

from agent.calls.call_state import Call, Channel
from fonoteka.core.domains import Domain, DomainSettings, User
from fonoteka.core.phone_numbers import normalise


@dataclass(frozen=True, kw_only=True)
class Company:
    """One domain, indexed. `trunks` are the endpoints that lead outside the PBX; empty: every endpoint that is no user's."""

    domain: Domain
    trunks: frozenset[str]

    @cached_property
    def _by_endpoint(self) -> dict[str, User]:
        return {endpoint: user for user in self.domain.users for endpoint in user.endpoints}

    @cached_property
    def _by_extension(self) -> dict[str, User]:
        return {user.extension: user for user in self.domain.users if user.extension}

    @cached_property
    def _by_login(self) -> dict[str, User]:
        return {user.login: user for user in self.domain.users}

    @cached_property
    def _numbers(self) -> dict[str, str]:
        return {key: number for number in self.domain.numbers for key in (number, self.normalised(number)) if key is not None}

    def user(self, channel: Channel | None) -> User | None:
        """The user at whose endpoint this channel is, if any."""
        return self._by_endpoint.get(channel.endpoint) if channel is not None else None

    def user_named(self, login: str) -> User | None:
        """The user of that login."""
        return self._by_login.get(login)

    def user_at(self, extension: str) -> User | None:
        """The user that an internal number rings."""
        return self._by_extension.get(extension)

    def is_outside(self, channel: Channel) -> bool:
        """Whether the channel's party is no part of this company."""
        if channel.is_local or channel.endpoint in self._by_endpoint:
            return False
        return not self.trunks or channel.endpoint in self.trunks

    def own_number(self, dialled: str) -> str | None:
        """The company's own number that this is, as the company writes it."""
        return self._numbers.get(dialled) or self._numbers.get(self.normalised(dialled) or "")

    def normalised(self, dialled: str) -> str | None:
        """A dialled number in E.164, or None for what is no outside number."""
        return normalise(dialled, self.domain.country, self.domain.area_codes)


@dataclass(frozen=True, kw_only=True)
class Directory:
    """All companies on this PBX."""

    settings: DomainSettings
    trunks: frozenset[str] = frozenset()

    @cached_property
    def companies(self) -> tuple[Company, ...]:
        """Each domain, indexed; the users of the others are outside for it, whatever `trunks` says."""
        endpoints = {domain.name: {e for user in domain.users for e in user.endpoints} for domain in self.settings.domains}
        everyone = frozenset().union(*endpoints.values())
        return tuple(
            Company(domain=domain, trunks=self.trunks | (everyone - endpoints[domain.name]) if self.trunks else frozenset())
            for domain in self.settings.domains
        )

    @cached_property
    def _by_endpoint(self) -> dict[str, Company]:
        return {endpoint: company for company in self.companies for user in company.domain.users for endpoint in user.endpoints}

    def company_of(self, call: Call) -> Company | None:
        """The company a call belongs to: its first user's, else the dialled number's, else the only one there is."""
        for channel in call.channels.values():
            company = self._by_endpoint.get(channel.endpoint)
            if company is not None:
                return company
        dialled = call.origin.exten if call.origin is not None else ""
        by_number = (company for company in self.companies if dialled and company.own_number(dialled))
        return next(by_number, self.companies[0] if len(self.companies) == 1 else None)
