"""The part of the fold that concerns recordings: what becomes of each recording of a call."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from agent.calls.call_state import Call, MomentKind, Mute, Recording, RecordingStage
from agent.calls.events import (
    BridgeEntered,
    Event,
    RecordingAdopted,
    RecordingClosed,
    RecordingDecided,
    RecordingDone,
    RecordingEnding,
    RecordingHandedOver,
    RecordingLost,
    RecordingMuted,
    RecordingUnwanted,
    TalkMissed,
)
from agent.calls.fold_timeline import with_timeline_event
from agent.calls.talk_groups import heard_by
from fonoteka.core.call_report import Decision, Reason


def with_recordings_bridged(call: Call, event: BridgeEntered) -> Call:
    """Start the recordings of a channel that entered a bridge, and note which parties are heard."""
    call = replace(call, recordings=tuple(_started(recording, event) for recording in call.recordings))
    return _with_first_parties(call)


def _started(recording: Recording, event: BridgeEntered) -> Recording:
    """Note the first bridged moment of a recording of this channel."""
    over = recording.stage in (RecordingStage.UNWANTED, RecordingStage.DONE)
    first = recording.uniqueid == event.uniqueid and recording.started_at is None and not over
    return replace(recording, started_at=event.at) if first else recording


def _with_first_parties(call: Call) -> Call:
    """Note the parties with which recorded channels talk first.

    When they change, the recorder is restarted.
    """
    return replace(call, recordings=tuple(_with_heard(call, recording) for recording in call.recordings))


def _with_heard(call: Call, recording: Recording) -> Recording:
    if recording.stage is not RecordingStage.RUNNING or recording.heard:
        return recording
    return replace(recording, heard=heard_by(call, recording.uniqueid))


def _recording_decided(call: Call, event: RecordingDecided) -> Call:
    if any(other.uniqueid == event.uniqueid and other.segment == event.segment for other in call.recordings):
        return call
    channel = call.channels.get(event.uniqueid)
    recording = Recording(
        uniqueid=event.uniqueid,
        user=event.user,
        decision=event.decision,
        segment=event.segment,
        stage=RecordingStage.RUNNING if event.decision.record else RecordingStage.REFUSED,
        reason=event.decision.reason,
        started_at=event.at if channel is not None and channel.bridge is not None else None,
        bridged_before_ms=channel.bridged_ms_until(event.at) if channel is not None else 0,
        asked=event.asked,
        muted=(Mute(from_ms=0),) if event.paused else (),
        hears_user=event.hears_user,
    )
    return _with_first_parties(replace(call, recordings=(*call.recordings, recording)))


def _recording_adopted(call: Call, event: RecordingAdopted) -> Call:
    if call.recording(event.segment) is not None:
        return call
    recording = Recording(
        uniqueid=event.uniqueid,
        user=event.user,
        decision=Decision(record=True),
        segment=event.segment,
        stage=RecordingStage.RUNNING,
        started_at=event.started_at,
        heard=next((missed.heard for missed in call.recordings if missed.segment in event.replaces), ()),
    )
    others = (other for other in call.recordings if other.segment not in event.replaces)
    return _with_first_parties(replace(call, recordings=(*others, recording)))


def _talk_missed(call: Call, event: TalkMissed) -> Call:
    channel = call.channels.get(event.uniqueid)
    if channel is None or call.recording(event.segment) is not None:
        return call
    reason = Reason.AGENT_WAS_DOWN
    gap = Recording(
        uniqueid=event.uniqueid,
        user=event.user,
        decision=Decision(record=False, reason=reason),
        segment=event.segment,
        stage=RecordingStage.LOST,
        reason=reason,
        started_at=channel.started_at,
    )
    return replace(call, recordings=(*call.recordings, gap))


def _recording_handed_over(call: Call, event: RecordingHandedOver) -> Call:
    return _with_recording(call, event.segment, user=event.user)


def _recording_unwanted(call: Call, event: RecordingUnwanted) -> Call:
    return _with_recording(call, event.segment, stage=RecordingStage.UNWANTED, started_at=None)


def _recording_lost(call: Call, event: RecordingLost) -> Call:
    recording = call.recording(event.segment)
    if recording is not None and recording.stage is RecordingStage.DONE:
        return call  # the store has it; what was set aside is other audio of the same recording
    return _with_recording(call, event.segment, stage=RecordingStage.LOST, reason=event.reason)


def _recording_ending(call: Call, event: RecordingEnding) -> Call:
    ending = _with_recording(call, event.segment, stage=RecordingStage.ENDING, reason=event.reason, idle=event.idle)
    return ending if ending is call else with_timeline_event(ending, event.at, MomentKind.STOP_RECORD, text=event.segment)


def _recording_muted(call: Call, event: RecordingMuted) -> Call:
    recording = call.recording(event.segment)
    channel = call.channels.get(recording.uniqueid) if recording is not None else None
    if recording is None or channel is None or recording.paused == event.muted:
        return call
    at_ms = max(0, channel.bridged_ms_until(event.at) - recording.bridged_before_ms)
    if event.muted:
        muted = (*recording.muted, Mute(from_ms=at_ms))
    else:
        last = recording.muted[-1]
        muted = (*recording.muted[:-1], replace(last, to_ms=max(at_ms, last.from_ms)))
    kind = MomentKind.PAUSE_RECORD if event.muted else MomentKind.RESUME_RECORD
    return with_timeline_event(_with_recording(call, event.segment, muted=muted), event.at, kind, text=event.segment)


def _recording_closed(call: Call, event: RecordingClosed) -> Call:
    recording = call.recording(event.segment)
    if recording is None:
        return call
    unnoticed_talk = event.started_at is not None and recording.started_at is None
    if unnoticed_talk and not call.taken_by:
        call = replace(call, taken_by=recording.uniqueid, taken_at=event.started_at)
    started_at = recording.started_at or event.started_at
    reason = event.reason or recording.reason
    return _with_recording(call, event.segment, stage=RecordingStage.CLOSED, started_at=started_at, reason=reason)


def _recording_done(call: Call, event: RecordingDone) -> Call:
    return _with_recording(call, event.segment, stage=RecordingStage.DONE)


def _with_recording(call: Call, segment: str, **changes: Any) -> Call:
    before = call.recording(segment)
    if before is None:
        return call
    after = replace(before, **changes)
    if after == before:
        return call
    recordings = (after if recording is before else recording for recording in call.recordings)
    return replace(call, recordings=tuple(recordings))


RECORDING_STEPS: Final[dict[type[Event], Callable[[Call, Any], Call]]] = {
    RecordingDecided: _recording_decided,
    RecordingAdopted: _recording_adopted,
    TalkMissed: _talk_missed,
    RecordingHandedOver: _recording_handed_over,
    RecordingUnwanted: _recording_unwanted,
    RecordingLost: _recording_lost,
    RecordingEnding: _recording_ending,
    RecordingMuted: _recording_muted,
    RecordingClosed: _recording_closed,
    RecordingDone: _recording_done,
}
