"""What follows from an event that happened while the agent was away. Pure, like `plan`.

The decisions are those that the agent would have taken; the recorders that it would have started
did not run, and their recordings are lost with the reason `agent_was_down`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from agent.calls.call_state import Call, PendingDecision, RecordingStage
from agent.calls.decision_events import decision_event
from agent.calls.events import Event, RecordingDone, RecordingLost
from agent.calls.fold import assemble
from agent.recording.effects import (
    CheckCodecs,
    DiscardRecording,
    Effect,
    FinishRecording,
    FollowHold,
    ForgetHold,
    NoteMissedTalk,
    RestartRecorder,
    StartRecording,
)
from agent.recording.plan import plan, plan_stale_recorders
from agent.rules.directory import Directory
from fonoteka.core.call_report import Reason

_TOO_LATE: Final = (RestartRecorder, CheckCodecs, FollowHold, ForgetHold)


class PastPlan:
    """Plans past events. `unrecorded` are the segments whose recorders did not run."""

    def __init__(self) -> None:
        self.unrecorded: set[str] = set()

    def plan(self, before: Call | None, after: Call | None, event: Event, directory: Directory) -> Iterator[Effect]:
        """Yield what follows from an event that was folded into a call."""
        for effect in plan(before, after, event, directory):
            match effect:
                case StartRecording(segment=segment):
                    self.unrecorded.add(segment)
                    yield NoteMissedTalk(events=effect.events)
                case FinishRecording(segment=segment) if segment in self.unrecorded:
                    yield NoteMissedTalk(events=(_lost(event.linkedid, segment, event.at),))
                case DiscardRecording(segment=segment) if segment in self.unrecorded:
                    done = RecordingDone(at=event.at, linkedid=event.linkedid, segment=segment)
                    yield NoteMissedTalk(events=(*effect.events, done))
                case _ if not isinstance(effect, _TOO_LATE):
                    yield effect

    def plan_present(self, call: Call, at: datetime) -> Iterator[Effect]:
        """Yield what is to be done now for a call that goes on: start the recorders it lacks.

        A talk that has begun is recorded from now on, a telephone that still rings from its answer.
        """
        for recording in call.recordings:
            channel = call.channels.get(recording.uniqueid)
            if recording.segment not in self.unrecorded or recording.stage is not RecordingStage.RUNNING or channel is None:
                continue
            if recording.started_at is None:
                yield StartRecording(segment=recording.segment)
                continue
            lost = _lost(call.linkedid, recording.segment, at)
            yield NoteMissedTalk(events=(lost,))
            call = assemble(call, lost)
            if channel.bridge is not None:
                pending = PendingDecision(channel=channel, user=recording.user, decision=recording.decision)
                decided = decision_event(call, pending, at)
                yield StartRecording(events=(decided,), segment=decided.segment)
                call = assemble(call, decided)
        yield from plan_stale_recorders(call, at)


def _lost(linkedid: str, segment: str, at: datetime) -> RecordingLost:
    return RecordingLost(at=at, linkedid=linkedid, segment=segment, reason=Reason.AGENT_WAS_DOWN)
