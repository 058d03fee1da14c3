"""Whether a user's side of a call is recorded, and why not: the rules of the manual. Pure.

`decide` applies the setting of one user to one call. `pending_decisions` returns the channels for
which a decision is needed now.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final

from agent.calls.call_state import Call, Channel, Dial, PendingDecision, Recording, RecordingStage, decided_on
from agent.calls.dial_chain import dial_chain, is_awaited, origin_rings, ringer, rings_itself
from agent.calls.talk_groups import heard_by, talk_groups
from agent.rules.directory import DomainIndex
from agent.rules.forwarding import forwarding_user, never_recorded
from agent.rules.parties import direction, was_called
from fonoteka.core.call_report import Decision, Direction, Reason
from fonoteka.core.domains import RecordRule, User

_RECORD: Final = Decision(record=True)
_NO_RECORDED_USER: Final = Decision(record=False, reason=Reason.USER_OFF)


def decide(user: User, direction: Direction, *, called: bool) -> Decision:
    """Decide by the user's setting (manual, VI: «выборочная или сплошная запись»).

    `called` means that the user was rung; otherwise the user dialled. It gives internal calls a
    direction for this user.
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
    """Decide on this channel of a user by the user's setting."""
    return decide(user, direction(call, domain), called=was_called(call, channel))


def pending_decisions(call: Call, domain: DomainIndex) -> Iterator[PendingDecision]:
    """Return the decisions that this state of the call needs and that were not taken yet.

    While the call rings, the recorder is attached before the talk begins, so that the first word is
    recorded: to the telephone that rings, or to the caller's own if a user dials. During a talk,
    each recorded user without a recorder in the talk gets one now (after a transfer, a pickup or a
    merge). Where two recorded users talk, there is one recording.
    """
    decided = {recording.decided_on for recording in call.recordings if not recording.idle}
    of_nobody = {recording.uniqueid for recording in call.recordings if recording.of_nobody}
    covered = {recording.uniqueid for recording in call.recordings if recording.stage is RecordingStage.RUNNING}
    for candidate in chain(_ringing(call, domain), _talking(call, domain)):
        login = candidate.user.login if candidate.user is not None else ""
        uniqueid = candidate.channel.uniqueid
        key = decided_on(uniqueid, login, hears_user=candidate.hears_user)
        is_decided = key in decided and not (login and uniqueid in of_nobody)
        if is_decided or covered & candidate.talk:
            continue
        decided.add(key)
        of_nobody.discard(uniqueid)
        decision = candidate.judge()
        if decision.record:
            covered.add(uniqueid)
        yield PendingDecision(channel=candidate.channel, user=login, decision=decision, hears_user=candidate.hears_user)


def idle_recordings(call: Call, domain: DomainIndex) -> list[Recording]:
    """Return the recordings that have nothing to record for now, while their channels go on.

    The party that was heard is parked: what follows is the announcement of the parking space. Or
    the channel is not the user's own, and nobody is heard on it any more who is recorded.
    """
    idle = []
    for recording in call.recordings:
        channel = call.channels.get(recording.uniqueid)
        if recording.stage is not RecordingStage.RUNNING or channel is None or channel.ended_at is not None:
            continue
        if recording.hears_user:
            if heard_by(call, recording.uniqueid) and not _hears_recorded_user(call, domain, recording):
                idle.append(recording)
        elif _is_parked(call, recording.heard) and not heard_by(call, recording.uniqueid):
            idle.append(recording)
    return idle


def _is_parked(call: Call, heard: tuple[str, ...]) -> bool:
    return any((party := call.channels.get(uniqueid)) is not None and party.waits for uniqueid in heard)


def _hears_recorded_user(call: Call, domain: DomainIndex, recording: Recording) -> bool:
    candidates = [each for each in _talking(call, domain) if each.hears_user and each.channel.uniqueid == recording.uniqueid]
    if recording.asked:
        return any(each.user is not None and each.user.login == recording.user for each in candidates)
    return any(each.judge().record for each in candidates)


def picked_up_recordings(call: Call, domain: DomainIndex) -> list[tuple[Recording, PendingDecision]]:
    """Return the running recordings that a pickup moved to another user's channel.

    The decision of each follows the setting of that user.
    """
    moved = []
    for recording in call.recordings:
        channel = call.channels.get(recording.uniqueid)
        user = domain.user(channel)
        running = recording.stage is RecordingStage.RUNNING
        if running and channel is not None and user is not None and user.login != recording.user:
            decision = decide(user, direction(call, domain), called=True)
            moved.append((recording, PendingDecision(channel=channel, user=user.login, decision=decision)))
    return moved


def stale_recordings(call: Call) -> list[Recording]:
    """Return the recordings whose channel now talks with another party than at first.

    Asterisk's recorder remembers the RTP sequence number of the first party. If the next party
    sends lower numbers, its frames are dropped from the leg, for minutes in half of all cases
    (asterisk/asterisk 304, 507; docs/decisions/0006-restart-recorder.md). Such a recorder must
    restart.
    """
    stale = []
    for recording in call.recordings:
        if recording.stage is RecordingStage.RUNNING and recording.heard:
            heard_now = heard_by(call, recording.uniqueid)
            if heard_now and heard_now != recording.heard:
                stale.append(recording)
    return stale


