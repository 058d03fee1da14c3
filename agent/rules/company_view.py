"""What a company (domain) sees of a call that concerns others too. Pure.

For each company the others are one outside party, with the number that was dialled or shown; what
happens inside the others (who rings, transfers, forwards, holds) is none of its business.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from agent.calls.call_state import OF_RECORDINGS, Call, Channel, Dial, Moment, MomentKind, Recording
from agent.calls.dial_chain import dial_chain
from agent.calls.talk_groups import talk_groups
from agent.rules.company_sides import CompanySides
from agent.rules.company_time import clipped
from agent.rules.directory import OTHER_COMPANY

_UNANSWERED: Final = frozenset({MomentKind.BUSY, MomentKind.NO_ANSWER, MomentKind.FAIL})


@dataclass(frozen=True, kw_only=True)
class CompanyView(CompanySides):
    """What `domain` sees of a call of several domains; `seen` is the result."""

    @cached_property
    def seen(self) -> Call:
        """The call as the domain sees it."""
        others = [channel for channel in self.call.channels.values() if channel.uniqueid in self.other]
        return clipped(replace(self.call, **self._parts(self._party(others))), self) if others else self.call

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

    # The parts of the call.

    def _party(self, others: list[Channel]) -> Channel:
        """Return the others as one channel."""
        spoken = [channel.first_bridged_at for channel in others if channel.first_bridged_at is not None]
        ends = [channel.ended_at for channel in others if channel.ended_at is not None]
        talking = next(filter(None, (self._in_talk(channel) for channel in others)), None)
        dial = self.deciding_dial()
        last = self.call.channels[dial.callee] if dial is not None else others[-1]
        return replace(
            others[0],
            name=f"{OTHER_COMPANY}-1",
            exten=self.own_dialled() if self.called else "",
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
                exten = dial.exten if not is_inside or self.is_own_number(dial.exten) else ""
                dialled = "" if dial.callee in inside else dial.dialled
                kept.append(replace(dial, dialled=dialled, exten=exten, caller=party.uniqueid if caller else dial.caller))
        return tuple(kept)

    def _passages(self) -> frozenset[str]:
        """Return the halves of Local channels that lead to the others: their names say where."""
        chains = (dial_chain(self.call, dial) for dial in self.call.dials if dial.callee in self.other)
        return frozenset(each.callee for chain in chains for each in chain[1:])

    def _ringing(self, first: Dial, party: Channel) -> Dial:
        """Return the one dial of the others; it begins with the first of them."""
        decides = self.deciding_dial() or first
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
