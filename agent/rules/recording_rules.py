"""Whether a person's side of a call is recorded, and why not: the manual's rules as pure functions.

`decide` judges one user in one call; `due` says which channels ought to have a recorder by now.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final

from agent.calls.call_state import Call, Channel, Dial, PendingDecision, Recording, RecordingStage
from agent.calls.dial_chain import dial_chain, is_awaited, ringer
from agent.calls.talk_groups import heard_by, talk_groups
from agent.rules.directory import DomainIndex
from agent.rules.forwarding import forwarding_user, never_recorded
from fonoteka.core.call_report import Decision, Direction, Reason
from fonoteka.core.domains import RecordRule, User
from fonoteka.core.phone_numbers import SHORTEST_OUTSIDE

_RECORD: Final = Decision(record=True)
_NOBODYS: Final = Decision(record=False, reason=Reason.USER_OFF)  # nobody with recording on takes part


def decide(user: User, direction: Direction, *, called: bool) -> Decision:
    """Whether this user's talk is recorded by their setting (manual, VI: «выборочная или сплошная запись»).

    `called` tells that the user was rung rather than the one who dialled: it gives internal calls a side.
    """
    match user.record:
        case RecordRule.ALL:
            return _RECORD
        case RecordRule.OFF:
            return Decision(record=False, reason=Reason.USER_OFF)
        case RecordRule.ON_DEMAND:
            return Decision(record=False, reason=Reason.ON_DEMAND_NOT_ASKED)
        case RecordRule.IN | RecordRule.OUT:
            incoming = direction is Direction.IN or (direction is Direction.INTERNAL and called)
            wanted = incoming == (user.record is RecordRule.IN)
            return _RECORD if wanted else Decision(record=False, reason=Reason.DIRECTION_OFF)


def by_setting(call: Call, channel: Channel, user: User, domain: DomainIndex) -> Decision:
    """Whether this channel of a user's is recorded by their setting."""
    return decide(user, direction(call, domain), called=_was_rung(call, channel))


def direction(call: Call, domain: DomainIndex) -> Direction:
    """Where the call goes, seen from the company: by who began it and whom they rang first (manual, IV)."""
    origin = call.origin
    if origin is None or domain.user(origin) is None:
        return Direction.IN
    for dial in call.dials:
        callee = call.channels.get(dial.callee)
        if dial.caller == "" and callee is not None and callee.uniqueid == origin.uniqueid:
            continue  # Asterisk rang the origin itself (click to call); what counts is what that phone dials next
        if callee is not None and not callee.is_local:
            return Direction.OUT if domain.is_outside(callee) else Direction.INTERNAL
    inside = domain.user_at(origin.exten) is not None or len(origin.exten) < SHORTEST_OUTSIDE
    return Direction.INTERNAL if inside else Direction.OUT


def pending_decisions(call: Call, domain: DomainIndex) -> Iterator[PendingDecision]:
    """The decisions that this state of the call asks for and that were not taken yet.

    While it rings: a recorder is attached before the talk begins, on the phone that is rung, or on the caller's own when a
    user dials, so that the first word is in it. While they talk: whoever is recorded and hears others without any recorder
    among them gets one now (after a transfer, a pick-up, a merge). Where two recorded people meet there is one recording.
    """
    decided = {known.uniqueid for known in call.recordings}
    covered = {known.uniqueid for known in call.recordings if known.stage is RecordingStage.RUNNING}
    candidates = chain(_ringing(call, domain), _talking(call, domain))
    for candidate in candidates:
        if candidate.channel.uniqueid in decided or covered & candidate.with_whom:
            continue
        decided.add(candidate.channel.uniqueid)
        decision = candidate.judge()
        if decision.record:
            covered.add(candidate.channel.uniqueid)
        login = candidate.user.login if candidate.user is not None else ""
        yield PendingDecision(channel=candidate.channel, user=login, decision=decision)


