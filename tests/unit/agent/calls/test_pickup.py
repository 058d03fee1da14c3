"""A ringing call that another user picks up (*8): the recording belongs to that user."""

import pytest

from agent.calls.call_state import RecordingStage
from fonoteka.core.call_report import Reason
from tests.unit.agent.fixtures import played, report_of

PICKED_UP = """
    0.0 start c PJSIP/trunk-1 2458152 89131234567
    0.1 start r PJSIP/acme-{rings}-2
    0.2 ring  c r acme-{rings}
    1.0 start p PJSIP/acme-{picks}-3 *8
    1.1 pick  p r
    1.1 end   r
    1.1 rung  c p ANSWER
    1.2 enter p B
    1.2 enter c B
    3.2 leave c B
    3.2 leave p B
    3.3 end   p
    3.3 end   c
"""


@pytest.mark.parametrize(
    ("rings", "picks", "segments", "reason"),
    [
        ("152", "421", ["421"], None),
        ("130", "421", ["421"], None),
        ("152", "130", [], Reason.USER_OFF),
        ("152", "777", [], Reason.ON_DEMAND_NOT_ASKED),
        ("152", "600", [], Reason.DIRECTION_OFF),
        ("130", "900", [], Reason.USER_OFF),
    ],
)
def test_the_setting_of_the_new_user_decides(rings: str, picks: str, segments: list[str], reason: Reason | None) -> None:
    call = played(PICKED_UP.format(rings=rings, picks=picks))
    shown = report_of(call)
    assert (shown.answered_by, shown.employee, shown.result) == (picks, picks, "answered")
    assert [segment.user for segment in shown.segments] == segments
    assert shown.reason is reason
    assert shown.talk_ms == 2000


def test_the_unwanted_recorder_is_not_forgotten() -> None:
    """The call is not settled until the recorder is stopped and its audio deleted."""
    call = played(PICKED_UP.format(rings="152", picks="130"))
    assert [recording.stage for recording in call.recordings] == [RecordingStage.UNWANTED, RecordingStage.REFUSED]
    assert not call.settled


@pytest.mark.parametrize("picks", ["421", "130"])
def test_the_pickup_event_may_come_after_the_talk_began(picks: str) -> None:
    """The events of two channels can arrive in either order (measured: DialEnd before Pickup)."""
    lines = PICKED_UP.format(rings="152", picks=picks).splitlines()
    late = [*lines[:5], *lines[7:10], *lines[5:7], *lines[10:]]
    shown, expected = report_of(played("\n".join(late))), report_of(played("\n".join(lines)))
    assert [segment.user for segment in shown.segments] == [segment.user for segment in expected.segments]
    assert (shown.answered_by, shown.result, shown.reason, shown.talk_ms) == (picks, "answered", expected.reason, 2000)


def test_a_colleague_that_calls_and_is_recorded_keeps_its_recording() -> None:
    call = played("""
        0.0 start c PJSIP/acme-152-1 130
        0.1 start r PJSIP/acme-130-2
        0.2 ring  c r acme-130
        1.0 start p PJSIP/acme-421-3 *8
        1.1 pick  p r
        1.1 end   r
        1.1 rung  c p ANSWER
        1.2 enter p B
        1.2 enter c B
        3.2 end   p
        3.2 end   c
    """)
    shown = report_of(call)
    assert [segment.user for segment in shown.segments] == ["152"]
    assert shown.answered_by == "421"
