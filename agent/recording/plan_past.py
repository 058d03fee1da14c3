"""What follows from an event that happened while the agent was away. Pure, like `plan`.

The decisions are those that the agent would have taken. The recorders that it would have started
did not run: their recordings are lost with the reason `agent_was_down`.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from agent.calls.call_state import Call, PendingDecision, RecordingStage
from agent.calls.decision_events import decision_event
from agent.calls.events import Event, RecordingDone, RecordingLost
from agent.calls.fold import assemble
from agent.recording.effects import (
    DiscardRecording,
    Effect,
    FinishRecording,
    NoteMissedTalk,
    RestartRecorder,
    StartRecording,
    StopRecorder,
)
from agent.recording.plan import plan, plan_stale_recorders
from agent.rules.directory import Directory
from fonoteka.core.call_report import Reason


def past_events(before: Call | None, after: Call | None, event: Event, directory: Directory) -> Iterator[Event]:
    """Yield what follows from a past event that was folded into a call, as events to fold."""
    for effect in plan(before, after, event, directory):
        match effect:
            case RestartRecorder():  # without recorders there is nothing to restart
                pass
            case FinishRecording(segment=segment) | StopRecorder(segment=segment):
                yield lost_recording(event.linkedid, segment, event.at)
            case DiscardRecording(segment=segment):
                yield from effect.events
                yield RecordingDone(at=event.at, linkedid=event.linkedid, segment=segment)
            case _:
                yield from effect.events


def plan_present(call: Call, unrecorded: frozenset[str], alive: frozenset[str], at: datetime) -> Iterator[Effect]:
    """Yield what is to be done now for a call that goes on: start the recorders it lacks.

    `unrecorded` are the segments whose recorders did not run, `alive` the channels of Asterisk. A
    talk that has begun is recorded from now on, a telephone that still rings from its answer.
    """
    for recording in call.recordings:
        channel = call.channels.get(recording.uniqueid)
        if recording.segment not in unrecorded or recording.stage is not RecordingStage.RUNNING or channel is None:
            continue
        is_alive = channel.uniqueid in alive
        if is_alive and recording.started_at is None:
            yield StartRecording(segment=recording.segment)
            continue
        lost = lost_recording(call.linkedid, recording.segment, at)
        yield NoteMissedTalk(events=(lost,))
        call = assemble(call, lost)
        if is_alive and channel.bridge is not None:
            pending = PendingDecision(channel=channel, user=recording.user, decision=recording.decision)
            decided = decision_event(call, pending, at)
            yield StartRecording(events=(decided,), segment=decided.segment)
            call = assemble(call, decided)
    yield from plan_stale_recorders(call, at)


def plan_ended(before: Iterable[Call], call: Call) -> Iterator[Effect]:
    """Yield what is to be done for running recordings that ended, or were moved, unnoticed."""
    for was in before:
        for recording in was.recordings:
            now = call.recording(recording.segment)
            if recording.stage is not RecordingStage.RUNNING or now is None:
                continue
            alive = was.channels[recording.uniqueid].ended_at is None
            if now.stage is RecordingStage.UNWANTED:
                yield DiscardRecording(segment=now.segment)
            elif alive and call.channels[now.uniqueid].ended_at is not None:
                yield FinishRecording(segment=now.segment)


def lost_recording(linkedid: str, segment: str, at: datetime) -> RecordingLost:
    """Return the event that ends a recording whose recorder did not run."""
    return RecordingLost(at=at, linkedid=linkedid, segment=segment, reason=Reason.AGENT_WAS_DOWN)
