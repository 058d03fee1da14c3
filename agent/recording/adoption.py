"""What follows when a recording that the dialplan made is joined to its call. Pure."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from agent.calls.call_state import PART_BY_DIALPLAN, Call, Channel, MomentKind, PendingDecision, Recording, RecordingStage
from agent.calls.decision_events import decision_event
from agent.calls.events import BridgeEntered, RecordingAdopted, RecordingUnwanted
from agent.recording.away_files import AwayRecording
from agent.recording.effects import AdoptRecording, DiscardRecording, Effect, FinishRecording, ReportCall
from agent.rules.directory import DomainIndex
from agent.rules.recording_rules import decide, direction
from fonoteka.core.call_report import Decision, Reason
from fonoteka.core.naming import segment_name

_NOT_RECORDED: Final = frozenset({RecordingStage.REFUSED, RecordingStage.LOST})


def plan_adoption(call: Call, domain: DomainIndex, away: AwayRecording, at: datetime) -> list[Effect]:
    """Return the effects that make `away` a recording of the call, or delete it.

    It is deleted if the setting of the user does not record this call (the dialplan does not know
    the direction of a transferred call), or if the agent itself recorded the channel.
    """
    segment = segment_name(call.linkedid, away.uniqueid, PART_BY_DIALPLAN)
    channel = _holder(call, away.uniqueid)
    if call.recording(segment) is not None:  # an earlier run of the agent ended before it moved the legs
        return [AdoptRecording(segment=segment, away=away)]
    user = domain.user(channel)
    login = user.login if user is not None else ""
    setting = Decision(record=False, reason=Reason.USER_OFF)
    if user is not None:
        setting = decide(user, direction(call, domain), called=away.rung)
    began = [began_at for began_at in (away.talk_began_at, channel.first_bridged_at) if began_at is not None]
    adopted = RecordingAdopted(
        at=at,
        linkedid=call.linkedid,
        uniqueid=channel.uniqueid,
        user=login,
        segment=segment,
        started_at=min(began, default=None),
    )
    adopt = AdoptRecording(events=(adopted,), segment=segment, away=away)
    if not setting.record or _records_itself(call, channel):
        unwanted = RecordingUnwanted(at=at, linkedid=call.linkedid, segment=segment)
        refusal = decision_event(call, PendingDecision(channel=channel, user=login, decision=setting), at)
        events = (unwanted,) if setting.record else (unwanted, refusal)
        return [adopt, DiscardRecording(events=events, segment=segment), ReportCall()]
    finish = [FinishRecording(segment=segment)] if channel.ended_at is not None else []
    return [adopt, *finish, ReportCall()]


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


def _records_itself(call: Call, channel: Channel) -> bool:
    """Return whether the agent recorded the channel, and no part of its talk is missing."""
    of_channel = [recording for recording in call.recordings if recording.uniqueid == channel.uniqueid]
    missed = any(recording.reason is Reason.AGENT_WAS_DOWN for recording in of_channel)
    return not missed and any(recording.segment and recording.stage not in _NOT_RECORDED for recording in of_channel)
