"""The events that record a decision, made from the call and the decision. Pure."""

from datetime import datetime

from agent.calls.call_state import Call, Channel, PendingDecision
from agent.calls.events import RecordingDecided, TalkMissed
from fonoteka.core.naming import segment_name


def decision_event(call: Call, pending: PendingDecision, at: datetime) -> RecordingDecided:
    """Return the event that takes a decision; its `segment` is empty for a refusal."""
    return RecordingDecided(
        at=at,
        linkedid=call.linkedid,
        uniqueid=pending.channel.uniqueid,
        user=pending.user,
        decision=pending.decision,
        segment=_next_segment(call, pending.channel) if pending.decision.record else "",
        asked=pending.asked,
        paused=pending.paused,
        hears_user=pending.hears_user,
    )


def missed_talk_event(call: Call, pending: PendingDecision, at: datetime) -> TalkMissed:
    """Return the event that marks the part of the talk before this decision as not recorded."""
    return TalkMissed(
        at=at,
        linkedid=call.linkedid,
        uniqueid=pending.channel.uniqueid,
        user=pending.user,
        segment=_next_segment(call, pending.channel),
    )


def _next_segment(call: Call, channel: Channel) -> str:
    """Return the name of the channel's next recording."""
    part = 1 + sum(recording.uniqueid == channel.uniqueid for recording in call.recordings)
    return segment_name(call.linkedid, channel.uniqueid, part)
