"""What somebody may ask of the recording of a call that goes on, and what is to be done for it: the rules, as pure functions.

A user asks for their own side, an administrator for all sides of the call. Where several share a talk its one recorder is meant:
whoever is recorded may pause it; an administrator's stop holds for everyone in the talk; a user's only for what was asked for,
so that a colleague whom the setting records goes on being recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.calls.call_state import Call, PendingDecision, Recording
from agent.rules.directory import DomainIndex
from agent.rules.recording_sides import UserRecordingStatus, recording_statuses
from fonoteka.core.agent_protocol import Refusal
from fonoteka.core.call_report import Action, Decision, Reason

_FORWARDED: Final = frozenset({Reason.FORWARDED_LONG_DISTANCE, Reason.FORWARDED_INTERNATIONAL})
_STOPPED: Final = Decision(record=False, reason=Reason.STOPPED_BY_USER)


MAX_REQUESTS_PER_CALL: Final = (
    200  # begun or paused in one call; the store refuses a call with 1,000 segments, and so its recordings
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingStop:
    """A recording to be stopped; `reason` tells why the rest will be missing, None where nothing is missed by a setting."""

    recording: Recording
    reason: Reason | None


@dataclass(frozen=True, kw_only=True, slots=True)
class OnDemandPlan:
    """What is to be done. `refuse` comes before `end`: those whom their settings would have recorded in its place."""

    begin: tuple[PendingDecision, ...] = ()
    refuse: tuple[PendingDecision, ...] = ()
    end: tuple[RecordingStop, ...] = ()
    pause: tuple[Recording, ...] = ()
    resume: tuple[Recording, ...] = ()


def plan_request(call: Call, domain: DomainIndex, action: Action, login: str | None) -> OnDemandPlan | Refusal:
    """What to do for a user (`login`), or for an administrator (None), or why it cannot be done."""
    if call.ended_at is not None:
        return Refusal.CALL_IS_OVER
    everybody = list(recording_statuses(call, domain))
    mine = [stand for stand in everybody if login in (None, stand.user)]
    if not mine:
        return Refusal.NOT_TALKING
    if action in (Action.START, Action.PAUSE) and _times(call) >= MAX_REQUESTS_PER_CALL:
        return Refusal.ASKED_TOO_OFTEN
    match action:
        case Action.START:
            return _start(mine)
        case Action.STOP:
            return _stop(mine, everybody, administrator=login is None)
        case Action.PAUSE | Action.RESUME:
            return _pause(mine) if action is Action.PAUSE else _resume(mine)


def _times(call: Call) -> int:
    return sum(known.asked + len(known.muted) for known in call.recordings)


def action_of_key(call: Call, domain: DomainIndex, key: str, login: str) -> Action | None:
    """What a feature code means for a user now: `record` starts or stops, `pause` pauses or resumes; None for any other key."""
    mine = next((stand.recording for stand in recording_statuses(call, domain) if stand.user == login), None)
    match key:
        case "record":
            return Action.STOP if mine is not None else Action.START
        case "pause":
            return Action.RESUME if mine is not None and mine.paused else Action.PAUSE
        case _:
            return None


def _start(mine: Sequence[UserRecordingStatus]) -> OnDemandPlan | Refusal:
    able = {stand.talk: stand for stand in reversed(mine) if stand.may_start}  # one of each talk: it has one recorder
    if able:
        wanted = Decision(record=True)
        return OnDemandPlan(
            begin=tuple(PendingDecision(channel=one.channel, user=one.user, decision=wanted, asked=True) for one in able.values())
        )
    if any(stand.recording is not None for stand in mine):
        return Refusal.ALREADY_RECORDING
    if any(stand.setting.reason in _FORWARDED for stand in mine):
        return Refusal.NEVER_RECORDED
    return Refusal.RECORDING_IS_OFF


def _stop(
    mine: Sequence[UserRecordingStatus], everybody: Sequence[UserRecordingStatus], *, administrator: bool
) -> OnDemandPlan | Refusal:
    running = _distinct([stand.recording for stand in mine if administrator or stand.may_stop])
    if not running:
        return _none_of(mine, Refusal.RECORDED_BY_RULE)
    if not administrator:
        return OnDemandPlan(end=tuple(RecordingStop(recording=known, reason=None) for known in running))
    by_setting = [stand for stand in everybody if stand.setting.record and stand.recording in running]
    segments = {stand.recording.segment for stand in by_setting if stand.recording is not None}
    reasons = (Reason.STOPPED_BY_USER if known.segment in segments else None for known in running)
    recorded = {known.uniqueid for known in running}
    return OnDemandPlan(
        refuse=tuple(
            PendingDecision(channel=stand.channel, user=stand.user, decision=_STOPPED)
            for stand in by_setting
            if stand.channel.uniqueid not in recorded
        ),
        end=tuple(RecordingStop(recording=known, reason=reason) for known, reason in zip(running, reasons, strict=True)),
    )


def _pause(mine: Sequence[UserRecordingStatus]) -> OnDemandPlan | Refusal:
    running = [known for known in _distinct([stand.recording for stand in mine]) if not known.paused]
    return OnDemandPlan(pause=tuple(running)) if running else _none_of(mine, Refusal.ALREADY_PAUSED)


def _resume(mine: Sequence[UserRecordingStatus]) -> OnDemandPlan | Refusal:
    paused = [known for known in _distinct([stand.recording for stand in mine]) if known.paused]
    return OnDemandPlan(resume=tuple(paused)) if paused else _none_of(mine, Refusal.NOT_PAUSED)


def _none_of(mine: Sequence[UserRecordingStatus], otherwise: Refusal) -> Refusal:
    return otherwise if any(stand.recording is not None for stand in mine) else Refusal.NOT_RECORDING


def _distinct(recordings: Sequence[Recording | None]) -> list[Recording]:
    return list({known.segment: known for known in recordings if known is not None}.values())
