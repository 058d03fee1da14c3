"""A call's way, station by station, as the store is told of it: `path(call, company) → PathStep, …`, a pure projection."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from agent.calls.call_result import ending, result
from agent.calls.call_state import Call, Channel, Dial, Moment, MomentKind, Recording, RecordingStage
from agent.calls.dial_chain import dial_chain
from agent.rules.directory import DomainIndex
from agent.rules.forwarding import forwarding_user
from fonoteka.core.call_report import PathStep, Reason, Result


def path(call: Call, company: DomainIndex) -> tuple[PathStep, ...]:
    """The stations in the order of their times; what belongs to one moment stands in the order in which it came."""
    dials: dict[str, list[Dial]] = {}
    for dial in call.dials:
        dials.setdefault(dial.callee, []).append(dial)
    steps = [
        step
        for moment in _worth_telling(call)
        for step in _steps(call, moment, _dial_at(moment, dials.get(moment.uniqueid, [])), company)
    ]
    recorded = [replace(step, at=_after(step, steps)) for step in _recorded(call, company)]
    return tuple(sorted((*steps, *recorded), key=lambda step: step.at))


def _after(recorded: PathStep, steps: list[PathStep]) -> datetime:
    """When to tell of a recording: its first channel is in the bridge a moment before the talk that it is a recording of."""
    begun = (step.at for step in steps if step.what in _TALK_BEGINS and timedelta() <= step.at - recorded.at <= _AT_ONCE)
    return max(begun, default=recorded.at)


def party(call: Call, channel: Channel, company: DomainIndex) -> str:
    """A party in the table's words: an extension, or for an outside party the number dialled (or calling)."""
    user = company.user(channel)
    if user is not None:
        return user.extension
    dialled = next((dial.dialled for dial in reversed(call.dials) if dial.callee == channel.uniqueid), "")
    return dialled or channel.caller_num or channel.exten


# What follows from something just told, and so is not told again, comes within this time of it.
_SOON: Final = timedelta(seconds=2)
_AT_ONCE: Final = timedelta(milliseconds=200)

_TALK_BEGINS: Final = frozenset({"answer", "back", "join", "fetch", "pick_up", "transfer"})
_HANDED_ON: Final = frozenset({MomentKind.TRANSFER, MomentKind.PARK})
_TAKEN_OVER: Final = frozenset({MomentKind.FETCH, MomentKind.PICK_UP})
_PERHAPS: Final = frozenset(  # the many rings of a queue are not among them
    {MomentKind.LEAVE, MomentKind.TRANSFER, MomentKind.ANSWER, MomentKind.HOLD, MomentKind.RESUME, MomentKind.STOP_RECORD}
)
_OVER: Final = frozenset({MomentKind.LEAVE, MomentKind.END})


def _worth_telling(call: Call) -> Iterator[Moment]:
    """The moments without those that an earlier or later one tells better."""
    for index, moment in enumerate(call.moments):
        if moment.kind not in _PERHAPS or not _is_told_better(call, moment, call.moments[:index], call.moments[index + 1 :]):
            yield moment


def _is_told_better(call: Call, moment: Moment, before: tuple[Moment, ...], after: tuple[Moment, ...]) -> bool:
    soon = [other for other in after if other.at - moment.at <= _SOON]
    lately = [other for other in before if moment.at - other.at <= _SOON]
    same = _endpoint(call, moment.uniqueid)
    match moment.kind:
        case MomentKind.LEAVE:
            # Of those who hang up at the end the first one did; whoever handed the call on has left it by that.
            of_the_last = (
                before[-1:] and before[-1].kind is MomentKind.LEAVE and [other.kind for other in after] == [MomentKind.END]
            )
            return bool(of_the_last) or _handed_on(call, moment, before)
        case MomentKind.TRANSFER:  # to the parking's own number
            return any(other.kind is MomentKind.PARK and _endpoint(call, other.uniqueid) == same for other in (*lately, *soon))
        case MomentKind.ANSWER:  # by fetching it, by picking it up
            return any(other.kind in _TAKEN_OVER and other.uniqueid == moment.uniqueid for other in (*lately, *soon))
        case MomentKind.STOP_RECORD:
            return not _is_asked_stop(call, moment)
        case MomentKind.HOLD | MomentKind.RESUME:
            kinds = _HANDED_ON | _OVER | {MomentKind.BACK}
            return any(
                other.kind in kinds and _endpoint(call, other.uniqueid) == same and abs(other.at - moment.at) <= _AT_ONCE
                for other in (*lately, *soon)
            )
        case _:
            return False


def _is_asked_stop(call: Call, stop: Moment) -> bool:
    """Whether a recording on demand was stopped on demand: no setting's, and no other took its place."""
    stopped = call.recording(stop.text)
    if stopped is None or not stopped.asked or stopped.reason is not None:
        return False
    others = (known for known in call.recordings if known is not stopped and known.user == stopped.user)
    return not any(known.started_at is not None and abs(known.started_at - stop.at) <= _AT_ONCE for known in others)


def _handed_on(call: Call, leave: Moment, before: tuple[Moment, ...]) -> bool:
    """Whether whoever leaves has transferred or parked the call since they came to it."""
    channel = call.channels.get(leave.uniqueid)
    if channel is None or channel.first_bridged_at is None:
        return False
    return any(
        other.kind in _HANDED_ON
        and _endpoint(call, other.uniqueid) == channel.endpoint
        and other.at >= channel.first_bridged_at - _AT_ONCE
        for other in before
    )


def _endpoint(call: Call, uniqueid: str) -> str | None:
    channel = call.channels.get(uniqueid)
    return channel.endpoint if channel is not None else None


