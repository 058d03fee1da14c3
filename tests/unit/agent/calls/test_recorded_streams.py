"""Recorded streams of a real Asterisk, folded again (`python -m lab.tools.capture`)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.ami.event_repair import EventRepair, headers_of
from agent.ami.framing import Framing
from agent.calls.call_registry import CallRegistry
from agent.calls.decision_events import decision_event
from agent.calls.event_reader import LAYOUTS, read_event
from agent.calls.events import BridgeEntered, DialBegan, Event, HoldingEntered
from agent.recording.effects import ReportCall, StopRecorder
from agent.recording.plan import plan
from agent.rules.parties import domain_of
from agent.rules.recording_rules import pending_decisions, stale_recordings
from fonoteka.core.call_report import Direction, Reason, Result
from tests.unit.agent.fixtures import DIRECTORY, play, report_of

STREAMS = Path(__file__).parents[3] / "data" / "streams"
IN, OUT, INTERNAL = Direction.IN, Direction.OUT, Direction.INTERNAL
ANSWERED, NO_ANSWER, BUSY, OTHER = Result.ANSWERED, Result.NO_ANSWER, Result.BUSY, Result.OTHER

#           stream               direction result    employee  dst          answered_by    segments
ROWS = [
    ("in_answered",          IN,       ANSWERED,  "152", "2458152",       "152",           ("152",)),
    ("in_named",             IN,       ANSWERED,  "152", "2458152",       "152",           ("152",)),
    ("in_busy",              IN,       BUSY,      "152", "2458152",       None,            ()),
    ("in_no_answer",         IN,       NO_ANSWER, "152", "2458152",       None,            ()),
    ("in_given_up",          IN,       NO_ANSWER, "152", "2458152",       None,            ()),
    ("in_refused",           IN,       BUSY,      "152", "2458152",       None,            ()),
    ("in_unavailable",       IN,       NO_ANSWER, "152", "2458152",       None,            ()),
    ("in_absent",            IN,       OTHER,     None,  "2458152",       None,            ()),
    ("menu_then_152",        IN,       ANSWERED,  "152", "2458888",       "152",           ("152",)),
    ("menu_hung_up",         IN,       NO_ANSWER, None,  "2458888",       None,            ()),
    ("group_152_answers",    IN,       ANSWERED,  "152", "2458800",       "152",           ("152",)),
    ("group_130_busy",       IN,       ANSWERED,  "152", "2458800",       "152",           ("152",)),
    ("group_given_up",       IN,       NO_ANSWER, None,  "2458800",       None,            ()),
    ("queue_421_answers",    IN,       ANSWERED,  "421", "2458900",       "421",           ("421",)),
    ("queue_given_up",       IN,       NO_ANSWER, None,  "2458900",       None,            ()),
    ("out_city",             OUT,      ANSWERED,  "152", "2123456",       "2123456",       ("152",)),
    ("out_long_distance",    OUT,      ANSWERED,  "152", "84951234567",   "84951234567",   ("152",)),
    ("out_mobile",           OUT,      ANSWERED,  "152", "89131234567",   "89131234567",   ("152",)),
    ("out_abroad",           OUT,      ANSWERED,  "152", "8104930901820", "8104930901820", ("152",)),
    ("out_busy",             OUT,      BUSY,      "152", "84951234567",   None,            ()),
    ("out_given_up",         OUT,      NO_ANSWER, "152", "84951234567",   None,            ()),
    ("out_404",              OUT,      OTHER,     "152", "84951234567",   None,            ()),
    ("out_503",              OUT,      OTHER,     "152", "84951234567",   None,            ()),
    ("internal",             INTERNAL, ANSWERED,  "152", "421",           "421",           ("152",)),
    ("internal_busy",        INTERNAL, BUSY,      "152", "421",           None,            ()),
    ("group_of_local",       IN,       ANSWERED,  "421", "2458920",       "421",           ("421",)),
    ("queue_of_local",       IN,       ANSWERED,  "421", "2458921",       "421",           ("421",)),
    ("accepted",             IN,       ANSWERED,  "152", "2458922",       "152",           ("152",)),
    ("not_accepted",         IN,       NO_ANSWER, "152", "2458922",       None,            ()),
    ("gone_on_to_421",       IN,       ANSWERED,  "421", "2458924",       "421",           ("152", "421")),
    ("met_by_dial",          IN,       ANSWERED,  "152", "2458925",       "152",           ("152",)),
    ("joined_by_program",    IN,       ANSWERED,  "152", "2458926",       "152",           ("152",)),
    ("second_telephone",     IN,       ANSWERED,  "421", "2458927",       "421",           ("421",)),
    ("directly",             INTERNAL, ANSWERED,  "777", "6421",          "421",           ("421",)),
    ("click_by_local",       OUT,      ANSWERED,  "152", "84951234567",   "84951234567",   ("152",)),
    ("click_by_kept_local",  OUT,      ANSWERED,  "152", "84951234567",   "84951234567",   ("152",)),
    ("click_by_telephone",   OUT,      ANSWERED,  "152", "84951234567",   "84951234567",   ("152",)),
    ("click_to_colleague",   INTERNAL, ANSWERED,  "152", "421",           "421",           ("421",)),
    ("click_to_unrecorded",  INTERNAL, ANSWERED,  "152", "130",           "130",           ("152",)),
    ("click_unanswered",     OUT,      NO_ANSWER, "152", "84951234567",   None,            ()),
    ("click_unanswered_kept", OUT,     NO_ANSWER, "152", "84951234567",   None,            ()),
    ("click_busy",           OUT,      BUSY,      "152", "84951234567",   None,            ()),
    ("click_refused_by_caller", INTERNAL, BUSY,   "152", "",              None,            ()),
    ("callback_by_trunk",    OUT,      ANSWERED,  "152", "89131234567",   "89131234567",   ("152",)),
    ("callback_by_local",    OUT,      ANSWERED,  "152", "89131234567",   "89131234567",   ("152",)),
    ("callback_by_kept_local", OUT,    ANSWERED,  "152", "89131234567",   "89131234567",   ("152",)),
    ("callback_into_group",  OUT,      ANSWERED,  "152", "89131234567",   "89131234567",   ("152",)),
    ("callback_busy",        OUT,      BUSY,      None,  "89131234567",   None,            ()),
    ("callback_busy_by_account", OUT,  BUSY,      None,  "89131234567",   None,            ()),
    ("callback_busy_by_local", OUT,    BUSY,      None,  "89131234567",   None,            ()),
    ("callback_not_taken",   OUT,      NO_ANSWER, "152", "89131234567",   None,            ()),
    ("code_forward",         INTERNAL, NO_ANSWER, "152", "*21*89131234567", None,          ()),
    ("code_intercom",        INTERNAL, NO_ANSWER, "152", "*55152",        None,            ()),
    ("code_queue",           INTERNAL, NO_ANSWER, "152", "*45",           None,            ()),
    ("code_pick_up",         INTERNAL, BUSY,      "152", "*8",            None,            ()),
    ("mobile_answers",       IN,       ANSWERED,  "152", "2458152",       "89139998877",   ("152",)),
    ("mobile_answers_by_local", IN,    ANSWERED,  "152", "2458152",       "89139998877",   ("152",)),
    ("mobile_first",         IN,       ANSWERED,  "152", "2458152",       "89139998877",   ("152",)),
    ("mobile_not_answered",  IN,       ANSWERED,  "152", "2458152",       "152",           ("152",)),
    ("voicemail_after_no_answer", IN,  NO_ANSWER, "152", "2458152",       None,            ()),
    ("voicemail_after_refusal", IN,    BUSY,      "152", "2458152",       None,            ()),
]  # fmt: skip


#           stream               employee dst        answered_by    segments  reason
FORWARDED = [
    ("forward_always",       "421", "2458421", "84951234567", (),       Reason.FORWARDED_LONG_DISTANCE),
    ("forward_busy",         "421", "2458421", "84951234567", (),       Reason.FORWARDED_LONG_DISTANCE),
    ("forward_no_answer",    "421", "2458421", "84951234567", (),       Reason.FORWARDED_LONG_DISTANCE),
    ("phone_302",            "421", "2458421", "84951234567", (),       Reason.FORWARDED_LONG_DISTANCE),
    ("forward_abroad",       "421", "2458421", "8104930901820", (),     Reason.FORWARDED_INTERNATIONAL),
    ("forward_city",         "421", "2458421", "2123456",     ("421",), None),
    ("forward_toll_free",    "421", "2458421", "88001002030", ("421",), None),
    ("phone_302_abroad",     "421", "2458421", "8104930901820", (),     Reason.FORWARDED_INTERNATIONAL),
    ("phone_302_city",       "421", "2458421", "2123456",     ("421",), None),
    ("phone_302_toll_free",  "421", "2458421", "88001002030", ("421",), None),
    ("queue_leads_out",      None,  "2458901", "84951234567", (),       Reason.FORWARDED_LONG_DISTANCE),
    ("followed_out",         None,  "2458902", "84951234567", (),       Reason.FORWARDED_LONG_DISTANCE),
    ("passed_on_outside",    None,  "2458923", "84951234567", (),       Reason.FORWARDED_LONG_DISTANCE),
    ("forward_chain",        "900", "2458152", "900",         (),       Reason.USER_OFF),
    ("mobile_is_far",        "152", "2458152", "84951234567", (),       Reason.FORWARDED_LONG_DISTANCE),
    ("forward_to_152",       "152", "2458421", "152",         ("152",), None),
    ("phone_302_to_152",     "152", "2458421", "152",         ("152",), None),
]  # fmt: skip


#           stream                          employee answered_by    segments
TRANSFERRED = [
    ("blind_by_keys",                   "421", "421",         ("152", "421")),
    ("blind_by_phone",                  "421", "421",         ("152", "421")),
    ("blind_by_manager",                "421", "421",         ("152", "421")),
    ("blind_by_phone_to_130",           "130", "130",         ("152",)),
    ("blind_out",                       "152", "84951234567", ("152",)),
    ("blind_to_busy",                   "152", "152",         ("152",)),
    ("attended_by_keys",                "421", "421",         ("152", "421")),
    ("attended_by_keys_to_130",         "130", "130",         ("152",)),
    ("attended_by_keys_unanswered",     "421", "421",         ("152", "421")),
    ("attended_by_keys_taken_back",     "152", "152",         ("152",)),
    ("attended_by_phone",               "421", "421",         ("152", "152", "421")),  # the enquiry is a talk of its own
    ("attended_by_phone_to_130",        "130", "130",         ("152", "152")),
    ("attended_by_phone_out",           "152", "84951234567", ("152", "152")),
    ("parked_by_keys",                  "421", "421",         ("152", "421")),
    ("parked_by_phone",                 "421", "421",         ("152", "421")),
    ("picked_up",                       "421", "421",         ("421",)),
    ("asked_queue_by_keys",             "421", "421",         ("152", "421")),
    ("asked_queue_by_phone",            "421", "421",         ("152", "152", "421")),
    ("redirected_into_conference",      "152", "152",         ("152",)),
    ("through_menu_and_back",           "152", "152",         ("152", "152")),
    ("hold_and_resume",                 "152", "152",         ("152",)),
    ("caller_silent",                   "152", "152",         ("152",)),
    ("keys_in_talk",                    "152", "152",         ("152",)),
    ("badly_heard",                     "152", "152",         ("152",)),
    ("withheld",                        "152", "152",         ("152",)),
    ("hostile_caller",                  "152", "152",         ("152",)),
    ("forging_caller",                  "152", "152",         ("152",)),
]  # fmt: skip


#           stream                  src            dst        answered_by    employee segments
ELSEWHERE = [
    ("agent_takes_two", [
        ("152",         "*51",     None,          "152", ()),
        ("89131234567", "2458910", "152",         "152", ("152",)),
        ("89137654321", "2458911", "152",         "152", ("152",)),
    ]),
    ("joined_by_manager", [
        ("89131234567", "2458152", "89137654321", "152", ("152",)),
        ("89137654321", "2458421", "89131234567", "421", ("421",)),
    ]),
    ("click_returns_missed", [
        ("89131234567", "2458152", None,          "152", ()),
        ("152", "89131234567",     "89131234567", "152", ("152",)),
    ]),
    ("page_of_two", [("900", "*80", "152", "900", ("152",))]),
    ("page_of_all", [("89131234567", "2458913", "152", "152", ("152",))]),
    ("customer_in_room", [
        ("89131234567", "2458912", "8000",        "152", ("152",)),
        ("130",         "8000",    "130",         "130", ()),
        ("152",         "8000",    "152",         "152", ("152",)),
        ("421",         "8000",    "421",         "421", ("421",)),
    ]),
    ("customer_put_into_room", [
        ("421",         "8000",    "421",         "421", ("421",)),
        ("152",         "8000",    "152",         "152", ("152",)),
        ("89131234567", "2458888", "8000",        "152", ("421",)),
    ]),
    ("parked_by_manager", [("89131234567", "2458152", "421", "421", ("152", "421"))]),
]  # fmt: skip


def read_stream(name: str) -> list[Event]:
    """Return the events of a recorded stream, read as the agent reads them."""
    return read_bytes((STREAMS / f"{name}.txt").read_bytes())


def read_bytes(received: bytes) -> list[Event]:
    """Return the events in the bytes that Asterisk sent after its greeting."""
    framing, mending = Framing(), EventRepair(LAYOUTS, lambda raw: False)
    found = []
    for message in mending.feed(framing.feed(b"Asterisk Call Manager/11.0.0\r\n" + received)):
        headers = headers_of(message)
        event = read_event(headers.get("Event", ""), headers, datetime(2000, 1, 1, tzinfo=UTC))
        if event is not None:
            found.append(event)
    return found


@pytest.mark.parametrize(
    ("name", "direction", "result", "employee", "dst", "answered_by", "segments"), ROWS, ids=[row[0] for row in ROWS]
)
def test_the_row_of_a_real_call(
    name: str,
    direction: Direction,
    result: Result,
    employee: str | None,
    dst: str,
    answered_by: str | None,
    segments: tuple[str, ...],
) -> None:
    (call,) = play(read_stream(name)).calls.values()
    shown = report_of(call)
    row = (
        shown.direction,
        shown.result,
        shown.employee,
        shown.dst,
        shown.answered_by,
        tuple(segment.user for segment in shown.segments),
    )
    assert row == (direction, result, employee, dst, answered_by, segments)
    assert shown.reason is (None if segments else Reason.NOT_ANSWERED)
    assert shown.ended_at is not None
    assert shown.started_at.year > 2000  # the timestamp of Asterisk, not the time of reading


@pytest.mark.parametrize(
    ("name", "employee", "dst", "answered_by", "segments", "reason"), FORWARDED, ids=[row[0] for row in FORWARDED]
)
def test_the_row_of_a_forwarded_call(
    name: str, employee: str | None, dst: str, answered_by: str, segments: tuple[str, ...], reason: Reason | None
) -> None:
    (call,) = play(read_stream(name)).calls.values()
    shown = report_of(call)
    assert (shown.direction, shown.result) == (IN, ANSWERED)
    row = (shown.employee, shown.dst, shown.answered_by, tuple(segment.user for segment in shown.segments), shown.reason)
    assert row == (employee, dst, answered_by, segments, reason)


@pytest.mark.parametrize(("name", "employee", "answered_by", "segments"), TRANSFERRED, ids=[row[0] for row in TRANSFERRED])
def test_a_transferred_call_has_one_row(name: str, employee: str, answered_by: str, segments: tuple[str, ...]) -> None:
    rows = [report_of(call) for call in play(read_stream(name)).calls.values()]
    whole = [row for row in rows if row.merged_into is None]
    (shown,) = whole
    assert {row.merged_into for row in rows if row is not shown} <= {shown.linkedid}
    assert (shown.direction, shown.result, shown.dst) == (IN, ANSWERED, "2458152")
    assert (shown.employee, shown.answered_by, tuple(segment.user for segment in shown.segments)) == (
        employee,
        answered_by,
        segments,
    )
    assert all(row.ended_at is not None for row in rows)


def test_a_recorder_is_stale_when_its_channel_talks_with_another_party() -> None:
    """A transfer by keys: 152 heard the customer, then hears 421. A plain call needs no restart."""
    for name, expected in (("attended_by_keys", ["152"]), ("blind_by_phone", []), ("in_answered", []), ("hold_and_resume", [])):
        registry, stale = CallRegistry(), list[str]()
        for event in read_stream(name):
            call = registry.take(event)
            domain = domain_of(call, DIRECTORY) if call is not None else None
            if call is None or domain is None:
                continue
            for pending in pending_decisions(call, domain):
                call = registry.take(decision_event(call, pending, event.at)) or call
            stale += [recording.user for recording in stale_recordings(call) if recording.user not in stale]
        assert stale == expected, name


@pytest.mark.parametrize("name", ["conference_of_colleagues", "conference_with_customer"])
def test_in_a_conference_each_participant_has_a_row(name: str) -> None:
    rows = {row.src: row for row in (report_of(call) for call in play(read_stream(name)).calls.values())}
    assert len(rows) == 3
    assert all(row.result is ANSWERED and row.merged_into is None for row in rows.values())
    recorded = {src: tuple(segment.user for segment in row.segments) for src, row in rows.items()}
    assert recorded["152"] == ("152",)
    assert recorded["421"] == ("421",)


def test_a_coach_who_whispers_has_a_row_without_a_talk() -> None:
    customer, coach = (report_of(call) for call in play(read_stream("whispered")).calls.values())
    assert (customer.result, customer.employee, [segment.user for segment in customer.segments]) == (ANSWERED, "152", ["152"])
    assert (coach.direction, coach.result, coach.employee, coach.dst) == (INTERNAL, NO_ANSWER, "900", "*56152")
    assert (coach.talk_ms, coach.segments, coach.merged_into) == (0, (), None)


def test_a_call_picked_up_through_local_channels_has_one_row() -> None:
    call, code = (report_of(call) for call in play(read_stream("picked_up_through_local")).calls.values())
    assert (call.direction, call.employee, call.dst, call.answered_by) == (IN, "421", "2458928", "421")
    assert ([segment.user for segment in call.segments], code.merged_into) == (["421"], call.linkedid)


@pytest.mark.parametrize(("name", "expected"), ELSEWHERE, ids=[name for name, _ in ELSEWHERE])
def test_parties_with_calls_of_their_own_keep_their_rows(name: str, expected: list[tuple[str, str, str | None, str, Any]]) -> None:
    calls = [call for call in play(read_stream(name)).calls.values() if not call.merged_into]
    shown = [report_of(call) for call in calls]
    rows = [(row.src, row.dst, row.answered_by, row.employee, tuple(segment.user for segment in row.segments)) for row in shown]
    assert rows == expected
    for row in shown:
        assert row.ended_at is not None
        assert row.talk_ms <= (row.ended_at - row.started_at) / timedelta(milliseconds=1)


def test_a_click_is_recorded_from_the_talk_on_whatever_comes_first() -> None:
    """The telephone that answers enters its bridge before the number is dialled, or afterwards."""
    stream = read_stream("click_by_kept_local")
    entered, dialled = 7, 10
    assert isinstance(stream[entered], BridgeEntered) and isinstance(stream[dialled], DialBegan)
    late = [*stream[:entered], *stream[entered + 1 : dialled + 1], stream[entered], *stream[dialled + 1 :]]
    first, second = (play(order).calls.popitem()[1].recordings for order in (stream, late))
    assert [recording.started_at for recording in first] == [recording.started_at for recording in second] != []


def test_talks_at_the_same_time_count_once() -> None:
    """While 152 asks 421 on a second line, the customer on hold is still in the first talk."""
    (whole,) = [call for call in play(read_stream("attended_by_phone")).calls.values() if not call.merged_into]
    bridged = [channel.first_bridged_at for channel in whole.channels.values() if channel.first_bridged_at is not None]
    assert whole.ended_at is not None
    assert report_of(whole).talk_ms == pytest.approx((whole.ended_at - min(bridged)) / timedelta(milliseconds=1), abs=50)


@pytest.mark.parametrize("name", ["parked_by_keys", "parked_by_manager"])
def test_the_announcement_of_a_parking_space_is_not_recorded(name: str) -> None:
    events, registry = list(read_stream(name)), CallRegistry()
    parked = next(event for event in events if isinstance(event, HoldingEntered))
    for event in events[: events.index(parked) + 1]:
        before, after = registry.fold(event)
        planned = plan(before, after, event, DIRECTORY)
        for caused in (caused for effect in planned for caused in effect.events):
            registry.take(caused)
    assert [type(effect) for effect in planned] == [StopRecorder, ReportCall]


def test_a_callers_name_has_no_escapes() -> None:
    (call,) = play(read_stream("in_named")).calls.values()
    shown = report_of(call)
    assert shown.src_name == 'Пётр "Ё" <x>; $(id)'
