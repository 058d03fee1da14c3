"""Which parties of a call are of one company (domain), which of others, and how they met. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from agent.calls.call_result import ending
from agent.calls.call_state import Call, Channel, Dial, MomentKind
from agent.calls.dial_chain import dial_chain, origin_rings, ringer
from agent.rules.directory import Directory, DomainIndex
from agent.rules.forwarding import forwarding_user
from fonoteka.core.call_report import Result

_GRAVITY: Final = (Result.NO_ANSWER, Result.BUSY, Result.OTHER)


@dataclass(frozen=True, kw_only=True)
class CompanySides:
    """The sides of a call of several domains, as `domain` takes them.

    `concerned` are all domains of the call, the one whose call it is first. `other` are the
    channels of the other companies, and of the parties that talk with them: the domain sees all of
    these channels as one party.
    """

    call: Call
    domain: DomainIndex
    concerned: tuple[DomainIndex, ...]
    directory: Directory

    def is_own_number(self, exten: str) -> bool:
        """Whether it is an extension or a number of the domain."""
        return self.domain.user_at(exten) is not None or self.domain.own_number(exten) is not None

    @cached_property
    def is_first(self) -> bool:
        """Whether it is the domain whose call it is: the caller, or whose number was dialled."""
        return self.concerned[0] is self.domain

    @cached_property
    def other(self) -> frozenset[str]:
        """The channels (uniqueids) that are none of the domain's."""
        return frozenset(
            channel.uniqueid
            for channel in self.call.channels.values()
            if not channel.is_local and self._holder(channel) is not self.domain
        )

    def is_own(self, uniqueid: str) -> bool:
        """Whether a channel is a party of the domain's part of the call."""
        channel = self.call.channels.get(uniqueid)
        return channel is not None and not channel.is_local and uniqueid not in self.other

    def _holder(self, channel: Channel) -> DomainIndex:
        """Return the domain of a user, or on whose behalf an outside party takes part."""
        of_user = self.directory.of_endpoint(channel.endpoint)
        if of_user is not None:
            return of_user
        rings = [dial for dial in self.call.dials if dial.callee == channel.uniqueid]
        return next(filter(None, map(self._ringing_domain, rings)), self.concerned[0])

    def _ringing_domain(self, dial: Dial) -> DomainIndex | None:
        """Return the domain that rings an outside party: a forward of a user, or its caller."""
        by = ringer(self.call, dial)
        of_caller = self.directory.of_endpoint(by.endpoint) if by is not None else None
        for domain in self.concerned:
            if domain is not of_caller and domain.user(by) is None and forwarding_user(self.call, dial, domain) is not None:
                return domain
        return of_caller

    @cached_property
    def meeting(self) -> tuple[Dial, bool] | None:
        """The first dial between the domain and the others, and whether the domain dialled."""
        for dial in self.call.dials:
            by = ringer(self.call, dial)
            caller, callee = by.uniqueid if by is not None else dial.caller, dial.callee
            if callee in self.other and self.is_own(caller):
                return dial, True
            if self.is_own(callee) and caller in self.other:
                return dial, False
        return None

    @cached_property
    def called(self) -> bool:
        """Whether the domain was called by the others."""
        return not self.meeting[1] if self.meeting is not None else not self.is_first

    @cached_property
    def number(self) -> str:
        """The number of the others: as it was dialled, or as it was shown to the domain."""
        return self._shown() if self.called else self._dialled()

    def _companies(self) -> Iterator[DomainIndex]:
        return (domain for domain in self.concerned if domain is not self.domain)

    def _public(self, number: str) -> str:
        """Return a number that may be shown: an extension inside another company is none."""
        inside = any(company.user_at(number) is not None for company in self._companies())
        return "" if inside or number == "s" else number

    def _shown(self) -> str:
        origin = self.call.origin
        shown = self.meeting[0].caller_num if self.meeting is not None else origin.caller_num if origin is not None else ""
        return self._public(shown) or self._number_of_company(shown)

    def _number_of_company(self, extension: str = "") -> str:
        """Return a number of the others: that which ends with an extension, else their first."""
        numbers = [number for company in self._companies() for number in company.settings.numbers]
        direct = (number for number in numbers if extension and number.endswith(extension))
        return next(direct, next(iter(numbers), ""))

    def _dialled(self) -> str:
        origin = self.call.origin
        if self.meeting is None and any(self.call.channels[uniqueid].guest for uniqueid in self.other):
            return self._number_of_company()
        if self.meeting is None:
            dialled = origin is not None and self.domain.user(origin) is not None
            return origin.exten if origin is not None and dialled else self._number_of_company()
        dial = self.meeting[0]
        chain = dial_chain(self.call, dial)
        sent_on = [
            moment.text
            for moment in self.call.moments
            if moment.kind in (MomentKind.TRANSFER, MomentKind.FORWARD) and self.is_own(moment.uniqueid) and moment.at <= dial.at
        ]
        reached = [each.exten for each in chain] + sent_on + ([origin.exten] if origin is not None else [])
        of_company = (text for text in reached if text and any(company.own_number(text) for company in self._companies()))
        found = next(of_company, "") or next(reversed(sent_on), "") or self._typed(dial, chain)
        return found or self._number_of_company()

    def _typed(self, dial: Dial, chain: list[Dial]) -> str:
        """Return what a user of the domain dialled: with an own channel, by keys, by a click."""
        by = ringer(self.call, dial)
        if by is None or self.domain.user(by) is None:
            return ""
        if by is self.call.origin and origin_rings(self.call):
            return self._public(chain[-1].exten)  # the way there may lead through the other company
        was_rung = any(each.callee == by.uniqueid for each in self.call.dials)
        dialling = self.call.channels.get(chain[-1].caller) if was_rung else by
        return dialling.exten if dialling is not None else ""

    def own_dialled(self) -> str:
        """Return the number by which the domain was called."""
        call, origin = self.call, self.call.origin
        texts = [origin.exten] if origin is not None else []
        texts += [moment.text for moment in call.moments if moment.kind is MomentKind.TRANSFER]
        if self.meeting is not None:
            texts += [each.exten for each in dial_chain(call, self.meeting[0])]
        known = (text for text in texts if text and self.domain.own_number(text) is not None)
        users = (self.domain.user(channel) for channel in call.channels.values())
        return next(known, "") or next((user.extension for user in users if user is not None), "")

    def deciding_dial(self) -> Dial | None:
        """Return the dial that says how the others were reached: the best of all that ring them."""
        dials = [dial for dial in self.call.dials if dial.callee in self.other and not dial.forward]
        for wanted in (lambda dial: dial.status == "ANSWER", lambda dial: not dial.status):
            if (found := next(filter(wanted, reversed(dials)), None)) is not None:
                return found
        return min(dials, key=lambda dial: _GRAVITY.index(ending(self.call, dial)), default=None)
