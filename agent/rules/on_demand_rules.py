"""Which requests about the recording of a call are allowed, and what is done for them. Pure.

A user makes requests for the own side, an administrator for all sides of the call. Where several
users share a talk, a request concerns its one recorder: each recorded user may pause it. A stop by
an administrator counts for everyone in the talk. A stop by a user ends only a requested recording:
a colleague whose setting records continues to be recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.calls.call_state import Call, PendingDecision, Recording
from agent.rules.directory import DomainIndex
from agent.rules.recording_sides import RecordingSide, recording_sides
from fonoteka.core.agent_protocol import Refusal
from fonoteka.core.call_report import Action, Decision, Reason

_FORWARDED: Final = frozenset({Reason.FORWARDED_LONG_DISTANCE, Reason.FORWARDED_INTERNATIONAL})
_STOPPED: Final = Decision(record=False, reason=Reason.STOPPED_BY_USER)

# Starts and pauses in one call. The store refuses a call with 1,000 segments, and with it the
# recordings of the call.
MAX_REQUESTS_PER_CALL: Final = 200

_Statuses = Sequence[RecordingSide]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingStop:
    """A recording to stop. `reason` is why the rest is missing, None if no setting misses it."""

    recording: Recording
    reason: Reason | None


@dataclass(frozen=True, kw_only=True, slots=True)
class OnDemandPlan:
    """What is done for a request, in the order of the fields.

    `refuse` comes before `stop`: it concerns users whose settings would otherwise start another
    recording in place of the stopped one.
    """

    start: tuple[PendingDecision, ...] = ()
    refuse: tuple[PendingDecision, ...] = ()
    stop: tuple[RecordingStop, ...] = ()
    pause: tuple[Recording, ...] = ()
    resume: tuple[Recording, ...] = ()


def plan_request(call: Call, domain: DomainIndex, action: Action, login: str | None) -> OnDemandPlan | Refusal:
    """Return what to do for a user (`login`) or for an administrator (None), or why not."""
    if call.ended_at is not None:
        return Refusal.CALL_IS_OVER
    statuses = list(recording_sides(call, domain))
    own = [status for status in statuses if login in (None, status.user)]
    if not own:
        return Refusal.NOT_TALKING
    if action in (Action.START, Action.PAUSE) and _requests(call) >= MAX_REQUESTS_PER_CALL:
        return Refusal.ASKED_TOO_OFTEN
    match action:
        case Action.START:
            return _start(own)
        case Action.STOP:
            return _stop_all(own, statuses) if login is None else _stop(own)
        case Action.PAUSE:
            return _pause(own)
        case Action.RESUME:
            return _resume(own)


def action_of_key(call: Call, domain: DomainIndex, key: str, login: str) -> Action | None:
    """Return the action of a feature code for a user now, or None for an unknown code.

    `record` starts or stops, `pause` pauses or resumes.
    """
    statuses = recording_sides(call, domain)
    recording = next((status.recording for status in statuses if status.user == login), None)
    match key:
        case "record":
            return Action.STOP if recording is not None else Action.START
        case "pause":
            return Action.RESUME if recording is not None and recording.paused else Action.PAUSE
        case _:
            return None


def _requests(call: Call) -> int:
    return sum(recording.asked + len(recording.muted) for recording in call.recordings)


def _start(own: _Statuses) -> OnDemandPlan | Refusal:
    by_talk = {status.talk: status for status in reversed(own) if status.may_start}  # a talk has one recorder
    if by_talk:
        wanted = Decision(record=True)
        return OnDemandPlan(
            start=tuple(
                PendingDecision(channel=status.channel, user=status.user, decision=wanted, asked=True, hears_user=status.hears_user)
                for status in by_talk.values()
            )
        )
    if any(status.recording is not None for status in own):
        return Refusal.ALREADY_RECORDING
    if any(status.setting.reason in _FORWARDED for status in own):
        return Refusal.NEVER_RECORDED
    return Refusal.RECORDING_IS_OFF


def _stop(own: _Statuses) -> OnDemandPlan | Refusal:
    """Stop what a user requested."""
    running = _recordings([status for status in own if status.may_stop])
    if not running:
        return _unless_recording(own, Refusal.RECORDED_BY_RULE)
    return OnDemandPlan(stop=tuple(RecordingStop(recording=recording, reason=None) for recording in running))


def _stop_all(own: _Statuses, statuses: _Statuses) -> OnDemandPlan | Refusal:
    """Stop for an administrator, for every user in the talk."""
    running = _recordings(own)
    if not running:
        return _unless_recording(own, Refusal.RECORDED_BY_RULE)
    by_setting = [status for status in statuses if status.setting.record and status.recording in running]
    segments = {recording.segment for recording in _recordings(by_setting)}
    recorded = {(recording.uniqueid, recording.user if recording.hears_user else "") for recording in running}
    return OnDemandPlan(
        refuse=tuple(
            PendingDecision(channel=status.channel, user=status.user, decision=_STOPPED, hears_user=status.hears_user)
            for status in by_setting
            if (status.channel.uniqueid, status.user if status.hears_user else "") not in recorded
        ),
        stop=tuple(
            RecordingStop(recording=recording, reason=Reason.STOPPED_BY_USER if recording.segment in segments else None)
            for recording in running
        ),
    )


def _pause(own: _Statuses) -> OnDemandPlan | Refusal:
    running = [recording for recording in _recordings(own) if not recording.paused]
    return OnDemandPlan(pause=tuple(running)) if running else _unless_recording(own, Refusal.ALREADY_PAUSED)


def _resume(own: _Statuses) -> OnDemandPlan | Refusal:
    paused = [recording for recording in _recordings(own) if recording.paused]
    return OnDemandPlan(resume=tuple(paused)) if paused else _unless_recording(own, Refusal.NOT_PAUSED)


def _unless_recording(own: _Statuses, refusal: Refusal) -> Refusal:
    """Return `refusal` if there is a recording, else that there is none."""
    return refusal if _recordings(own) else Refusal.NOT_RECORDING


def _recordings(statuses: _Statuses) -> list[Recording]:
    """Return the recordings of these sides, each once."""
    recordings = (status.recording for status in statuses)
    return list({recording.segment: recording for recording in recordings if recording is not None}.values())
