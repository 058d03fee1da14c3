"""The quality of the legs of a call: the score, the worse direction, the worst leg first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.calls.call_state import Call
from agent.calls.events import Event, StreamMeasured
from agent.calls.stream_figures import Stream, StreamFigures
from agent.reporting.voice_quality import mean_opinion_score
from fonoteka.core.call_report import Quality
from tests.unit.agent.calls.test_recorded_streams import read_stream
from tests.unit.agent.fixtures import at, events, play, report_of

CALL = """
    0.0 start t PJSIP/trunk-1 2458152 89131234567
    0.1 start p PJSIP/acme-152-2
    0.2 ring t p acme-152
    2.0 rung t p ANSWER
    2.1 enter p b
    2.1 enter t b
"""
END = "\n12.0 leave t b\n12.0 leave p b\n12.0 end t\n12.1 end p"


def stream(loss_pct: float, jitter_ms: float = 0.0) -> Stream:
    return Stream(packets=1000, lost=round(10 * loss_pct), jitter_ms=jitter_ms)


def told(uniqueid: str, *, sent: Stream | None = None, heard: Stream | None = None, rtt_ms: float | None = None) -> Event:
    """What Asterisk tells of a channel: what the party sent, and what it reported to have heard."""
    figures = StreamFigures(from_party=sent, to_party=heard, rtt_ms=rtt_ms)
    return StreamMeasured(at=at(11.9), linkedid="1", uniqueid=uniqueid, figures=figures)


def call_with(*figures: Event) -> Call:
    (call,) = play([*events(CALL), *figures, *events(END)]).calls.values()
    return call


# Loss in percent, jitter and round trip in ms; the scores by hand from G.107 and G.113.
@pytest.mark.parametrize(
    ("loss_pct", "jitter_ms", "rtt_ms", "mos"),
    [
        (0, 0, None, 4.4),
        (1, 0, 0, 4.32),
        (5, 0, 0, 3.9),
        (7, 0, 0, 3.69),
        (10, 0, 0, 3.39),
        (0, 30, 0, 4.37),
        (0, 0, 600, 3.59),
        (100, 1000, 5000, 1.0),
    ],
)
def test_the_score(loss_pct: float, jitter_ms: float, rtt_ms: float | None, mos: float) -> None:
    assert mean_opinion_score(stream(loss_pct, jitter_ms), rtt_ms) == mos


@given(st.floats(0, 99), st.floats(0, 1), st.floats(0, 900), st.floats(0, 100), st.floats(0, 9000), st.floats(0, 1000))
def test_no_network_is_better_for_being_worse(
    loss: float, more_loss: float, jitter: float, more_jitter: float, rtt: float, more_rtt: float
) -> None:
    better = mean_opinion_score(stream(loss, jitter), rtt)
    worse = mean_opinion_score(stream(loss + more_loss, jitter + more_jitter), rtt + more_rtt)
    assert 1.0 <= worse <= better <= 4.5


def test_the_quality_of_a_call_is_that_of_its_worst_leg() -> None:
    shown = report_of(call_with(told("t", sent=stream(1), rtt_ms=30.4), told("p", sent=stream(7, 12.4))))
    assert shown.quality == Quality(mos=3.66, loss_pct=7.0, jitter_ms=12, rtt_ms=None)
    told_in_path = [(step.what, step.who, step.quality) for step in shown.path if step.quality is not None]
    assert told_in_path == [
        ("heard", "152", shown.quality),
        ("heard", "89131234567", Quality(mos=4.31, loss_pct=1.0, jitter_ms=0, rtt_ms=30)),
    ]
    assert shown.path[-1].what == "end"


def test_a_leg_has_the_figures_of_its_worse_direction() -> None:
    shown = report_of(call_with(told("p", sent=stream(0), heard=stream(10, 40), rtt_ms=80)))
    assert [(step.what, step.who) for step in shown.path if step.quality is not None] == [("hears", "152")]
    assert shown.quality == Quality(mos=3.24, loss_pct=10.0, jitter_ms=40, rtt_ms=80)


def test_nothing_is_known_of_a_call_of_which_asterisk_told_nothing() -> None:
    assert report_of(call_with()).quality is None


def test_a_party_that_talked_with_nobody_has_no_leg() -> None:
    """A customer hears a menu for a minute, and hangs up."""
    alone = [*events("0.0 start t PJSIP/trunk-1 2458152 8913"), told("t", sent=stream(10)), *events("60.0 end t")]
    (call,) = play(alone).calls.values()
    assert call.channels["t"].figures is not None
    assert report_of(call).quality is None


def test_figures_that_come_after_the_end_of_the_channel_count() -> None:
    (call,) = play([*events(CALL + END), told("p", sent=stream(5))]).calls.values()
    assert report_of(call).quality == Quality(mos=3.9, loss_pct=5.0, jitter_ms=0, rtt_ms=None)
    assert call.ended_at == at(12.1)


def test_the_first_figures_of_a_channel_count() -> None:
    call = call_with(told("p", sent=stream(5)), told("p", sent=stream(50)))
    assert call.channels["p"].figures == StreamFigures(from_party=stream(5), to_party=None, rtt_ms=None)


def test_a_call_of_the_lab_in_which_a_tenth_was_lost() -> None:
    (call,) = play(read_stream("badly_heard")).calls.values()
    shown = report_of(call)
    told_in_path = [(step.what, step.who, step.quality) for step in shown.path if step.quality is not None]
    employee = Quality(mos=3.99, loss_pct=4.2, jitter_ms=0, rtt_ms=None)
    customer = Quality(mos=3.98, loss_pct=3.6, jitter_ms=40, rtt_ms=None)
    assert told_in_path == [("hears", "89131234567", customer), ("heard", "152", employee)]
    assert shown.quality == customer
