"""What follows when a recording that the dialplan made is joined to its call. Pure."""

from dataclasses import replace
from datetime import datetime

from agent.calls.call_state import PART_BY_DIALPLAN, Call, Channel, MomentKind, PendingDecision, Recording, RecordingStage
from agent.calls.decision_events import decision_event
from agent.calls.events import BridgeEntered, RecordingAdopted, RecordingUnwanted
from agent.recording.away_files import AwayRecording
from agent.recording.effects import AdoptRecording, DiscardRecording, Effect, FinishRecording, ReportCall
from agent.rules.directory import DomainIndex
from agent.rules.parties import direction
from agent.rules.recording_rules import decide
from fonoteka.core.call_report import Decision, Reason
from fonoteka.core.naming import segment_name


def plan_adoption(
    call: Call, domain: DomainIndex, away: AwayRecording, at: datetime, unrecorded: frozenset[str] = frozenset()
) -> list[Effect]:
    """Return the effects that make `away` a recording of the call, or delete it.

    It replaces the recordings of the channel that the agent missed: those in `unrecorded`
    (segments) and those lost because the agent was away. It is deleted if the setting of the user
    does not record this call (the dialplan does not know the direction of a transferred call), or
    if the agent itself recorded the channel.
    """
    uniqueid = next(channel.uniqueid for channel in call.own if away.is_of(channel.uniqueid))
    segment = segment_name(call.linkedid, uniqueid, PART_BY_DIALPLAN)
    channel = _holder(call, uniqueid)
    if (known := call.recording(segment)) is not None:  # the legs could not be moved before
        return [AdoptRecording(segment=segment, away=away), *_what_follows(known, channel)]
    user = domain.user(channel)
    login = user.login if user is not None else ""
    setting = Decision(record=False, reason=Reason.USER_OFF)
    if user is not None:
        setting = decide(user, direction(call, domain), called=away.rung)
    of_channel = [recording for recording in call.recordings if recording.uniqueid == channel.uniqueid and recording.segment]
    missed = tuple(recording.segment for recording in of_channel if recording.segment in unrecorded or _is_missed(recording))
    began = [began_at for began_at in (away.talk_began_at, channel.first_bridged_at) if began_at is not None]
    adopted = RecordingAdopted(
        at=at,
        linkedid=call.linkedid,
        uniqueid=channel.uniqueid,
        user=login,
        segment=segment,
        started_at=min(began, default=None),
        replaces=missed if setting.record else (),
    )
    doubled = not missed and any(recording.stage is not RecordingStage.LOST for recording in of_channel)
    if not setting.record or doubled:
        unwanted = RecordingUnwanted(at=at, linkedid=call.linkedid, segment=segment)
        refusal = decision_event(call, PendingDecision(channel=channel, user=login, decision=setting), at)
        events = (adopted, unwanted) if setting.record else (adopted, unwanted, refusal)
        return [AdoptRecording(events=events, segment=segment, away=away), DiscardRecording(segment=segment), ReportCall()]
    finish = [FinishRecording(segment=segment)] if channel.ended_at is not None else []
    return [AdoptRecording(events=(adopted,), segment=segment, away=away), *finish, ReportCall()]


def _what_follows(known: Recording, channel: Channel) -> list[Effect]:
    """Return what is left to do for a recording whose legs are moved at a later attempt."""
    if known.stage is RecordingStage.UNWANTED:
        return [DiscardRecording(segment=known.segment)]
    ended = known.stage is RecordingStage.RUNNING and channel.ended_at is not None
    return [FinishRecording(segment=known.segment), ReportCall()] if ended else []


def dated(event: BridgeEntered, call: Call) -> BridgeEntered:
    """Return an event that found a channel in a bridge, dated by the dialplan's recording.

    When the channel entered the bridge is not known; the recording shows when the talk began.
    """
    began = [recording.started_at for recording in call.recordings if recording.started_at is not None and _is_adopted(recording)]
    channel = call.channels.get(event.uniqueid)
    if not began or channel is None or channel.first_bridged_at is not None:
        return event
    return replace(event, at=max(min(event.at, *began), channel.started_at))


def _is_adopted(recording: Recording) -> bool:
    return recording.by_dialplan and recording.stage is RecordingStage.RUNNING


def _holder(call: Call, uniqueid: str) -> Channel:
    """Return the channel that was recorded: a pickup moves the recorder to another channel."""
    moved = (moment.uniqueid for moment in call.moments if moment.kind is MomentKind.PICK_UP and moment.other == uniqueid)
    return call.channels.get(next(moved, uniqueid)) or call.channels[uniqueid]


def _is_missed(recording: Recording) -> bool:
    return recording.stage is RecordingStage.LOST and recording.reason is Reason.AGENT_WAS_DOWN
