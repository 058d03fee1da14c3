"""What the load benchmark knows of its calls, and that it sees what is wrong with a row."""

from typing import Any

import pytest

from bench.load import quantile_of_histogram
from bench.load_truth import stretches_of, wrong
from lab.scenarios.load_plan import Kind, Planned
from lab.scenarios.load_run import Played
from lab.sip.sipp import SipCall
from lab.sip.sipp_phones import OUTSIDE

RECORDED = frozenset({"200", "201"})
OFF, ALSO_OFF = "204", "209"


def life(answered_at: float, ended_at: float, handed_over_at: float | None = None) -> SipCall:
    return SipCall(call_id="", invited_at=0, answered_at=answered_at, ended_at=ended_at, handed_over_at=handed_over_at)


def played(kind: Kind, caller: str, callee: str, colleague: str = "") -> Played:
    handed_over = kind in (Kind.BLIND, Kind.ATTENDED)
    planned = Planned(
        number="89130000007",
        kind=kind,
        caller=caller,
        callee=callee,
        colleague=colleague,
        starts_s=0,
        answer_after_s=1,
        talk_s=1,
        after_s=1,
        caller_hangs_up=True,
    )
    phone_calls = {
        "caller": life(1, 9),
        "callee": life(1, 6, 5 if handed_over else None),
        "asking": life(3, 5.5),
        "colleague": life(3 if kind is Kind.ATTENDED else 7, 9),
    }
    return Played(planned=planned, started_at=0, phone_calls=phone_calls)


@pytest.mark.parametrize(
    ("call", "stretches"),
    [
        (played(Kind.TALK, OUTSIDE, "201"), [("201", 5)]),
        (played(Kind.HOLD, OUTSIDE, OFF), []),
        (played(Kind.TALK, "200", OUTSIDE), [("200", 5)]),
        (played(Kind.TALK, "200", "201"), [("200", 5)]),
        (played(Kind.TALK, OFF, "201"), [("201", 5)]),
        (played(Kind.BLIND, OUTSIDE, "200", "201"), [("200", 4), ("201", 2)]),
        (played(Kind.BLIND, OUTSIDE, OFF, "201"), [("201", 2)]),
        (played(Kind.ATTENDED, OUTSIDE, "200", "201"), [("200", 4), ("200", 2), ("201", 4)]),
        (played(Kind.ATTENDED, OUTSIDE, "200", OFF), [("200", 4), ("200", 2)]),
        (played(Kind.ATTENDED, OUTSIDE, OFF, "201"), [("201", 2), ("201", 4)]),
        (played(Kind.ATTENDED, OUTSIDE, OFF, ALSO_OFF), []),
        (played(Kind.PICKED_UP, OUTSIDE, "200", "201"), [("201", 2)]),
        (played(Kind.BUSY, OUTSIDE, "200"), []),
    ],
)
def test_the_segments_a_call_must_have(call: Played, stretches: list[tuple[str, float]]) -> None:
    assert [(stretch.user, stretch.talk_s) for stretch in stretches_of(call, RECORDED)] == stretches


RIGHT: dict[str, Any] = {
    "direction": "in",
    "src": "89130000007",
    "dst": "2458201",
    "answered_by": "201",
    "result": "answered",
    "recording": {"state": "ready", "reason": None, "segments": [{"user": "201", "duration_ms": 5100}]},
}


@pytest.mark.parametrize(
    ("row", "complaints"),
    [
        (RIGHT, []),
        (RIGHT | {"answered_by": None}, ["answered_by is None, not '201'"]),
        (
            RIGHT | {"recording": {"state": "none", "reason": "user_off", "segments": []}},
            ["the recording is none (user_off), not ready (None)", "segments of [], not ['201']"],
        ),
        (
            RIGHT | {"recording": {"state": "ready", "reason": None, "segments": [{"user": "201", "duration_ms": 4800}]}},
            ["segment 1 lasts 4.80 s, the talk 5.00 s"],
        ),
    ],
)
def test_what_is_wrong_with_a_row_is_said(row: dict[str, Any], complaints: list[str]) -> None:
    assert list(wrong(played(Kind.TALK, OUTSIDE, "201"), row, RECORDED)) == complaints


def test_a_quantile_of_a_histogram() -> None:
    text = 'x_bucket{le="0.1"} 90.0\nx_bucket{le="0.5"} 99.0\nx_bucket{le="+Inf"} 100.0\nx_count 100.0\n'
    assert [quantile_of_histogram(text, "x", share) for share in (0.5, 0.9, 0.99, 1.0)] == [0.1, 0.1, 0.5, float("inf")]
    with pytest.raises(ValueError, match="no observations"):
        quantile_of_histogram("", "x", 0.5)
