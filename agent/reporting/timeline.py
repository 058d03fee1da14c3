"""Project the moments of a call to its path: `path(call, domain) → PathStep, …`, pure."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from agent.calls.call_result import ending, result
from agent.calls.call_state import Call, Dial, Moment, MomentKind, Recording, RecordingStage
from agent.calls.dial_chain import dial_chain, origin_rings
from agent.reporting.voice_quality import legs
from agent.rules.directory import DomainIndex
from agent.rules.forwarding import forwarding_user
from agent.rules.parties import dialled_first, party_name
from fonoteka.core.call_report import PathStep, Reason, Result


def path(call: Call, domain: DomainIndex) -> tuple[PathStep, ...]:
    """Return the steps in order of time; steps of the same time in the order of their events."""
    dials: dict[str, list[Dial]] = {}
    for dial in call.dials:
        dials.setdefault(dial.callee, []).append(dial)
    steps = [
        step
        for moment in _significant(call)
        for step in _steps(call, moment, _dial_at(moment, dials.get(moment.uniqueid, [])), domain)
    ]
    recorded = [replace(step, at=_after(step, steps)) for step in _recorded(call, domain)]
    return tuple(sorted((*_heard(call, domain), *steps, *recorded), key=lambda step: step.at))


def _heard(call: Call, domain: DomainIndex) -> Iterator[PathStep]:
    """Yield how the sound of each leg arrived, worst first, before the step that ends the call."""
    at = call.moments[-1].at if call.moments else call.started_at
    for leg in legs(call):
        yield PathStep(
            at=at, what="heard" if leg.heard else "hears", who=party_name(call, leg.channel, domain), quality=leg.quality
        )


def _after(recorded: PathStep, steps: list[PathStep]) -> datetime:
    """Return the time for the step of a recording: not before the step that begins its talk.

    The first channel of a recording enters the bridge a moment before the talk begins.
    """
    begins = (step.at for step in steps if step.what in _TALK_BEGINS and timedelta() <= step.at - recorded.at <= _AT_ONCE)
    return max(begins, default=recorded.at)


# A moment that only follows from another step comes within this time of it, and is left out.
_SOON: Final = timedelta(seconds=2)
_AT_ONCE: Final = timedelta(milliseconds=200)

_TALK_BEGINS: Final = frozenset({"answer", "back", "join", "fetch", "pick_up", "transfer"})
_HANDED_ON: Final = frozenset({MomentKind.TRANSFER, MomentKind.PARK})
_TAKEN_OVER: Final = frozenset({MomentKind.FETCH, MomentKind.PICK_UP})
_OFTEN_IMPLIED: Final = frozenset(  # not RING, which a queue repeats many times
    {MomentKind.LEAVE, MomentKind.TRANSFER, MomentKind.ANSWER, MomentKind.HOLD, MomentKind.RESUME, MomentKind.STOP_RECORD}
)
_OVER: Final = frozenset({MomentKind.LEAVE, MomentKind.END})
_NOT_RECORDED: Final = frozenset({RecordingStage.REFUSED, RecordingStage.LOST})


def _significant(call: Call) -> Iterator[Moment]:
    """Yield the moments, without those that another moment implies."""
    for index, moment in enumerate(call.moments):
        if moment.kind not in _OFTEN_IMPLIED or not _is_implied(call, moment, call.moments[:index], call.moments[index + 1 :]):
            yield moment


def _is_implied(call: Call, moment: Moment, before: tuple[Moment, ...], after: tuple[Moment, ...]) -> bool:
    soon = [other for other in after if other.at - moment.at <= _SOON]
    lately = [other for other in before if moment.at - other.at <= _SOON]
    endpoint = _endpoint(call, moment.uniqueid)
    match moment.kind:
        case MomentKind.LEAVE:
            # The second to hang up at the end is implied, and a party that handed the call on.
            is_second = before[-1:] and before[-1].kind is MomentKind.LEAVE and [other.kind for other in after] == [MomentKind.END]
            return bool(is_second) or _handed_on(call, moment, before)
        case MomentKind.TRANSFER:  # to the parking extension
            return any(other.kind is MomentKind.PARK and _endpoint(call, other.uniqueid) == endpoint for other in (*lately, *soon))
        case MomentKind.ANSWER:  # by fetching the call, by picking it up
            return any(other.kind in _TAKEN_OVER and other.uniqueid == moment.uniqueid for other in (*lately, *soon))
        case MomentKind.STOP_RECORD:
            return not _is_requested_stop(call, moment)
        case MomentKind.HOLD | MomentKind.RESUME:
            kinds = _HANDED_ON | _OVER | {MomentKind.BACK}
            return any(
                other.kind in kinds and _endpoint(call, other.uniqueid) == endpoint and abs(other.at - moment.at) <= _AT_ONCE
                for other in (*lately, *soon)
            )
        case _:
            return False


def _is_requested_stop(call: Call, stop: Moment) -> bool:
    """Return whether a user stopped a recording on demand: no other recording replaced it."""
    stopped = call.recording(stop.text)
    if stopped is None or not stopped.asked or stopped.reason is not None:
        return False
    return not any(
        other is not stopped
        and other.user == stopped.user
        and other.started_at is not None
        and abs(other.started_at - stop.at) <= _AT_ONCE
        for other in call.recordings
    )


def _handed_on(call: Call, leave: Moment, before: tuple[Moment, ...]) -> bool:
    """Return whether a party that leaves has transferred or parked the call since it entered."""
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


def _steps(call: Call, moment: Moment, dial: Dial | None, domain: DomainIndex) -> Iterator[PathStep]:
    """Yield the steps of one moment, mostly one.

    A ring may follow a forward, and the end may follow from a caller who gave up.
    """
    channel = call.channels.get(moment.uniqueid)
    name = party_name(call, channel, domain) if channel is not None else ""
    kind, who, by = moment.kind, name or moment.text, ""
    match kind:
        case MomentKind.ARRIVE:
            who = dialled_first(call, domain) if origin_rings(call) else moment.text
        case MomentKind.VOICEMAIL:
            who = moment.text
        case MomentKind.RING:
            by = _other_ringer(call, moment, domain)
            if dial is not None:
                yield from _forwarded(call, moment, dial, name, domain)
        case MomentKind.PICK_UP:
            target = call.channels.get(moment.other)
            who, by = party_name(call, target, domain) if target is not None else "", name
        case MomentKind.BUSY | MomentKind.NO_ANSWER | MomentKind.FAIL if dial is not None:
            kind = _AS_MOMENT[ending(call, dial)]
        case MomentKind.END:
            yield from _unanswered(call, domain, moment)
        case MomentKind.PAUSE_RECORD | MomentKind.RESUME_RECORD | MomentKind.STOP_RECORD:
            recording = call.recording(moment.text)
            who = _extension(domain, recording.user) if recording is not None else ""
        case _ if kind in _LEADS_TO:
            who, by = moment.text, name
    yield PathStep(at=moment.at, what=kind.value, who=who, by=by)


def _dial_at(moment: Moment, dials: list[Dial]) -> Dial | None:
    """Return the dial that begins or ends at a moment."""
    ended = moment.kind in _UNANSWERED
    return next((dial for dial in dials if (dial.ended_at if ended else dial.at) == moment.at), None)


def _other_ringer(call: Call, ring: Moment, domain: DomainIndex) -> str:
    """Return the ringing party if it is not the caller: a user who consults a colleague."""
    by = call.channels.get(ring.other)
    return party_name(call, by, domain) if by is not None and by is not call.origin else ""


def _forwarded(call: Call, ring: Moment, dial: Dial, target: str, domain: DomainIndex) -> Iterator[PathStep]:
    """Yield the forward that a ring follows, if no telephone reported it.

    The forward of a user in the PBX, or that of a queue or rule.
    """
    if dial in origin_rings(call):
        return
    callee, dialled_by = call.channels[dial.callee], domain.user(call.channels.get(ring.other))
    chain = dial_chain(call, dial)
    if len(chain) == 1 and not domain.is_outside(callee):
        return
    if _is_reported(call, dial, target):
        return
    if domain.is_outside(callee):
        user = forwarding_user(call, dial, domain)
        if (user is None and dialled_by is None) or (user is not None and user is not dialled_by):
            yield PathStep(at=dial.at, what=MomentKind.FORWARD.value, who=target, by=user.extension if user is not None else "")
    elif (owner := domain.user_at(chain[-1].exten)) is not None and owner is not domain.user(callee):
        yield PathStep(at=dial.at, what=MomentKind.FORWARD.value, who=target, by=owner.extension)


def _is_reported(call: Call, dial: Dial, target: str) -> bool:
    """Return whether a forward or transfer to this target comes before the dial."""
    kinds = (MomentKind.FORWARD, MomentKind.TRANSFER)
    return any(
        moment.at <= dial.at and moment.kind in kinds and moment.text in (target, dial.dialled, dial.exten)
        for moment in call.moments
    )


def _unanswered(call: Call, domain: DomainIndex, end: Moment) -> Iterator[PathStep]:
    """Yield the step of an unanswered call: the caller gave up, or no telephone could ring."""
    if call.taken_by or call.origin is None:
        return
    if not call.dials and result(call) is Result.OTHER:
        yield PathStep(at=end.at, what=MomentKind.FAIL.value, who=call.origin.exten)
    elif any(dial.status == "CANCEL" and not dial.forward for dial in call.dials):
        yield PathStep(at=call.origin.ended_at or end.at, what="give_up", who=party_name(call, call.origin, domain))


def _recorded(call: Call, domain: DomainIndex) -> Iterator[PathStep]:
    """Yield the steps at which the recording of a user begins, or the reason for none changes."""
    begun = [recording for recording in call.recordings if recording.started_at is not None]
    last: dict[str, tuple[Reason | None, datetime]] = {}
    stops = [moment for moment in call.moments if moment.kind is MomentKind.STOP_RECORD and _is_requested_stop(call, moment)]
    for recording in sorted(begun, key=lambda recording: recording.started_at or call.started_at):
        assert recording.started_at is not None
        reason = recording.reason if recording.stage in _NOT_RECORDED else None
        before, since = last.get(recording.user, (None, None))
        stopped = since is not None and any(since < stop.at <= recording.started_at for stop in stops)
        if since is not None and before is reason and not stopped:
            continue
        if reason is not None and _is_recorded_for_another(begun, recording):
            continue
        last[recording.user] = (reason, recording.started_at)
        recorded = "record_by_pbx" if recording.by_dialplan else "record"
        what = recorded if reason is None else "no_record"
        yield PathStep(at=recording.started_at, what=what, who=_extension(domain, recording.user), reason=reason)


def _is_recorded_for_another(begun: list[Recording], refused: Recording) -> bool:
    """Return whether the same talk is recorded by the setting of another user."""
    return any(
        other.stage not in _NOT_RECORDED
        and other.started_at is not None
        and refused.started_at is not None
        and abs(other.started_at - refused.started_at) <= _AT_ONCE
        for other in begun
    )


def _extension(domain: DomainIndex, login: str) -> str:
    user = domain.user_named(login)
    return (user.extension or user.login) if user is not None else login
