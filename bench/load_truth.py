"""The expected row and segments of a call of the load, by the clocks of the telephones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fonoteka.core.call_report import Direction, Result
from lab.scenarios.load_plan import Kind
from lab.scenarios.load_run import Played
from lab.sip.sipp_phones import OUTSIDE

NEAR_S: Final = 0.15


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """A talk that is recorded for a user (a login), and its length."""

    user: str
    talk_s: float


def row_of(call: Played) -> dict[str, Any]:
    """Return the fields of the row that follow from the plan."""
    planned = call.planned
    src = planned.number if planned.direction is Direction.IN else planned.caller
    inside = f"2458{planned.callee}" if planned.direction is Direction.IN else planned.callee
    return {
        "direction": planned.direction.value,
        "src": src,
        "dst": planned.number if planned.direction is Direction.OUT else inside,
        "answered_by": planned.answered_by,
        "result": planned.result.value,
    }


def stretches_of(call: Played, recorded: frozenset[str]) -> tuple[Stretch, ...]:
    """Return the expected segments in order; `recorded` are the logins that record all."""
    return tuple(Stretch(user=user, talk_s=talk_s) for user, talk_s in _talks(call, recorded) if user in recorded)


def _talks(call: Played, recorded: frozenset[str]) -> Iterator[tuple[str, float]]:
    """Yield each talk and its recorded user; a talk of two users is recorded once."""
    planned, phone_calls = call.planned, call.phone_calls
    if planned.result is not Result.ANSWERED:
        return
    callee = planned.callee
    match planned.kind:
        case Kind.PICKED_UP:
            yield planned.colleague, phone_calls["colleague"].talk_s
        case Kind.BLIND:
            yield callee, phone_calls["callee"].talk_s
            yield planned.colleague, phone_calls["colleague"].talk_s
        case Kind.ATTENDED:
            joined_at = phone_calls["callee"].handed_over_at or 0.0
            asking_s = joined_at - (phone_calls["asking"].answered_at or 0.0)
            yield callee, phone_calls["callee"].talk_s
            yield (callee if callee in recorded else planned.colleague), asking_s
            yield planned.colleague, (phone_calls["colleague"].ended_at or 0.0) - joined_at
        case _:
            first = planned.caller if planned.caller != OUTSIDE and planned.caller in recorded else callee
            yield first, phone_calls["callee"].talk_s


def wrong(call: Played, row: Mapping[str, Any], recorded: frozenset[str]) -> Iterator[str]:
    """Yield the differences between a row and the call, in words."""
    for name, expected in row_of(call).items():
        if row[name] != expected:
            yield f"{name} is {row[name]!r}, not {expected!r}"
    expected_stretches = stretches_of(call, recorded)
    recording = row["recording"]
    reason = None if expected_stretches else "user_off" if call.planned.result is Result.ANSWERED else "not_answered"
    state = "ready" if expected_stretches else "none"
    if (recording["state"], recording["reason"]) != (state, reason):
        yield f"the recording is {recording['state']} ({recording['reason']}), not {state} ({reason})"
    users = [segment["user"] for segment in recording["segments"]]
    if users != [stretch.user for stretch in expected_stretches]:
        yield f"segments of {users}, not {[stretch.user for stretch in expected_stretches]}"
        return
    for number, (segment, stretch) in enumerate(zip(recording["segments"], expected_stretches, strict=True), 1):
        if abs(segment["duration_ms"] / 1000 - stretch.talk_s) > NEAR_S:
            yield f"segment {number} lasts {segment['duration_ms'] / 1000:.2f} s, the talk {stretch.talk_s:.2f} s"
