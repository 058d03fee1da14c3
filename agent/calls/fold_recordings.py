"""What becomes of a call's recordings, folded into the call: a part of `agent.calls.fold`, with nothing of Asterisk's in it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from agent.calls.call_state import Call, MomentKind, Mute, Recording, RecordingStage
from agent.calls.events import (
    BridgeEntered,
    Event,
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
from agent.calls.fold_timeline import told
from agent.calls.talk_groups import heard_by
from fonoteka.core.call_report import Decision, Reason


def with_recordings_bridged(call: Call, event: BridgeEntered) -> Call:
    """A channel has come to a bridge: its recordings begin, and whoever hears now is noted."""
    call = replace(call, recordings=tuple(_begun(known, event) for known in call.recordings))
    return replace(call, recordings=tuple(_hearing(call, known) for known in call.recordings))


def _begun(known: Recording, event: BridgeEntered) -> Recording:
    """A recording of this channel has its first bridged moment now."""
    over = known.stage in (RecordingStage.UNWANTED, RecordingStage.DONE)
    first = known.uniqueid == event.uniqueid and known.started_at is None and not over
    return replace(known, started_at=event.at) if first else known


def _hearing(call: Call, known: Recording) -> Recording:
    """Note with whom a recorded channel talks first: when that changes, the recorder is restarted."""
    if known.stage is not RecordingStage.RUNNING or known.heard:
        return known
    return replace(known, heard=heard_by(call, known.uniqueid))


def _recording_decided(call: Call, event: RecordingDecided) -> Call:
    if any(known.uniqueid == event.uniqueid and known.segment == event.segment for known in call.recordings):
        return call
    stage = RecordingStage.RUNNING if event.decision.record else RecordingStage.REFUSED
    channel = call.channels.get(event.uniqueid)
    recording = Recording(
        uniqueid=event.uniqueid,
        user=event.user,
        decision=event.decision,
        segment=event.segment,
        stage=stage,
        reason=event.decision.reason,
        started_at=event.at if channel is not None and channel.bridge is not None else None,
        bridged_before_ms=channel.bridged_ms_until(event.at) if channel is not None else 0,
        asked=event.asked,
        muted=(Mute(from_ms=0),) if event.paused else (),
    )
    call = replace(call, recordings=(*call.recordings, recording))
    return replace(call, recordings=tuple(_hearing(call, known) for known in call.recordings))


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
    return _with_recording(call, event.segment, stage=RecordingStage.LOST, reason=event.reason)


def _recording_ending(call: Call, event: RecordingEnding) -> Call:
    ending = _with_recording(call, event.segment, stage=RecordingStage.ENDING, reason=event.reason)
    return ending if ending is call else told(ending, event.at, MomentKind.STOP_RECORD, text=event.segment)


def _recording_muted(call: Call, event: RecordingMuted) -> Call:
    known = call.recording(event.segment)
    channel = call.channels.get(known.uniqueid) if known is not None else None
    if known is None or channel is None or known.paused == event.muted:
        return call
    at_ms = max(0, channel.bridged_ms_until(event.at) - known.bridged_before_ms)
    muted = (*known.muted, Mute(from_ms=at_ms))
    if not event.muted:
        muted = (*known.muted[:-1], replace(known.muted[-1], to_ms=max(at_ms, known.muted[-1].from_ms)))
    kind = MomentKind.PAUSE_RECORD if event.muted else MomentKind.RESUME_RECORD
    return told(_with_recording(call, event.segment, muted=muted), event.at, kind, text=event.segment)


def _recording_closed(call: Call, event: RecordingClosed) -> Call:
    known = call.recording(event.segment)
    if known is None:
        return call
    unheard = event.started_at is not None and known.started_at is None
    if unheard and not call.taken_by:
        call = replace(call, taken_by=known.uniqueid, taken_at=event.started_at)
    return _with_recording(call, event.segment, stage=RecordingStage.CLOSED, started_at=known.started_at or event.started_at)


def _recording_done(call: Call, event: RecordingDone) -> Call:
    return _with_recording(call, event.segment, stage=RecordingStage.DONE)


def _with_recording(call: Call, segment: str, **changes: Any) -> Call:
    before = call.recording(segment)
    if before is None:
        return call
    after = replace(before, **changes)
    if after == before:
        return call
    return replace(call, recordings=tuple(after if known is before else known for known in call.recordings))


RECORDING_STEPS: Final[dict[type[Event], Callable[[Call, Any], Call]]] = {
    RecordingDecided: _recording_decided,
    TalkMissed: _talk_missed,
    RecordingHandedOver: _recording_handed_over,
    RecordingUnwanted: _recording_unwanted,
    RecordingLost: _recording_lost,
    RecordingEnding: _recording_ending,
    RecordingMuted: _recording_muted,
    RecordingClosed: _recording_closed,
    RecordingDone: _recording_done,
}