def recordings_hearing(call: Call, uniqueid: str) -> list[Recording]:
    """Return the recordings in which this channel is heard now, on either side."""
    running = [recording for recording in call.recordings if recording.stage is RecordingStage.RUNNING]
    return [recording for recording in running if uniqueid == recording.uniqueid or uniqueid in heard_by(call, recording.uniqueid)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidate:
    """A channel that may need a recorder on behalf of a user.

    A recorder on any channel of `talk` makes another one needless. `hears_user`: the channel is
    that of a party that hears the user.
    """

    channel: Channel
    user: User | None
    talk: frozenset[str]
    judge: Callable[[], Decision]
    hears_user: bool = False


def _ringing(call: Call, domain: DomainIndex) -> Iterator[_Candidate]:
    """Yield the parties of dials that ring.

    The party that the PBX rings first (click to call, a callback) talks with nobody yet. A caller
    that is in a bridge with a Local channel, or enters one, gets a recorder when the talk begins:
    until then it would record the ringing tone and what the caller says to it.
    """
    call_direction, first = direction(call, domain), {dial.callee for dial in origin_rings(call)}
    for dial in call.dials:
        callee = call.channels.get(dial.callee)
        if dial.status or callee is None or callee.is_local or callee.ended_at is not None or callee.uniqueid in first:
            continue
        caller = ringer(call, dial)
        if not dial.caller and call.is_page:
            continue  # recorded where the page is spoken
        if is_awaited(call, dial):
            continue  # a transfer by keys: the user may have a recorder already
        both = frozenset({callee.uniqueid, caller.uniqueid if caller is not None else callee.uniqueid})
        user = domain.user(caller)
        waits = caller is not None and caller.ended_at is None and caller.bridge is None and rings_itself(call, dial)
        if caller is not None and user is not None and waits:
            called = was_called(call, caller)
            judge = partial(decide, user, call_direction, called=called)
            yield _Candidate(channel=caller, user=user, talk=both, judge=judge)
        rung = domain.user(callee)
        if rung is not None:
            judge = partial(decide, rung, call_direction, called=True)
            yield _Candidate(channel=callee, user=rung, talk=both, judge=judge)
        elif domain.is_outside(callee):
            yield from _forwarded(call, dial, callee, both, domain)


def _forwarded(call: Call, dial: Dial, callee: Channel, both: frozenset[str], domain: DomainIndex) -> Iterator[_Candidate]:
    """Return the outside party that is rung on behalf of a user that did not dial it.

    A queue or a rule of the dialplan rings on behalf of no user.
    """
    user, by = forwarding_user(call, dial, domain), ringer(call, dial)
    if user is None and domain.user(by) is not None:
        return  # that user dialled the number: no forward
    if by is None and dial_chain(call, dial)[-1].caller in call.channels:
        # The event that tells who rings the other half of the Local channel has not come yet; the
        # events of two channels can arrive in either order.
        return

    def judge() -> Decision:
        setting = decide(user, Direction.IN, called=True) if user is not None else _NO_RECORDED_USER
        return never_recorded(dial.dialled, domain.settings) or setting

    yield _Candidate(channel=callee, user=user, talk=both, judge=judge)


def _talking(call: Call, domain: DomainIndex) -> Iterator[_Candidate]:
    for group in talk_groups(call):
        for channel in _own_first(call, domain):
            user = domain.user(channel)
            recorded = recorded_channel(call, domain, channel, group) if channel.uniqueid in group else None
            if user is not None and recorded is not None:
                judge = partial(by_setting, call, channel, user, domain)
                hears_user = recorded is not channel
                yield _Candidate(channel=recorded, user=user, talk=group, judge=judge, hears_user=hears_user)


def _own_first(call: Call, domain: DomainIndex) -> list[Channel]:
    """Return the channels of the call, then its guests, in the order of the settings."""
    if not any(channel.guest for channel in call.channels.values()):
        return list(call.channels.values())
    order = {user.login: place for place, user in enumerate(domain.settings.users)}

    def place(channel: Channel) -> int:
        user = domain.user(channel) if channel.guest else None
        return 1 + order[user.login] if user is not None else 0

    return sorted(call.channels.values(), key=place)


def recorded_channel(call: Call, domain: DomainIndex, channel: Channel, talk: frozenset[str]) -> Channel | None:
    """Return the channel on which a user's talk is recorded: mostly the user's own.

    For a guest it is the channel of this call that hears the guest; in a conference only that of an
    outside party, as colleagues have their own. For a page it is that of the party that speaks to
    all: one recording of the whole page.
    """
    if channel.conference and call.is_page:
        origin = call.origin
        return origin if origin is not None and origin.uniqueid in talk else None
    if not channel.guest:
        return channel
    own = [party for party in call.channels.values() if party.uniqueid in talk and not party.guest and not party.is_local]
    if channel.conference and not all(map(domain.is_outside, own)):
        return None
    return next(iter(own), None)
