"""What the judge of random kills requires of a call that Asterisk's death ended."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lab.scenarios.load_plan import Kind, Planned
from lab.scenarios.load_run import Played
from lab.sip.sipp import SipCall
from lab.sip.sipp_phones import OUTSIDE
from tests.support.random_kills import Verdict, has_row, starts_of_agent, without_discarded

KILLED_AT = 1_000.0
PLANNED = Planned(
    number="89130000007",
    kind=Kind.ATTENDED,
    caller=OUTSIDE,
    callee="200",
    colleague="201",
    starts_s=0,
    answer_after_s=1,
    talk_s=9,
    after_s=9,
    caller_hangs_up=True,
)


def life(rang_at: float, answered_at: float | None = None) -> SipCall:
    return SipCall(
        call_id="", invited_at=rang_at, rang_at=rang_at, answered_at=answered_at, ended_at=KILLED_AT if answered_at else None
    )


def lost(**phone_calls: SipCall) -> Played:
    return Played(planned=PLANNED, started_at=990.0, phone_calls=phone_calls, failure="TimeoutError: ", lost=True)


TALKED = lost(caller=life(991, 992), callee=life(991, 992))
ASKED = lost(caller=life(991, 992), callee=life(991, 992), asking=life(997, 998), colleague=life(997, 998))
ROW: dict[str, Any] = {
    "linkedid": "1.0",
    "direction": "in",
    "src": "89130000007",
    "dst": "2458200",
    "result": "answered",
    "answered_by": "200",
    "started_at": datetime.fromtimestamp(990, UTC).isoformat(),
    "ended_at": datetime.fromtimestamp(KILLED_AT, UTC).isoformat(),
    "recording": {"state": "partial", "reason": "audio_damaged", "duration_ms": 7000},
}
INQUIRY = {**ROW, "direction": "internal", "src": "200", "dst": "201", "answered_by": "201"}


def complaints(call: Played, *rows: dict[str, Any]) -> list[str]:
    verdict = Verdict()
    verdict.judge_calls([call], rows, frozenset({"200"}), str, 0.0, KILLED_AT)
    return verdict.complaints


def test_a_true_row_and_the_inquiry_of_a_transfer_are_no_complaint() -> None:
    assert complaints(TALKED, ROW) == []
    assert complaints(ASKED, ROW, INQUIRY) == complaints(ASKED, ROW) == []


def test_a_call_that_had_just_begun_to_ring_need_not_have_a_row() -> None:
    just, nobody = lost(caller=life(KILLED_AT - 0.5)), lost()
    assert not has_row(just, KILLED_AT) and complaints(just) == complaints(nobody) == []
    assert complaints(TALKED) == ["89130000007 attended: lost"]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"answered_by": None, "result": "no_answer"}, "answered by None"),
        ({"answered_by": "201"}, "answered by '201'"),
        ({"ended_at": datetime.fromtimestamp(KILLED_AT + 5, UTC).isoformat()}, "ended 5.00 s after"),
        ({"ended_at": None}, "ended inf s after"),
        ({"recording": {"state": "ready", "reason": None, "duration_ms": 7000}}, "lacks 1.00 s"),
        ({"recording": {"state": "partial", "reason": "audio_damaged", "duration_ms": 8300}}, "0.30 s too much"),
        ({"recording": {"state": "failed", "reason": "disk_full", "duration_ms": None}}, "failed (disk_full)"),
    ],
    ids=["nobody", "someone else", "late", "never", "ready", "too long", "another reason"],
)
def test_a_row_that_is_not_true_is_a_complaint(wrong: dict[str, Any], complaint: str) -> None:
    (found,) = complaints(TALKED, {**ROW, **wrong})
    assert complaint in found


def test_a_second_row_is_a_complaint() -> None:
    assert complaints(TALKED, ROW, INQUIRY) == ["1.0 200 → 201: doubled"]


def test_a_talk_that_begins_while_the_agent_starts_may_lack_its_begin() -> None:
    ready = {**ROW, "recording": {"state": "ready", "reason": None, "duration_ms": 7650}}
    log = "timestamp=1970-01-01T00:16:31.900000Z level=info part=agent event=ami.up\n"  # 991.9; answered at 992
    (lacks,) = complaints(TALKED, ready)
    assert "lacks 0.35 s" in lacks
    for starts, found in ((starts_of_agent(log), []), ([900.0, 991.6], [lacks]), ([992.2], [lacks])):
        verdict = Verdict(starts=starts)
        verdict.judge_calls([TALKED], [ready], frozenset({"200"}), str, 0.0, KILLED_AT)
        assert verdict.complaints == found


def test_what_was_discarded_rightly_is_not_missing() -> None:
    """Frames of a telephone that only rang, and the talk of a user who is not recorded."""
    log = "".join(
        f"event=recording.discarded linkedid={linkedid} segment={segment}\n"
        for linkedid, segment in (("1.2", "rang"), ("1.3", "talked"), ("1.4", "off"), ("1.4", "off_too"))
    )
    written_ms = {"rang": 20, "talked": 2000, "lost": 20, "off": 2000, "off_too": 2000}
    assert without_discarded(written_ms, log, {"1.4"}) == {"talked": 2000, "lost": 20}


def test_a_call_of_users_who_are_not_recorded_is_known() -> None:
    verdict = Verdict()
    none = {**ROW, "recording": {"state": "none", "reason": "user_off", "duration_ms": None}}
    verdict.judge_calls([TALKED], [none], frozenset(), str, 0.0, KILLED_AT)
    assert (verdict.complaints, verdict.unrecorded) == ([], {"1.0"})