_UNANSWERED: Final = frozenset({MomentKind.BUSY, MomentKind.NO_ANSWER, MomentKind.FAIL})
_AS_MOMENT: Final = {Result.BUSY: MomentKind.BUSY, Result.NO_ANSWER: MomentKind.NO_ANSWER, Result.OTHER: MomentKind.FAIL}
_LEADS_TO: Final = frozenset({MomentKind.ARRIVE, MomentKind.FORWARD, MomentKind.TRANSFER, MomentKind.PARK, MomentKind.FETCH})


def _steps(call: Call, moment: Moment, dial: Dial | None, company: DomainIndex) -> Iterator[PathStep]:
    """The stations of one moment: mostly one; a ring may have been a forward, an end may be a caller's giving up."""
    channel = call.channels.get(moment.uniqueid)
    name = party(call, channel, company) if channel is not None else ""
    kind, who, by = moment.kind, name or moment.text, ""
    match kind:
        case MomentKind.ARRIVE:
            who = moment.text
        case MomentKind.RING:
            by = _other_ringer(call, moment, company)
            if dial is not None:
                yield from _forwarded(call, moment, dial, name, company)
        case MomentKind.PICK_UP:
            target = call.channels.get(moment.other)
            who, by = party(call, target, company) if target is not None else "", name
        case MomentKind.BUSY | MomentKind.NO_ANSWER | MomentKind.FAIL if dial is not None:
            kind = _AS_MOMENT[ending(call, dial)]
        case MomentKind.END:
            yield from _in_vain(call, company, moment)
        case MomentKind.PAUSE_RECORD | MomentKind.RESUME_RECORD | MomentKind.STOP_RECORD:
            known = call.recording(moment.text)
            who = _extension(company, known.user) if known is not None else ""
        case _ if kind in _LEADS_TO:
            who, by = moment.text, name
    yield PathStep(at=moment.at, what=kind.value, who=who, by=by)


def _dial_at(moment: Moment, mine: list[Dial]) -> Dial | None:
    """The ringing of this party that a moment is the beginning or the end of."""
    ended = moment.kind in _UNANSWERED
    return next((dial for dial in mine if (dial.ended_at if ended else dial.at) == moment.at), None)


def _other_ringer(call: Call, ring: Moment, company: DomainIndex) -> str:
    """Who rings, if it is not the caller: somebody who asks a colleague."""
    by = call.channels.get(ring.other)
    return party(call, by, company) if by is not None and by is not call.origin else ""


def _forwarded(call: Call, ring: Moment, dial: Dial, target: str, company: DomainIndex) -> Iterator[PathStep]:
    """The forward that a ring comes from, where no telephone told of it: a user's in the PBX, or a queue's or rule's own."""
    callee, dialled_by = call.channels[dial.callee], company.user(call.channels.get(ring.other))
    chain = dial_chain(call, dial)
    if len(chain) == 1 and not company.is_outside(callee):
        return
    told = [moment for moment in call.moments if moment.at <= dial.at and moment.kind in (MomentKind.FORWARD, MomentKind.TRANSFER)]
    if any(moment.text in (target, dial.dialled, dial.exten) for moment in told):
        return
    if company.is_outside(callee):
        user = forwarding_user(call, dial, company)
        if (user is None and dialled_by is None) or (user is not None and user is not dialled_by):
            yield PathStep(at=dial.at, what=MomentKind.FORWARD.value, who=target, by=user.extension if user is not None else "")
    elif (owner := company.user_at(chain[-1].exten)) is not None and owner is not company.user(callee):
        yield PathStep(at=dial.at, what=MomentKind.FORWARD.value, who=target, by=owner.extension)


def _in_vain(call: Call, company: DomainIndex, end: Moment) -> Iterator[PathStep]:
    """What is to be said of a call that nobody took: the caller gave up, or there was not even anybody to ring."""
    if call.taken_by or call.origin is None:
        return
    if not call.dials and result(call) is Result.OTHER:
        yield PathStep(at=end.at, what=MomentKind.FAIL.value, who=call.origin.exten)
    elif any(dial.status == "CANCEL" and not dial.forward for dial in call.dials):
        yield PathStep(at=call.origin.ended_at or end.at, what="give_up", who=party(call, call.origin, company))


def _recorded(call: Call, company: DomainIndex) -> Iterator[PathStep]:
    """From when it was recorded by whose setting, and where nobody's setting had it recorded: why not."""
    begun = [known for known in call.recordings if known.started_at is not None]
    told: dict[str, tuple[Reason | None, datetime]] = {}
    stops = [moment for moment in call.moments if moment.kind is MomentKind.STOP_RECORD and _is_asked_stop(call, moment)]
    for known in sorted(begun, key=lambda known: known.started_at or call.started_at):
        assert known.started_at is not None
        reason = known.reason if known.stage in (RecordingStage.REFUSED, RecordingStage.LOST) else None
        before, since = told.get(known.user, (None, None))
        goes_on = since is not None and before is reason and not any(since < stop.at <= known.started_at for stop in stops)
        if goes_on or (reason is not None and _also_recorded(begun, known)):
            continue
        told[known.user] = (reason, known.started_at)
        what = "record" if reason is None else "no_record"
        yield PathStep(at=known.started_at, what=what, who=_extension(company, known.user), reason=reason)


def _also_recorded(begun: list[Recording], refused: Recording) -> bool:
    """Whether the same talk is recorded by somebody else's setting."""
    return any(
        known.stage not in (RecordingStage.REFUSED, RecordingStage.LOST)
        and known.started_at is not None
        and refused.started_at is not None
        and abs(known.started_at - refused.started_at) <= _AT_ONCE
        for known in begun
    )


def _extension(company: DomainIndex, login: str) -> str:
    user = company.user_named(login)
    return (user.extension or user.login) if user is not None else login
