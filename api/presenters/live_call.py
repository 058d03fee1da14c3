"""Convert a call in progress for a viewer: the recorder's state and the allowed actions.

Only this module decides which actions are offered. The agent on the PBX has the last word
(`agent.rules.on_demand_rules`): an offered action may have become impossible in between.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from api.http.problems import Problem
from api.schemas import models
from fonoteka.core.agent_protocol import Refusal
from fonoteka.core.call_report import Action, RecorderState, UserRecordingStatus
from store.queries.calls import SeenCall

_DETAILS: Final = {
    Refusal.CALL_IS_OVER: "the call is over",
    Refusal.NOT_TALKING: "nobody whose recording you may control talks in this call now",
    Refusal.ALREADY_RECORDING: "this talk is being recorded already",
    Refusal.NOT_RECORDING: "this talk is not being recorded",
    Refusal.ALREADY_PAUSED: "the recording is paused already",
    Refusal.NOT_PAUSED: "the recording is not paused",
    Refusal.RECORDING_IS_OFF: "recording on demand is not switched on for this user",
    Refusal.NEVER_RECORDED: "talks forwarded to long distance or abroad are never recorded",
    Refusal.RECORDED_BY_RULE: "this talk is recorded by the company's setting; only an administrator may stop it",
    Refusal.ASKED_TOO_OFTEN: "the recording of this call was started and paused too often",
    Refusal.PBX_FAILED: "the PBX could not do it; its agent's log says why",
}


def live(seen: SeenCall, zone: ZoneInfo) -> models.Live | None:
    """Return the state of a call in progress for its viewer; None if the call has ended."""
    report = seen.live
    if report is None:
        return None
    sides = [side for side in report.sides if seen.viewer in (None, side.user)]
    states = {side.recorder for side in sides}
    recorder = next((state for state in (RecorderState.ON, RecorderState.PAUSED) if state in states), RecorderState.OFF)
    return models.Live(
        parties=[models.Party(who=party.who, name=seen.names.get(party.login or "")) for party in report.parties],
        talking_since=report.talking_since.astimezone(zone) if report.talking_since is not None else None,
        recorder=recorder,
        reason=next((side.reason for side in sides), None) if recorder is RecorderState.OFF else None,
        actions=list(_actions(sides, administrator=seen.viewer is None)),
    )


def _actions(sides: Sequence[UserRecordingStatus], *, administrator: bool) -> Iterator[Action]:
    if any(side.recorder is RecorderState.OFF and side.may_start for side in sides):
        yield Action.START
    if any(side.recorder is not RecorderState.OFF and (administrator or side.may_stop) for side in sides):
        yield Action.STOP
    if any(side.recorder is RecorderState.ON for side in sides):
        yield Action.PAUSE
    if any(side.recorder is RecorderState.PAUSED for side in sides):
        yield Action.RESUME


def refused(refusal: Refusal) -> Problem:
    """Return the answer to an action that the agent refused."""
    return Problem(409, refusal.value, _DETAILS[refusal])
