"""What follows from an event of a call, as a list of effects. Pure: no clock, no socket, no file.

`agent.recording.coordinator` performs the effects in the order given. Each effect is planned on the
call as it will be after the effects before it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import reduce
from typing import Final

from agent.calls.call_state import Call, PendingDecision, Recording, RecordingStage
from agent.calls.decision_events import decision_event, missed_talk_event
from agent.calls.events import (
    BridgeEntered,
    ChannelEnded,
    Event,
    Held,
    PickedUp,
    RecordingEnding,
    RecordingHandedOver,
    RecordingUnwanted,
)
from agent.calls.fold import assemble
from agent.recording.effects import (
    CheckCodecs,
    ConfirmShipped,
    DiscardRecording,
    Effect,
    FinishRecording,
    FollowHold,
    ForgetHold,
    HandOverRecorder,
    NoteMissedTalk,
    NoteRefusal,
    ReportCall,
    RestartRecorder,
    ResumeRecorder,
    StartRecording,
    StopRecorder,
    WatchLegs,
)
from agent.rules.companies import domains_of, of_domain
from agent.rules.directory import Directory, DomainIndex
from agent.rules.recording_rules import (
    idle_recordings,
    pending_decisions,
    picked_up_recordings,
    recordings_hearing,
    stale_recordings,
)

# The store refuses a call with 1,000 segments. A party that holds and resumes without end must not
# reach that limit.
MAX_RECORDINGS_PER_CALL: Final = 500


def plan(before: Call | None, after: Call | None, event: Event, directory: Directory) -> list[Effect]:
    """Return what follows from an event that was folded into a call.

    `before` and `after` are the call before and after the fold. Nothing follows from an event that
    belongs to no call or did not change its call.
    """
    if after is None or after is before:
        return []
    effects: list[Effect] = []
    call = after
    for domain in domains_of(after, directory):
        by_domain = [*_of_domain(call, domain, directory, event)]
        effects, call = [*effects, *by_domain], _folded(call, by_domain)
    if isinstance(event, BridgeEntered):
        effects += [*_restarts(call, stale_recordings(call), event.at), CheckCodecs()]
    effects.append(ReportCall())
    if isinstance(event, Held) and recordings_hearing(call, event.uniqueid):
        effects.append(FollowHold(uniqueid=event.uniqueid, on=event.on))
    if isinstance(event, ChannelEnded):
        effects.append(ForgetHold(uniqueid=event.uniqueid))
        ended = [recording for recording in _running(call) if recording.uniqueid == event.uniqueid]
        effects += [FinishRecording(segment=recording.segment) for recording in ended]
    return effects


def plan_known_domain(call: Call, directory: Directory, at: datetime) -> list[Effect]:
    """Return what follows when changed settings name the domain of a call for the first time."""
    effects: list[Effect] = []
    for domain in domains_of(call, directory):
        now = _folded(call, effects)
        part = of_domain(now, domain, directory)
        effects += _decisions(now, part, domain, directory, at, already_talking=lambda pending: pending.channel.bridge is not None)
    return effects


def plan_rtp_restart(call: Call, uniqueid: str, at: datetime) -> list[Effect]:
    """Return the recorders to restart after a telephone began a new RTP stream.

    Asterisk's recorder drops the frames of a stream that counts from a lower number
    (docs/decisions/0006-restart-recorder.md).
    """
    return list(_restarts(call, recordings_hearing(call, uniqueid), at))


def plan_link_up(call: Call) -> list[Effect]:
    """Return what follows when the connection to Asterisk is there again."""
    living = (recording for recording in _running(call) if call.channels[recording.uniqueid].ended_at is None)
    return [ResumeRecorder(segment=recording.segment) for recording in living]


def plan_stale_recorders(call: Call, at: datetime) -> list[Effect]:
    """Return the recorders to restart because their channel talks with another party now."""
    return list(_restarts(call, stale_recordings(call), at))


def plan_agent_start(call: Call) -> list[Effect]:
    """Return what is left to do for a call in the journal of an earlier run of the agent."""
    effects: list[Effect] = [ReportCall()]
    for recording in call.recordings:
        match recording.stage:
            case RecordingStage.CLOSED:
                effects.append(ConfirmShipped(segment=recording.segment))
            case RecordingStage.UNWANTED:
                effects.append(DiscardRecording(segment=recording.segment))
            case RecordingStage.RUNNING | RecordingStage.ENDING:
                effects.append(WatchLegs(segment=recording.segment))
                ended = call.channels[recording.uniqueid].ended_at is not None
                if ended or recording.stage is RecordingStage.ENDING:
                    effects.append(FinishRecording(segment=recording.segment))
    return effects


def _of_domain(call: Call, domain: DomainIndex, directory: Directory, event: Event) -> Iterator[Effect]:
    """Yield the effects of the settings of one domain; other domains of the call do not matter."""
    if isinstance(event, PickedUp):
        picked_up = [*_pick_up(call, domain, directory, event.at), *_picked_up_elsewhere(call, domain, directory, event)]
        yield from picked_up
        call = _folded(call, picked_up)
    part = of_domain(call, domain, directory)
    if idle := list(_idle(part, domain, event.at)):
        yield from idle
        call = _folded(call, idle)
        part = of_domain(call, domain, directory)
    late = isinstance(event, BridgeEntered) and event.late
    yield from _decisions(call, part, domain, directory, event.at, already_talking=lambda _: late)


def _folded(call: Call, effects: Iterable[Effect]) -> Call:
    return reduce(assemble, (event for effect in effects for event in effect.events), call)


def _running(call: Call) -> Iterator[Recording]:
    return (recording for recording in call.recordings if recording.stage is RecordingStage.RUNNING)


def _pick_up(call: Call, domain: DomainIndex, directory: Directory, at: datetime) -> Iterator[Effect]:
    """Decide on the recorders that came with a ringing channel to the user who picked it up.

    Such a recorder continues if the setting of that user records the call and the channel has no
    recorder of its own.
    """
    for recording, picked_up in picked_up_recordings(of_domain(call, domain, directory), domain):
        pending = replace(picked_up, domain=domain.settings.name)
        linkedid, segment, record = call.linkedid, recording.segment, pending.decision.record
        others = (other for other in _running(of_domain(call, domain, directory)) if other.uniqueid == recording.uniqueid)
        if record and all(other.segment == segment for other in others):
            handed_over = RecordingHandedOver(at=at, linkedid=linkedid, segment=segment, user=pending.user)
            effect: Effect = HandOverRecorder(events=(handed_over,), segment=segment)
        else:
            unwanted = RecordingUnwanted(at=at, linkedid=linkedid, segment=segment)
            refusal = () if record else (decision_event(call, pending, at),)
            effect = DiscardRecording(events=(unwanted, *refusal), segment=segment)
        yield effect
        call = _folded(call, [effect])


def _picked_up_elsewhere(call: Call, domain: DomainIndex, directory: Directory, event: PickedUp) -> Iterator[Effect]:
    """Discard the recorders of a domain that a pickup moved to a user of another one."""
    by = call.channels.get(event.by)
    holder = directory.of_endpoint(by.endpoint) if by is not None else None
    if holder is None or holder is domain:
        return
    for recording in _running(of_domain(call, domain, directory)):
        if recording.uniqueid == event.by:
            unwanted = RecordingUnwanted(at=event.at, linkedid=call.linkedid, segment=recording.segment)
            yield DiscardRecording(events=(unwanted,), segment=recording.segment)


def _decisions(
    call: Call,
    part: Call,
    domain: DomainIndex,
    directory: Directory,
    at: datetime,
    *,
    already_talking: Callable[[PendingDecision], bool],
) -> Iterator[Effect]:
    """Take all pending decisions about a domain's `part` of a call.

    `already_talking`: a part of the talk is missing already.
    """
    for wanted in pending_decisions(part, domain):
        if directory.of_endpoint(wanted.channel.endpoint) not in (None, domain) and domain is not domains_of(call, directory)[0]:
            continue  # the talk of another company, that only the first one may have sent there
        pending = replace(wanted, domain=domain.settings.name)
        if pending.decision.record and already_talking(pending):
            gap = missed_talk_event(call, pending, at)
            yield NoteMissedTalk(events=(gap,))
            call = assemble(call, gap)
        decided = decision_event(call, pending, at)
        if decided.segment:
            yield StartRecording(events=(decided,), segment=decided.segment)
        else:
            yield NoteRefusal(events=(decided,))
        call = assemble(call, decided)


def _idle(part: Call, domain: DomainIndex, at: datetime) -> Iterator[Effect]:
    """Stop the recorders of a domain's part of a call that have nothing to record for now."""
    for recording in idle_recordings(part, domain):
        ending = RecordingEnding(at=at, linkedid=part.linkedid, segment=recording.segment, idle=True)
        yield StopRecorder(events=(ending,), segment=recording.segment)


def _restarts(call: Call, recordings: Iterable[Recording], at: datetime) -> Iterator[Effect]:
    """Replace each of these recorders by a new one with the same user, decision and pause."""
    for recording in recordings:
        if len(call.recordings) >= MAX_RECORDINGS_PER_CALL:
            return
        ending = RecordingEnding(at=at, linkedid=call.linkedid, segment=recording.segment)
        call = assemble(call, ending)
        pending = PendingDecision(
            channel=call.channels[recording.uniqueid],
            user=recording.user,
            decision=recording.decision,
            asked=recording.asked,
            paused=recording.paused,
            domain=recording.domain,
            hears_user=recording.hears_user,
        )
        decided = decision_event(call, pending, at)
        yield RestartRecorder(events=(ending, decided), segment=decided.segment, replaces=recording.segment)
        call = assemble(call, decided)