def picked_up_recordings(call: Call, domain: DomainIndex) -> list[tuple[Recording, PendingDecision]]:
    """The recordings that came to another user's channel when that user picked it up, judged by this user's setting."""
    where = direction(call, domain)
    found = []
    for known in call.recordings:
        channel = call.channels.get(known.uniqueid)
        user = domain.user(channel)
        if known.stage is RecordingStage.RUNNING and channel is not None and user is not None and user.login != known.user:
            found.append((known, PendingDecision(channel=channel, user=user.login, decision=decide(user, where, called=True))))
    return found


def stale_recordings(call: Call) -> list[Recording]:
    """The recordings whose channel now talks with somebody else than at first: their recorders must be renewed.

    Asterisk's recorder remembers the RTP sequence number of whom it heard; frames of the next party with lower numbers are dropped
    from the leg, for minutes in half of all cases (asterisk/asterisk 304, 507; docs/decisions/0006-renewing.md).
    """
    running = [known for known in call.recordings if known.stage is RecordingStage.RUNNING and known.heard]
    return [known for known in running if (now := heard_by(call, known.uniqueid)) and now != known.heard]


def recordings_hearing(call: Call, uniqueid: str) -> list[Recording]:
    """The recordings in which this channel is heard now, on its own side or the other."""
    running = [known for known in call.recordings if known.stage is RecordingStage.RUNNING]
    return [known for known in running if uniqueid == known.uniqueid or uniqueid in heard_by(call, known.uniqueid)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidate:
    """A channel that may need a recorder, for which user; `with_whom` are the channels whose recorder would do as well."""

    channel: Channel
    user: User | None
    with_whom: frozenset[str]
    judge: Callable[[], Decision]


def _ringing(call: Call, domain: DomainIndex) -> Iterator[_Candidate]:
    where = direction(call, domain)
    for dial in call.dials:
        callee = call.channels.get(dial.callee)
        if dial.status or callee is None or callee.is_local or callee.ended_at is not None:
            continue
        caller = ringer(call, dial)
        if is_awaited(call, dial):
            continue  # who asks by keys, and may be recorded already
        both = frozenset({callee.uniqueid, caller.uniqueid if caller is not None else callee.uniqueid})
        user = domain.user(caller)
        if caller is not None and user is not None and caller.ended_at is None:
            called = _was_rung(call, caller)
            yield _Candidate(channel=caller, user=user, with_whom=both, judge=partial(decide, user, where, called=called))
        rung = domain.user(callee)
        if rung is not None:
            yield _Candidate(channel=callee, user=rung, with_whom=both, judge=partial(decide, rung, where, called=True))
        elif domain.is_outside(callee):
            yield from _forwarded(call, dial, callee, both, domain)


def _forwarded(call: Call, dial: Dial, callee: Channel, both: frozenset[str], domain: DomainIndex) -> Iterator[_Candidate]:
    """An outside party that is rung on behalf of a user who did not dial it, or of nobody (a queue, a rule of the dialplan)."""
    user, by = forwarding_user(call, dial, domain), ringer(call, dial)
    if user is None and domain.user(by) is not None:
        return  # that user dialled it: no forward
    if by is None and dial_chain(call, dial)[-1].caller in call.channels:
        return  # through a Local channel of which it is not told yet who rings its other half (the two may pass each other)

    def judge() -> Decision:
        by_setting = decide(user, Direction.IN, called=True) if user is not None else _NOBODYS
        return never_recorded(dial.dialled, domain.settings) or by_setting

    yield _Candidate(channel=callee, user=user, with_whom=both, judge=judge)


def _talking(call: Call, domain: DomainIndex) -> Iterator[_Candidate]:
    for group in talk_groups(call):
        for channel in call.channels.values():
            user = domain.user(channel)
            if channel.uniqueid in group and user is not None:
                judge = partial(by_setting, call, channel, user, domain)
                yield _Candidate(channel=channel, user=user, with_whom=group, judge=judge)


def _was_rung(call: Call, channel: Channel) -> bool:
    return any(dial.callee == channel.uniqueid and dial.caller for dial in call.dials)
