"""Which user and domain an endpoint, a number or a name belongs to: look-ups in the settings.

For a domain, users of other domains on the same PBX are outside parties. Which domain a call
belongs to is decided by `agent.rules.parties`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from agent.calls.call_state import Channel
from fonoteka.core.domains import Domain, DomainSettings, User
from fonoteka.core.phone_numbers import normalise

_MOST_NUMBERS: Final = 10_000
# Channels that Asterisk makes for itself: announcements, recorders, copies.
_INSIDE_ASTERISK: Final = frozenset({"Announcer", "AsyncGoto", "Bridge", "CBAnn", "CBRec", "Recorder", "Snoop", "Surrogate"})


@dataclass(frozen=True, kw_only=True)
class DomainIndex:
    """The settings of one domain, indexed.

    `trunks` are the endpoints that lead outside the PBX. If it is empty, every endpoint that does
    not belong to a user leads outside. `foreign` are the endpoints of the users of other domains.
    """

    settings: Domain
    trunks: frozenset[str]
    foreign: frozenset[str] = frozenset()

    @cached_property
    def _by_endpoint(self) -> dict[str, User]:
        return {endpoint: user for user in self.settings.users for endpoint in user.endpoints}

    @cached_property
    def _by_extension(self) -> dict[str, User]:
        return {user.extension: user for user in self.settings.users if user.extension}

    @cached_property
    def _by_login(self) -> dict[str, User]:
        return {user.login: user for user in self.settings.users}

    @cached_property
    def _numbers(self) -> dict[str, str]:
        numbers = self.settings.numbers
        return {key: number for number in numbers for key in (number, self.normalised(number)) if key is not None}

    def user(self, channel: Channel | None) -> User | None:
        """Return the user of the channel's endpoint, if any."""
        return self._by_endpoint.get(channel.endpoint) if channel is not None else None

    def user_named(self, login: str) -> User | None:
        """Return the user with this login, if any."""
        return self._by_login.get(login)

    def user_at(self, extension: str) -> User | None:
        """Return the user with this internal number, if any."""
        return self._by_extension.get(extension)

    def is_outside(self, channel: Channel) -> bool:
        """Return whether the channel's party does not belong to this domain."""
        if channel.is_local or channel.endpoint in self._by_endpoint:
            return False
        return not self.trunks or channel.endpoint in self.trunks

    def trunk(self, channel: Channel) -> str | None:
        """Return the endpoint by which the channel's party is outside the PBX, or None.

        Not that of another company's user, which belongs to that company alone.
        """
        endpoint = channel.endpoint
        technology, _, name = endpoint.partition("/")
        if technology in _INSIDE_ASTERISK or endpoint in self.foreign or not self.is_outside(channel):
            return None
        return f"{technology}/{name.partition('/')[0]}"  # DAHDI/i1/84951234567: the number is no trunk

    def own_number(self, dialled: str) -> str | None:
        """Return the domain's own number that was dialled, as the settings write it, or None."""
        return self._numbers.get(dialled) or self._numbers.get(self.normalised(dialled) or "")

    def normalised(self, dialled: str) -> str | None:
        """Return a dialled number in E.164, or None if it is no outside number."""
        return normalise(dialled, self.settings.country, self.settings.area_codes)


@dataclass(frozen=True, kw_only=True)
class Directory:
    """All domains on this PBX."""

    settings: DomainSettings
    trunks: frozenset[str] = frozenset()

    @cached_property
    def domains(self) -> tuple[DomainIndex, ...]:
        """The index of each domain. Users of other domains are always outside."""
        endpoints = {domain.name: {e for user in domain.users for e in user.endpoints} for domain in self.settings.domains}
        everyone = frozenset().union(*endpoints.values())
        foreign = {name: everyone - own for name, own in endpoints.items()}
        return tuple(
            DomainIndex(
                settings=domain,
                trunks=self.trunks | foreign[domain.name] if self.trunks else frozenset(),
                foreign=foreign[domain.name],
            )
            for domain in self.settings.domains
        )

    @cached_property
    def _by_endpoint(self) -> dict[str, DomainIndex]:
        return {endpoint: domain for domain in self.domains for user in domain.settings.users for endpoint in user.endpoints}

    def is_user(self, channel: Channel) -> bool:
        """Return whether a channel belongs to a user of any domain, or no settings say so yet."""
        return not self.settings.domains or channel.endpoint in self._by_endpoint

    @cached_property
    def _by_number(self) -> dict[str, DomainIndex | None]:
        return {}

    @cached_property
    def _by_name(self) -> dict[str, DomainIndex]:
        return {domain.settings.name.casefold(): domain for domain in self.domains}

    @property
    def only_domain(self) -> DomainIndex | None:
        """The domain if the PBX has one only."""
        return self.domains[0] if len(self.domains) == 1 else None

    def of_endpoint(self, endpoint: str) -> DomainIndex | None:
        """Return the domain of the user of an endpoint, if any."""
        return self._by_endpoint.get(endpoint)

    def named(self, name: str) -> DomainIndex | None:
        """Return the domain with this name, if any."""
        return self._by_name.get(name.casefold())

    def of_number(self, dialled: str) -> DomainIndex | None:
        """Return the domain that has a number. It is asked for at each event, and parsed once."""
        if not dialled:
            return None
        if dialled not in self._by_number:
            if len(self._by_number) >= _MOST_NUMBERS:
                self._by_number.clear()
            self._by_number[dialled] = next((domain for domain in self.domains if domain.own_number(dialled)), None)
        return self._by_number[dialled]
