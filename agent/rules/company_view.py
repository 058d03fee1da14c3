"""What a company (domain) sees of a call that concerns others too. Pure.

For each company the others are one outside party, with the number that was dialled or shown; what
happens inside the others (who rings, transfers, forwards, holds) is none of its business.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from agent.calls.call_result import ending
from agent.calls.call_state import OF_RECORDINGS, Call, Channel, Dial, Moment, MomentKind, Recording, Talk
from agent.calls.dial_chain import dial_chain, origin_rings, ringer
from agent.calls.talk_groups import talk_groups
from agent.rules.directory import OTHER_COMPANY, Directory, DomainIndex
from agent.rules.forwarding import forwarding_user
from fonoteka.core.call_report import Result

_UNANSWERED: Final = frozenset({MomentKind.BUSY, MomentKind.NO_ANSWER, MomentKind.FAIL})
_GRAVITY: Final = (Result.NO_ANSWER, Result.BUSY, Result.OTHER)


@dataclass(frozen=True, kw_only=True)
class CompanyView:
    """What `domain` sees of a call of several domains; `seen` is the result.

    `other` are the channels of the other companies, and of the parties that talk with them: the
    domain sees all of these channels as one party.
    """

    call: Call
    domain: DomainIndex
    concerned: tuple[DomainIndex, ...]
    directory: Directory

    @cached_property
    def seen(self) -> Call:
        """The call as the domain sees it."""
        others = [channel for channel in self.call.channels.values() if channel.uniqueid in self.other]
        return self._clipped(replace(self.call, **self._parts(self._party(others)))) if others else self.call

    def _parts(self, party: Channel) -> dict[str, Any]:
        dials = self._dials(party)
        return {
            "channels": self._channels(party),
            "dials": dials,
            "moments": self._moments(party, dials),
            "recordings": tuple(self._recording(recording, party) for recording in self.call.recordings),
            **self._taken(party),
            **self._queue(),
        }

    def _queue(self) -> dict[str, Any]:
        """Leave out the queue of another company: it is that of the number that was dialled."""
        origin = self.call.origin
        dialled = self.directory.of_number(origin.exten) if origin is not None else None
        is_own = (dialled or self.concerned[0]) is self.domain
        return {} if is_own else {"queue": "", "queued_at": None}

    def _recording(self, recording: Recording, party: Channel) -> Recording:
        return replace(recording, uniqueid=party.uniqueid) if recording.uniqueid in self.other else recording

    # Who is who.

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

    # How the domain and the others met.

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

    def _own_dialled(self) -> str:
        """Return the number by which the domain was called."""
        call, origin = self.call, self.call.origin
        texts = [origin.exten] if origin is not None else []
        texts += [moment.text for moment in call.moments if moment.kind is MomentKind.TRANSFER]
        if self.meeting is not None:
            texts += [each.exten for each in dial_chain(call, self.meeting[0])]
        known = (text for text in texts if text and self.domain.own_number(text) is not None)
        users = (self.domain.user(channel) for channel in call.channels.values())
        return next(known, "") or next((user.extension for user in users if user is not None), "")

    # The parts of the call.

    def _party(self, others: list[Channel]) -> Channel:
        """Return the others as one channel."""
        spoken = [channel.first_bridged_at for channel in others if channel.first_bridged_at is not None]
        ends = [channel.ended_at for channel in others if channel.ended_at is not None]
        talking = next(filter(None, (self._in_talk(channel) for channel in others)), None)
        dial = self._deciding_dial()
        last = self.call.channels[dial.callee] if dial is not None else others[-1]
        return replace(
            others[0],
            name=f"{OTHER_COMPANY}-1",
            exten=self._own_dialled() if self.called else "",
            caller_num=self.number,
            caller_name="",
            started_at=min(channel.started_at for channel in others),
            ended_at=max(ends) if len(ends) == len(others) else None,
            cause=last.cause,
            bridge=talking.bridge if talking is not None else None,
            conference=talking is not None and talking.conference,
            bridged_since=talking.bridged_since if talking is not None else None,
            first_bridged_at=min(spoken, default=None),
            figures=None,
            guest=all(channel.guest for channel in others),
        )

    def _in_talk(self, channel: Channel) -> Channel | None:
        """Return the channel if it talks with a party of the domain now."""
        group = next((group for group in self._talks if channel.uniqueid in group), frozenset())
        return channel if any(map(self.is_own, group)) else None

    @cached_property
    def _talks(self) -> list[frozenset[str]]:
        return talk_groups(self.call)

    def _deciding_dial(self) -> Dial | None:
        """Return the dial that says how the others were reached: the best of all that ring them."""
        dials = [dial for dial in self.call.dials if dial.callee in self.other and not dial.forward]
        for wanted in (lambda dial: dial.status == "ANSWER", lambda dial: not dial.status):
            if (found := next(filter(wanted, reversed(dials)), None)) is not None:
                return found
        return min(dials, key=lambda dial: _GRAVITY.index(ending(self.call, dial)), default=None)

    def _channels(self, party: Channel) -> dict[str, Channel]:
        """Return the domain's channels with the other party, the caller first."""
        own = {uniqueid: channel for uniqueid, channel in self.call.channels.items() if uniqueid not in self.other}
        if self.called:
            return {party.uniqueid: party, **own}
        return {**own, party.uniqueid: party}

    def _dials(self, party: Channel) -> tuple[Dial, ...]:
        """Return the dials of the domain's part; those that ring the others are one."""
        kept: list[Dial] = []
        inside = self._passages()
        for dial in self.call.dials:
            callee, caller = dial.callee in self.other, dial.caller in self.other
            if callee and (caller or self.called or any(each.callee == party.uniqueid for each in kept)):
                continue
            if callee:
                kept.append(self._ringing(dial, party))
            else:
                is_inside = caller or dial.caller in inside or dial.callee in inside
                exten = dial.exten if not is_inside or self._is_own_number(dial.exten) else ""
                dialled = "" if dial.callee in inside else dial.dialled
                kept.append(replace(dial, dialled=dialled, exten=exten, caller=party.uniqueid if caller else dial.caller))
        return tuple(kept)

    def _passages(self) -> frozenset[str]:
        """Return the halves of Local channels that lead to the others: their names say where."""
        chains = (dial_chain(self.call, dial) for dial in self.call.dials if dial.callee in self.other)
        return frozenset(each.callee for chain in chains for each in chain[1:])

    def _is_own_number(self, exten: str) -> bool:
        return self.domain.user_at(exten) is not None or self.domain.own_number(exten) is not None

    def _ringing(self, first: Dial, party: Channel) -> Dial:
        """Return the one dial of the others; it begins with the first of them."""
        decides = self._deciding_dial() or first
        return replace(
            first,
            callee=party.uniqueid,
            dialled=self.number,
            exten=self.number,
            forward="",
            status=decides.status,
            ended_at=decides.ended_at,
        )

    def _moments(self, party: Channel, dials: tuple[Dial, ...]) -> tuple[Moment, ...]:
        rings = next((dial for dial in dials if dial.callee == party.uniqueid), None)
        once: set[MomentKind] = set()
        kept = []
        for moment in self.call.moments:
            if moment.uniqueid in self.other and moment.kind is not MomentKind.ARRIVE:
                if moment.kind in once or not self._is_of_party(moment, rings, party):
                    continue
                once.add(moment.kind)
            if moment.kind in OF_RECORDINGS and self.call.recording(moment.text) is None:
                continue
            kept.append(self._moment(moment, party))
        return tuple(kept)

    def _is_of_party(self, moment: Moment, rings: Dial | None, party: Channel) -> bool:
        """Whether a moment of the others is one of the party that they are."""
        match moment.kind:
            case MomentKind.RING:
                return rings is not None and moment.other not in self.other
            case MomentKind.ANSWER | MomentKind.JOIN:
                return not self.called
            case MomentKind.LEAVE:
                return party.ended_at is not None and moment.at == party.ended_at
            case _:
                return moment.kind in _UNANSWERED and rings is not None and moment.at == rings.ended_at

    def _moment(self, moment: Moment, party: Channel) -> Moment:
        uniqueid = party.uniqueid if moment.uniqueid in self.other else moment.uniqueid
        other = party.uniqueid if moment.other in self.other else moment.other
        text = self.number if moment.uniqueid in self.other else moment.text
        if moment.kind is MomentKind.ARRIVE and self.is_first:
            uniqueid, text = moment.uniqueid, moment.text
        return replace(moment, uniqueid=uniqueid, other=other, text=text)

    def _taken(self, party: Channel) -> dict[str, Any]:
        """Return who took the call, and when."""
        call = self.call
        if not self.called:
            return {"taken_by": party.uniqueid if call.taken_by in self.other else call.taken_by}
        spoke = {
            uniqueid: at
            for uniqueid, channel in call.channels.items()
            if self.is_own(uniqueid) and (at := channel.first_bridged_at)
        }
        if not spoke:
            return {"taken_by": "", "taken_at": None}
        last = max(spoke, key=lambda uniqueid: spoke[uniqueid])
        return {"taken_by": call.taken_by if call.taken_by in spoke else last, "taken_at": min(spoke.values())}

    # The time of the domain's part.

    def _clipped(self, seen: Call) -> Call:
        """Return the call from when the domain took part until its last party has left."""
        own = [channel for channel in seen.channels.values() if self.is_own(channel.uniqueid)]
        started_at, ended_at = self._started_at(own), self._ended_at(own)
        moments = [moment for moment in seen.moments if started_at <= moment.at and (ended_at is None or moment.at <= ended_at)]
        if not self.is_first:
            moments = [moment for moment in moments if moment.kind is not MomentKind.ARRIVE]
            origin = seen.origin
            assert origin is not None
            moments.insert(0, Moment(at=started_at, kind=MomentKind.ARRIVE, uniqueid=origin.uniqueid, text=origin.exten))
        if ended_at is not None and not any(moment.kind is MomentKind.END for moment in moments):
            moments.append(Moment(at=ended_at, kind=MomentKind.END))
        clipped = replace(
            seen,
            started_at=started_at,
            ended_at=ended_at,
            moments=tuple(moments),
            channels={uniqueid: _until(channel, ended_at) for uniqueid, channel in seen.channels.items()},
            recordings=tuple(recording for recording in seen.recordings if _began_before(recording, ended_at)),
        )
        return clipped if self.is_first and ended_at == seen.ended_at else _with_talk_of(own, clipped)

    def _started_at(self, own: list[Channel]) -> datetime:
        if self.is_first or self._arrived or not own:
            return self.call.started_at
        return min(channel.started_at for channel in own)

    def _ended_at(self, own: list[Channel]) -> datetime | None:
        """Return when the last party of the domain left; the next of its queue may still ring."""
        ends = [channel.ended_at for channel in own if channel.ended_at is not None]
        spoke = any(channel.first_bridged_at is not None for channel in own)
        if not own or len(ends) < len(own) or not (self.is_first or spoke or self.call.ended_at is not None):
            return self.call.ended_at
        return self.call.ended_at if self._arrived and not spoke else max(ends)

    @property
    def _arrived(self) -> bool:
        """Whether the call began by dialling a number of the domain."""
        origin = self.call.origin
        return origin is not None and self._is_own_number(origin.exten) and self.called


def _until(channel: Channel, end: datetime | None) -> Channel:
    return channel if end is None or channel.ended_at is None or channel.ended_at <= end else replace(channel, ended_at=end)


def _began_before(recording: Recording, end: datetime | None) -> bool:
    return end is None or recording.started_at is None or recording.started_at <= end


def _with_talk_of(own: list[Channel], call: Call) -> Call:
    """Return a call without the talk before these channels took part in it."""
    spoke = [channel.first_bridged_at for channel in own if channel.first_bridged_at is not None]
    if not spoke:
        return replace(call, talks=(), talking_since=None)
    since, until, present = min(spoke), call.ended_at, call.talking_since
    talks = [*call.talks, *([Talk(since=present, until=until)] if present is not None and until is not None else [])]
    clipped = (Talk(since=max(talk.since, since), until=min(talk.until, until or talk.until)) for talk in talks)
    goes_on = present is not None and until is None and any(channel.bridge is not None for channel in own)
    return replace(
        call,
        talks=tuple(talk for talk in clipped if talk.since < talk.until),
        talking_since=max(present, since) if present is not None and goes_on else None,
    )
