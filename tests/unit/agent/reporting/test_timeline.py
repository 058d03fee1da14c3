"""The path of a call, for recorded streams of Asterisk and for long calls."""

from time import process_time

import pytest

from agent.calls.events import Held, RecordingDecided, RecordingEnding, RecordingMuted
from fonoteka.core.call_report import Decision, PathStep
from tests.unit.agent.calls.test_recorded_streams import read_stream
from tests.unit.agent.fixtures import at, event, events, play, report_of

_TAKEN = "arrive 2458152, ring 152, answer 152, record 152"
_ASKED = f"{_TAKEN}, hold 152, 152:ring 421, answer 421"
_AWAY = "ring 84951234567, answer 84951234567, no_record{of} (forwarded_long_distance), leave 89131234567, end"
_421_SENDS_ON = "421:forward 84951234567, " + _AWAY.format(of=" 421")

PATHS = {
    "in_answered": f"{_TAKEN}, leave 89131234567, end",
    "in_given_up": "arrive 2458152, ring 152, give_up 89131234567, end",
    "in_no_answer": "arrive 2458152, ring 152, no_answer 152, end",
    "in_busy": "arrive 2458152, ring 152, busy 152, end",
    "in_absent": "arrive 2458152, fail 2458152, end",
    "menu_then_152": "arrive 2458888, ring 152, answer 152, record 152, leave 89131234567, end",
    "group_130_busy": "arrive 2458800, ring 152, ring 130, busy 130, answer 152, record 152, leave 152, end",
    "group_given_up": "arrive 2458800, ring 152, ring 130, give_up 89131234567, end",
    "queue_421_answers": "arrive 2458900, ring 421, ring 152, answer 421, record 421, leave 89131234567, end",
    "out_city": "arrive 2123456, ring 2123456, answer 2123456, record 152, leave 152, end",
    "out_404": "arrive 84951234567, ring 84951234567, fail 84951234567, end",
    "internal": "arrive 421, ring 421, answer 421, record 152, leave 152, end",
    "forward_always": f"arrive 2458421, {_421_SENDS_ON}",
    "forward_busy": f"arrive 2458421, ring 421, busy 421, {_421_SENDS_ON}",
    "forward_no_answer": f"arrive 2458421, ring 421, no_answer 421, {_421_SENDS_ON}",
    "phone_302": f"arrive 2458421, ring 421, {_421_SENDS_ON}".replace("leave 89131234567", "leave 84951234567"),
    "queue_leads_out": f"arrive 2458901, forward 84951234567, {_AWAY.format(of='')}",
    "followed_out": f"arrive 2458902, forward 84951234567, {_AWAY.format(of='')}".replace("leave 8913", "leave 8495"),
    "forward_city": "arrive 2458421, 421:forward 2123456, ring 2123456, answer 2123456, record 421, leave 89131234567, end",
    "forward_to_152": "arrive 2458421, 421:forward 152, ring 152, answer 152, record 152, leave 89131234567, end",
    "phone_302_to_152": "arrive 2458421, ring 421, 421:forward 152, ring 152, answer 152, record 152, leave 89131234567, end",
    "blind_by_keys": f"{_TAKEN}, hold 152, 152:transfer 421, ring 421, answer 421, record 421, leave 89131234567, end",
    "blind_by_phone": f"{_TAKEN}, 152:transfer 421, ring 421, answer 421, record 421, leave 89131234567, end",
    "blind_by_phone_to_130": f"{_TAKEN}, 152:transfer 130, ring 130, answer 130, no_record 130 (user_off), leave 89131234567, end",
    "blind_out": f"{_TAKEN}, 152:transfer 84951234567, {_AWAY.format(of=' 152')}",
    "blind_to_busy": f"{_TAKEN}, 152:transfer 421, ring 421, busy 421, leave 89131234567, end",
    "attended_by_keys": f"{_ASKED}, 152:transfer 421, record 421, leave 421, end",
    "attended_by_keys_unanswered": (
        f"{_TAKEN}, hold 152, 152:ring 421, 152:transfer 421, answer 421, record 421, leave 89131234567, end"
    ),
    "attended_by_keys_taken_back": f"{_ASKED}, leave 421, back 152, leave 89131234567, end",
    "attended_by_phone": f"{_ASKED}, 152:transfer 421, record 421, leave 89131234567, end",
    "attended_by_phone_out": (
        f"{_TAKEN}, hold 152, 152:ring 84951234567, answer 84951234567, 152:transfer 84951234567, leave 89131234567, end"
    ),
    "parked_by_keys": f"{_TAKEN}, 152:park 701, 421:fetch 701, record 421, leave 89131234567, end",
    "parked_by_phone": f"{_TAKEN}, 152:park 701, 421:fetch 701, record 421, leave 421, end",
    "picked_up": "arrive 2458152, ring 152, 421:pick_up 152, record 421, leave 89131234567, end",
    "hold_and_resume": f"{_TAKEN}, hold 152, resume 152, leave 89131234567, end",
    "conference_with_customer": f"{_TAKEN}, 152:transfer 8000, join 89131234567, leave 89131234567, end",
}


def shown(step: PathStep) -> str:
    """Return a step as `152:transfer 421`."""
    by, who = step.by and f"{step.by}:", step.who and f" {step.who}"
    return f"{by}{step.what}{who}{f' ({step.reason})' if step.reason else ''}"


@pytest.mark.parametrize("name", PATHS)
def test_the_path_of_a_recorded_call(name: str) -> None:
    rows = [row for row in map(report_of, play(read_stream(name)).calls.values()) if row.merged_into is None]
    row = rows[0]  # a conference has a row for each party; the first is the customer's
    assert ", ".join(map(shown, row.path)) == PATHS[name]
    times = [step.at for step in row.path]
    assert times == sorted(times)


def test_a_customer_in_a_conference_was_answered_by_the_user_who_transferred_them() -> None:
    (row,) = [row for row in map(report_of, play(read_stream("conference_with_customer")).calls.values()) if row.dst == "2458152"]
    assert row.answered_by == "152"


def test_requests_to_a_recording_are_in_the_path() -> None:
    """777 records on demand: starts, pauses, resumes, stops, starts again.

    A restarted recorder is not a request, and not in the path.
    """
    board = play(
        events("""
            0   start a PJSIP/trunk-1 2458777 89131234567
            0   start b PJSIP/acme-777-1
            0   ring a b acme-777
            1   rung a b ANSWER
            1   enter a bridge
            1   enter b bridge
        """)
    )

    def decided(second: float, segment: str) -> RecordingDecided:
        record = Decision(record=True)
        return RecordingDecided(at=at(second), linkedid="1", uniqueid="b", user="777", decision=record, segment=segment, asked=True)

    for happened in (
        decided(5, "one"),
        RecordingMuted(at=at(7), linkedid="1", segment="one", muted=True),
        RecordingMuted(at=at(8), linkedid="1", segment="one", muted=False),
        RecordingEnding(at=at(10), linkedid="1", segment="one", reason=None),
        decided(10, "restarted"),
        RecordingEnding(at=at(12), linkedid="1", segment="restarted", reason=None),
        decided(15, "again"),
        event("20 end b 16"),
        event("20 end a 16"),
    ):
        board.take(happened)
    (call,) = board.calls.values()
    assert ", ".join(map(shown, report_of(call).path)) == (
        "arrive 2458777, ring 777, answer 777, no_record 777 (on_demand_not_asked), record 777, pause_record 777, "
        "resume_record 777, stop_record 777, record 777, leave 777, end"
    )


def test_repeated_hold_events_are_one_step() -> None:
    stream = read_stream("hold_and_resume")
    (once,) = play(stream).calls.values()
    (twice,) = play([happened for happened in stream for _ in range(2)]).calls.values()
    assert report_of(twice).path == report_of(once).path


def test_all_rings_of_a_queue_are_in_the_path() -> None:
    ringing = [event("0 start a PJSIP/trunk-1 2458900 89131234567")]
    for number in range(200):
        ringing += [
            event(f"{number} start q{number} PJSIP/acme-421-{number}"),
            event(f"{number} ring a q{number} acme-421"),
            event(f"{number}.9 rung a q{number} NOANSWER"),
            event(f"{number}.9 end q{number} 19"),
        ]
    (call,) = play(ringing).calls.values()
    path = report_of(call).path
    assert [step.what for step in path].count("ring") == [step.what for step in path].count("no_answer") == 200
    assert path[-1].at == at(199.9)


def test_endless_hold_and_resume_neither_fill_the_path_nor_delay_the_agent() -> None:
    """The telephone of an outside party can do so fifty times a second."""
    talk = """
        0   start a PJSIP/trunk-1 2458152 89131234567
        0   start b PJSIP/acme-152-1
        0   ring a b acme-152
        1   rung a b ANSWER
        1   enter a bridge
        1   enter b bridge
    """
    holding = [Held(at=at(2 + number / 50), linkedid="1", uniqueid="a", on=number % 2 == 0) for number in range(10_000)]
    (call,) = play([*events(talk), *holding, event("300 end a 16"), event("300 end b 16")]).calls.values()
    began = process_time()
    path = report_of(call).path
    assert process_time() - began < 2
    assert len(path) < 600
    assert path[-1].what == "end"
