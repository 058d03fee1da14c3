"""A call of several companies: the rows of each, and nothing of one in the rows of the others."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call
from agent.calls.events import DialBegan, Event, Held
from agent.calls.fold_dials import MAX_DIALS
from agent.reporting.call_report import report
from agent.rules.companies import as_seen_by, domains_of, of_domain
from agent.rules.directory import Directory
from agent.rules.on_demand_rules import OnDemandPlan, plan_request
from fonoteka.core.agent_protocol import Refusal
from fonoteka.core.call_report import Action, CallReport
from fonoteka.core.domains import Domain, DomainSettings, RecordRule, User
from tests.unit.agent.calls.test_recorded_streams import STREAMS, read_stream
from tests.unit.agent.fixtures import ACME, at, events, play

# The users of the recorded streams are of two companies: 421 is globex's, by another login.
_OURS = tuple(user for user in ACME.users if user.login != "421")
_THEIRS = User(login="g1", name="Тайна", extension="421", endpoints=("PJSIP/acme-421",), record=RecordRule.ALL)
SPLIT_ACME = replace(ACME, users=_OURS, numbers=tuple(number for number in ACME.numbers if number != "2458421"))
GLOBEX = Domain(name="globex", country="RU", area_codes=("391",), users=(_THEIRS,), numbers=("2458421",))
SPLIT = Directory(settings=DomainSettings(version=1, domains=(SPLIT_ACME, GLOBEX)))
TRUNKS = replace(SPLIT, trunks=frozenset({"PJSIP/trunk"}))

#   stream: domain direction result employee src dst answered_by users of the segments
ROWS: Final[dict[str, tuple[str, ...]]] = {
    "attended_by_keys": (
        "acme in answered 152 89131234567 2458152 2458421 152",
        "globex in answered g1 89131234567 421 421 g1",
    ),
    "attended_by_keys_taken_back": (
        "acme in answered 152 89131234567 2458152 152 152",
        "globex in answered g1 89131234567 421 421 g1",
    ),
    "attended_by_keys_to_130": ("acme in answered 130 89131234567 2458152 130 152",),
    "attended_by_keys_unanswered": (
        "acme in answered 152 89131234567 2458152 2458421 152,152",
        "globex in answered g1 89131234567 421 421 g1",
    ),
    "attended_by_phone": (
        "acme in answered 152 89131234567 2458152 421 152,152",
        "globex in answered g1 2458152 421 421 g1",
    ),
    "attended_by_phone_out": ("acme in answered 152 89131234567 2458152 84951234567 152,152",),
    "attended_by_phone_taken_back": (
        "acme in answered 152 89131234567 2458152 152 152",
        "acme out answered 152 152 421 421 152",
        "globex in answered g1 2458152 421 421 g1",
    ),
    "attended_by_phone_to_130": ("acme in answered 130 89131234567 2458152 130 152,152",),
    "badly_heard": ("acme in answered 152 89131234567 2458152 152 152",),
    "blind_by_keys": (
        "acme in answered 152 89131234567 2458152 421 152,152",
        "globex in answered g1 89131234567 421 421 g1",
    ),
    "blind_by_manager": (
        "acme in answered 152 89131234567 2458152 421 152,152",
        "globex in answered g1 89131234567 421 421 g1",
    ),
    "blind_by_phone": (
        "acme in answered 152 89131234567 2458152 421 152,152",
        "globex in answered g1 89131234567 421 421 g1",
    ),
    "blind_by_phone_to_130": ("acme in answered 130 89131234567 2458152 130 152",),
    "blind_out": ("acme in answered 152 89131234567 2458152 84951234567 152",),
    "blind_to_busy": (
        "acme in answered 152 89131234567 2458152 152 152",
        "globex in busy g1 89131234567 421 None -",
    ),
    "caller_silent": ("acme in answered 152 89131234567 2458152 152 152",),
    "conference_of_colleagues": (
        "acme internal answered 152 152 8000 152 152",
        "globex internal answered g1 421 8000 421 g1",
        "acme internal answered 130 130 8000 130 -",
    ),
    "conference_with_customer": (
        "acme in answered 152 89131234567 2458152 152 152,152",
        "acme internal answered 152 152 8000 152 152",
        "globex internal answered g1 421 8000 421 g1",
    ),
    "followed_out": (),
    "forging_caller": ("acme in answered 152 89131234567 2458152 152 152",),
    "forward_abroad": ("globex in answered g1 89131234567 2458421 8104930901820 -",),
    "forward_always": ("globex in answered g1 89131234567 2458421 84951234567 -",),
    "forward_busy": ("globex in answered g1 89131234567 2458421 84951234567 -",),
    "forward_city": ("globex in answered g1 89131234567 2458421 2123456 g1",),
    "forward_no_answer": ("globex in answered g1 89131234567 2458421 84951234567 -",),
    "forward_to_152": (
        "globex in answered g1 89131234567 2458421 2458152 g1",
        "acme in answered 152 89131234567 152 152 152",
    ),
    "forward_toll_free": ("globex in answered g1 89131234567 2458421 88001002030 g1",),
    "group_130_busy": ("acme in answered 152 89131234567 2458800 152 152",),
    "group_152_answers": ("acme in answered 152 89131234567 2458800 152 152",),
    "group_given_up": ("acme in no_answer None 89131234567 2458800 None -",),
    "hold_and_resume": ("acme in answered 152 89131234567 2458152 152 152",),
    "hold_and_resume_anew": ("acme in answered 152 89131234567 2458152 152 152",),
    "hostile_caller": ("acme in answered 152 89131234567 2458152 152 152",),
    "in_absent": ("acme in other None 89131234567 2458152 None -",),
    "in_answered": ("acme in answered 152 89131234567 2458152 152 152",),
    "in_busy": ("acme in busy 152 89131234567 2458152 None -",),
    "in_given_up": ("acme in no_answer 152 89131234567 2458152 None -",),
    "in_named": ("acme in answered 152 89131234567 2458152 152 152",),
    "in_no_answer": ("acme in no_answer 152 89131234567 2458152 None -",),
    "in_refused": ("acme in busy 152 89131234567 2458152 None -",),
    "in_unavailable": ("acme in no_answer 152 89131234567 2458152 None -",),
    "internal": (
        "acme out answered 152 152 421 421 152",
        "globex in answered g1 2458152 421 421 g1",
    ),
    "internal_busy": (
        "acme out busy 152 152 421 None -",
        "globex in busy g1 2458152 421 None -",
    ),
    "keys_in_talk": ("acme in answered 152 89131234567 2458152 152 152",),
    "menu_hung_up": ("acme in no_answer None 89131234567 2458888 None -",),
    "menu_then_152": ("acme in answered 152 89131234567 2458888 152 152",),
    "out_404": ("acme out other 152 152 84951234567 None -",),
    "out_503": ("acme out other 152 152 84951234567 None -",),
    "out_abroad": ("acme out answered 152 152 8104930901820 8104930901820 152",),
    "out_busy": ("acme out busy 152 152 84951234567 None -",),
    "out_city": ("acme out answered 152 152 2123456 2123456 152",),
    "out_given_up": ("acme out no_answer 152 152 84951234567 None -",),
    "out_long_distance": ("acme out answered 152 152 84951234567 84951234567 152",),
    "out_mobile": ("acme out answered 152 152 89131234567 89131234567 152",),
    "parked_by_keys": (
        "acme in answered 152 89131234567 2458152 2458421 152",
        "globex in answered g1 89131234567 421 421 g1",
    ),
    "parked_by_phone": (
        "acme in answered 152 89131234567 2458152 2458421 152",
        "globex in answered g1 89131234567 421 421 g1",
    ),
    "phone_302": ("globex in answered g1 89131234567 2458421 84951234567 -",),
    "phone_302_abroad": ("globex in answered g1 89131234567 2458421 8104930901820 -",),
    "phone_302_city": ("globex in answered g1 89131234567 2458421 2123456 g1",),
    "phone_302_to_152": (
        "globex in answered g1 89131234567 2458421 152 g1",
        "acme in answered 152 89131234567 152 152 152",
    ),
    "phone_302_toll_free": ("globex in answered g1 89131234567 2458421 88001002030 g1",),
    "picked_up": (
        "acme in answered 152 89131234567 2458152 2458421 -",
        "globex in answered g1 89131234567 421 421 g1",
    ),
    "queue_421_answers": (
        "globex in answered g1 89131234567 2458900 421 g1",
        "acme in no_answer 152 89131234567 152 None -",
    ),
    "queue_given_up": (
        "globex in no_answer g1 89131234567 2458900 None -",
        "acme in no_answer 152 89131234567 152 None -",
    ),
    "queue_leads_out": (),
    "wideband": (
        "acme out answered 152 152 421 421 152",
        "globex in answered g1 2458152 421 421 g1",
    ),
    "wideband_from_outside": ("globex in answered g1 89131234567 2458421 421 g1",),
    "withheld": ("acme in answered 152 anonymous 2458152 152 152",),
    "agent_takes_two": (
        "acme internal no_answer 152 152 *51 None -",
        "acme in answered 152 89131234567 2458910 152 152",
        "acme in answered 152 89137654321 2458911 152 152",
    ),
    "customer_in_room": (
        "acme in answered 152 89131234567 2458912 8000 152",
        "acme internal answered 130 130 8000 130 -",
        "acme internal answered 152 152 8000 152 152",
        "globex internal answered g1 421 8000 421 g1",
    ),
    "customer_put_into_room": (
        "globex internal answered g1 421 8000 421 g1",
        "acme internal answered 152 152 8000 152 152",
        "acme in answered 152 89131234567 2458888 8000 152",
    ),
    "joined_by_manager": (
        "acme in answered 152 89131234567 2458152 89137654321 152",
        "globex in answered g1 89137654321 2458421 89131234567 g1",
    ),
    "page_of_all": (
        "acme in answered 152 89131234567 2458913 152 152",
        "globex in answered g1 89131234567 421 421 g1",
    ),
    "page_of_two": (
        "acme internal answered 900 900 *80 152 152",
        "globex in answered g1 2458152 421 421 -",
    ),
    "parked_by_manager": (
        "acme in answered 152 89131234567 2458152 2458421 152",
        "globex in answered g1 89131234567 421 421 g1",
    ),
    "accepted": (
        "acme in answered 152 89131234567 2458922 152 152",
    ),
    "asked_queue_by_keys": (
        "acme in answered 152 89131234567 2458152 2458421 152",
        "globex in answered g1 89131234567 421 421 g1",
    ),
    "asked_queue_by_phone": (
        "acme in answered 152 89131234567 2458152 8002 152,152",
        "globex in answered g1 2458152 421 421 g1",
    ),
    "directly": (
        "acme out answered 777 777 6421 6421 -",
        "globex in answered g1 2458777 421 421 g1",
    ),
    "forward_chain": (
        "acme in answered 900 89131234567 2458152 900 -",
    ),
    "gone_on_to_421": (
        "acme in answered 152 89131234567 2458924 2458421 152",
        "globex in answered g1 89131234567 421 421 g1",
    ),
    "group_of_local": (
        "globex in answered g1 89131234567 2458920 421 g1",
        "acme in no_answer 152 89131234567 152 None -",
    ),
    "joined_by_program": (
        "acme in answered 152 89131234567 2458926 152 152",
    ),
    "met_by_dial": (
        "acme in answered 152 89131234567 2458925 152 152",
    ),
    "not_accepted": (
        "acme in no_answer 152 89131234567 2458922 None -",
    ),
    "picked_up_through_local": (
        "acme in answered 152 89131234567 2458928 2458421 -",
        "globex in answered g1 89131234567 421 421 g1",
    ),
    "queue_of_local": (
        "globex in answered g1 89131234567 2458921 421 g1",
        "acme in no_answer 152 89131234567 152 None -",
    ),
    "redirected_into_conference": (
        "acme in answered 152 89131234567 2458152 152 152",
    ),
    "second_telephone": (
        "globex in answered g1 89131234567 2458927 421 g1",
    ),
    "through_menu_and_back": (
        "acme in answered 152 89131234567 2458152 152 152,152",
    ),
    "whispered": (
        "acme in answered 152 89131234567 2458152 152 152",
        "acme internal no_answer 900 900 *56152 None -",
    ),
    "passed_on_outside": (),
    "callback_busy": ("acme out busy None 2458888 89131234567 None -",),
    "callback_busy_by_account": ("acme out busy None  89131234567 None -",),
    "callback_busy_by_local": ("acme out busy None 2458888 89131234567 None -",),
    "callback_by_kept_local": ("acme out answered 152 152 89131234567 89131234567 152",),
    "callback_by_local": ("acme out answered 152 152 89131234567 89131234567 152",),
    "callback_by_trunk": ("acme out answered 152 152 89131234567 89131234567 152",),
    "callback_into_group": ("acme out answered 152 152 89131234567 89131234567 152",),
    "callback_not_taken": ("acme out no_answer 152 152 89131234567 None -",),
    "click_busy": ("acme out busy 152 152 84951234567 None -",),
    "click_by_kept_local": ("acme out answered 152 152 84951234567 84951234567 152",),
    "click_by_local": ("acme out answered 152 152 84951234567 84951234567 152",),
    "click_by_telephone": ("acme out answered 152 152 84951234567 84951234567 152",),
    "click_refused_by_caller": ("acme internal busy 152 152  None -",),
    "click_returns_missed": (
        "acme in busy 152 89131234567 2458152 None -",
        "acme out answered 152 152 89131234567 89131234567 152",
    ),
    "click_to_colleague": (
        "acme out answered 152 152 2458421 2458421 152",
        "globex in answered g1 2458152 421 421 g1",
    ),
    "click_to_unrecorded": ("acme internal answered 152 152 130 130 152",),
    "click_unanswered": ("acme out no_answer 152 152 84951234567 None -",),
    "click_unanswered_kept": ("acme out no_answer 152 152 84951234567 None -",),
    "code_forward": ("acme internal no_answer 152 152 *21*89131234567 None -",),
    "code_intercom": ("acme internal no_answer 152 152 *55152 None -",),
    "code_pick_up": ("acme internal busy 152 152 *8 None -",),
    "code_queue": ("acme internal no_answer 152 152 *45 None -",),
    "mobile_answers": ("acme in answered 152 89131234567 2458152 89139998877 152",),
    "mobile_answers_by_local": ("acme in answered 152 89131234567 2458152 89139998877 152",),
    "mobile_first": ("acme in answered 152 89131234567 2458152 89139998877 152",),
    "mobile_is_far": ("acme in answered 152 89131234567 2458152 84951234567 -",),
    "mobile_not_answered": ("acme in answered 152 89131234567 2458152 152 152",),
    "voicemail_after_no_answer": ("acme in no_answer 152 89131234567 2458152 None -",),
    "voicemail_after_refusal": ("acme in busy 152 89131234567 2458152 None -",),
}  # fmt: skip


def reports_of(call: Call, directory: Directory) -> dict[str, CallReport]:
    """The report of a call for each company, by its name."""
    seen = {domain.settings.name: (as_seen_by(call, domain, directory), domain) for domain in domains_of(call, directory)}
    return {name: report(view, domain, "pbx1") for name, (view, domain) in seen.items()}


def row(shown: CallReport) -> str:
    users = ",".join(segment.user for segment in shown.segments) or "-"
    fields = (shown.domain, shown.direction, shown.result, shown.employee, shown.src, shown.dst, shown.answered_by, users)
    return " ".join(map(str, fields))


def test_the_table_has_every_stream() -> None:
    assert sorted(ROWS) == sorted(path.stem for path in STREAMS.glob("*.txt"))


@pytest.mark.parametrize("directory", [SPLIT, TRUNKS], ids=["any endpoint leads outside", "trunks"])
@pytest.mark.parametrize("name", ROWS)
def test_the_rows_of_all_companies_of_a_real_call(name: str, directory: Directory) -> None:
    calls = [call for call in play(read_stream(name), directory).calls.values() if not call.merged_into]
    shown = [each for call in calls for each in reports_of(call, directory).values()]
    assert tuple(map(row, shown)) == ROWS[name]
    for each in shown:
        at_end = [step.at for step in each.path]
        assert at_end == sorted(at_end) and each.ended_at is not None and at_end[-1] <= each.ended_at
        assert each.talk_ms <= (each.ended_at - each.started_at) / timedelta(milliseconds=1) + 5000
        others = {"acme": ("g1", "Тайна"), "globex": ("152", "130", "User")}[each.domain]
        logins = {*each.participants, each.employee, *(segment.user for segment in each.segments)}
        assert logins.isdisjoint(others)


def test_a_queue_is_of_the_company_whose_number_was_dialled() -> None:
    ours = replace(SPLIT_ACME, numbers=(*SPLIT_ACME.numbers, "2458900"))
    directory = Directory(settings=DomainSettings(version=1, domains=(ours, GLOBEX)))
    (call,) = play(read_stream("queue_421_answers"), directory).calls.values()
    assert {name: shown.queue for name, shown in reports_of(call, directory).items()} == {"acme": "acme", "globex": None}


def words(shown: CallReport) -> set[str]:
    """Every text in a report."""
    found: set[str] = set()

    def gather(value: object) -> None:
        if isinstance(value, dict):
            for each in value.values():
                gather(each)
        elif isinstance(value, list):
            for each in value:
                gather(each)
        elif isinstance(value, str):
            found.add(value)

    gather(TypeAdapter(CallReport).dump_python(shown, mode="json"))
    return found


# A company whose numbers inside are all its own. 2459000 is its number; it records 31 and 33.
_INSIDE = {"31": RecordRule.ALL, "32": RecordRule.OFF, "33": RecordRule.ALL}
INITECH = Domain(
    name="initech",
    country="RU",
    area_codes=("391",),
    users=tuple(
        User(login=f"i{inner}", name=f"Name{inner}", extension=inner, endpoints=(f"PJSIP/initech-{inner}",), record=rule)
        for inner, rule in _INSIDE.items()
    ),
    numbers=("2459000",),
)
THREE = Directory(settings=DomainSettings(version=1, domains=(ACME, INITECH, GLOBEX)), trunks=frozenset({"PJSIP/trunk"}))
OURS = {*(user.name for user in ACME.users), "PJSIP/acme-152", "PJSIP/acme-421"}
THEIRS = {"31", "32", "33", "i31", "i32", "i33", "Name31", "PJSIP/initech-31", "PJSIP/initech-32"}
_CALLS = "0 start a PJSIP/acme-152-1 2459000 152\n1 start b PJSIP/initech-31-2\n1 ring a b initech-31\n"
_TALK = "3 rung a b ANSWER\n3 enter a x\n3 enter b x\n"
_FROM_OUTSIDE = "0 start t PJSIP/trunk-1 2458152 89131234567\n1 start a PJSIP/acme-152-2\n1 ring t a acme-152\n"
_FROM_OUTSIDE += "2 rung t a ANSWER\n2 enter t x\n2 enter a x\n"

# What happens; the rows of acme and of initech, the path of each.
TABLES: Final[dict[str, tuple[str, tuple[str, ...], dict[str, str]]]] = {
    "a call that is answered": (
        _CALLS + _TALK + "9 end b\n9 end a",
        ("acme out answered 152 152 2459000 2459000 152", "initech in answered i31 2458152 2459000 31 i31"),
        {
            "acme": "arrive 2459000, ring 2459000, answer 2459000, record 152, leave 2459000, end ",
            "initech": "arrive 2459000, ring 31, answer 31, record 31, leave 31, end ",
        },
    ),
    "to a group, whose second answers": (
        _CALLS + "1 start c PJSIP/initech-32-3\n1 ring a c initech-32\n2 rung a b CANCEL\n2 end b\n3 rung a c ANSWER\n"
        "3 enter a x\n3 enter c x\n9 end c\n9 end a",
        ("acme out answered 152 152 2459000 2459000 152", "initech in answered i32 2458152 2459000 32 -"),
        {
            "acme": "arrive 2459000, ring 2459000, answer 2459000, record 152, leave 2459000, end ",
            "initech": "arrive 2459000, ring 31, ring 32, answer 32, no_record 32, leave 32, end ",
        },
    ),
    "which nobody answers": (
        _CALLS + "7 rung a b NOANSWER\n7 end b 19\n7 end a",
        ("acme out no_answer 152 152 2459000 None -", "initech in no_answer i31 2458152 2459000 None -"),
        {"acme": "arrive 2459000, ring 2459000, no_answer 2459000, end ", "initech": "arrive 2459000, ring 31, no_answer 31, end "},
    ),
    "which is forwarded to a mobile": (
        _CALLS + "3 rung a b NOANSWER\n3 end b 19\n3 start m PJSIP/trunk-3\n3 ring a m 89130000000\n4 rung a m ANSWER\n"
        "4 enter a x\n4 enter m x\n9 end m\n9 end a",
        ("acme out answered 152 152 2459000 2459000 152", "initech in answered i31 2458152 2459000 89130000000 i31"),
        {
            "acme": "arrive 2459000, ring 2459000, answer 2459000, record 152, leave 2459000, end ",
            "initech": "arrive 2459000, ring 31, no_answer 31, forward 89130000000<31, ring 89130000000, "
            "answer 89130000000, record 31, leave 89130000000, end ",
        },
    ),
    "which is transferred inside the other company": (
        _CALLS + _TALK + "5 blind b 33\n5 leave b x\n5 end b\n6 start c PJSIP/initech-33-4\n6 ring a c initech-33\n"
        "7 rung a c ANSWER\n7 enter a y\n7 enter c y\n9 end c\n9 end a",
        ("acme out answered 152 152 2459000 2459000 152", "initech in answered i33 2458152 2459000 33 i31,i33"),
        {
            "acme": "arrive 2459000, ring 2459000, answer 2459000, record 152, leave 2459000, end ",
            "initech": "arrive 2459000, ring 31, answer 31, record 31, transfer 33<31, "
            "ring 33, answer 33, record 33, leave 33, end ",
        },
    ),
    "a customer whom acme transfers": (
        _FROM_OUTSIDE + "5 blind a 2459000\n5 leave a x\n5 end a\n6 start b PJSIP/initech-31-3\n6 ring t b initech-31\n"
        "7 rung t b ANSWER\n7 enter t y\n7 enter b y\n9 end b\n9 end t",
        ("acme in answered 152 89131234567 2458152 2459000 152,152", "initech in answered i31 2458152 2459000 31 i31"),
        {
            "acme": "arrive 2458152, ring 152, answer 152, record 152, transfer 2459000<152, ring 2459000, answer 2459000, "
            "leave 2459000, end ",
            "initech": "arrive 2459000, ring 31, answer 31, record 31, leave 31, end ",
        },
    ),
    "a menu of the other company": (
        "0 start a PJSIP/acme-152-1 2459000 152\n7 end a",
        ("acme out no_answer 152 152 2459000 None -", "initech in no_answer None 2458152 2459000 None -"),
        {"acme": "arrive 2459000, end ", "initech": "arrive 2459000, end "},
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_each_company_s_row_shows_its_part_alone(name: str) -> None:
    table, expected, paths = TABLES[name]
    (call,) = play(events(table), THREE).calls.values()
    shown = reports_of(call, THREE)
    assert tuple(map(row, shown.values())) == expected
    for company, path in paths.items():
        steps = (f"{step.what} {step.who}{'<' + step.by if step.by else ''}" for step in shown[company].path)
        assert ", ".join(steps) == path, company
    assert words(shown["acme"]).isdisjoint(THEIRS)
    assert words(shown["initech"]).isdisjoint(OURS | {"152", "421", "130"})


def test_while_they_talk_each_company_sees_the_other_as_one_number() -> None:
    conference = _CALLS + _TALK + "4 start c PJSIP/initech-33-4\n4 enter c x"
    (call,) = play(events(conference), THREE).calls.values()
    parties = {
        name: [(party.who, party.login) for party in shown.live.parties] if shown.live is not None else None
        for name, shown in reports_of(call, THREE).items()
    }
    ours = [("152", "152"), ("2459000", None)]
    assert parties == {"acme": ours, "initech": [("2458152", None), ("31", "i31"), ("33", "i33")]}
    sides = {name: [side.user for side in shown.live.sides] for name, shown in reports_of(call, THREE).items() if shown.live}
    assert sides == {"acme": ["152"], "initech": ["i31", "i33"]}


def test_each_company_records_and_stops_its_own_recording_alone() -> None:
    (call,) = play(events(_CALLS + _TALK), THREE).calls.values()
    recorded = [(recording.user, recording.domain, recording.uniqueid) for recording in call.recordings]
    assert recorded == [("152", "acme", "a"), ("i31", "initech", "b")]
    for domain in domains_of(call, THREE):
        stopped = plan_request(of_domain(call, domain, THREE), domain, Action.STOP, None)
        assert isinstance(stopped, OnDemandPlan)
        assert [(stop.recording.domain) for stop in stopped.stop] == [domain.settings.name]
        foreign = {"acme": "i31", "initech": "152"}[domain.settings.name]
        assert plan_request(of_domain(call, domain, THREE), domain, Action.PAUSE, foreign) is Refusal.NOT_TALKING


# The dialplan of initech rings at the extensions of acme's 421 and 152: both companies have such.
SAME: Final = replace(
    INITECH, users=tuple(replace(user, extension=inner) for user, inner in zip(INITECH.users, ("421", "152", "130"), strict=True))
)
COLLIDING: Final = Directory(settings=DomainSettings(version=1, domains=(ACME, SAME)), trunks=frozenset({"PJSIP/trunk"}))


def at_extension(table: str, exten: str) -> list[Event]:
    """Return the events of a table, whose dials are at an extension of the dialplan."""
    return [replace(each, exten=exten) if isinstance(each, DialBegan) else each for each in events(table)]


def test_an_extension_that_both_companies_have_is_not_taken_for_the_own_one() -> None:
    """130 of acme is not recorded, though acme has a 421 who is."""
    table = _CALLS.replace("acme-152", "acme-130") + _TALK.replace("3 rung", "2 rung")
    (call,) = play(at_extension(table + "9 end b\n9 end a", "421"), COLLIDING).calls.values()
    ours, theirs = map(row, reports_of(call, COLLIDING).values())
    assert ours == "acme out answered 130 130 2459000 2459000 -"
    assert theirs == "initech in answered i31 2458152 2459000 421 i31"


def test_a_forward_in_the_other_company_that_rings_no_telephone_of_it_is_its_own() -> None:
    table = (
        "0 start a PJSIP/acme-130-1 2459000 130\n1 start m PJSIP/trunk-2\n1 ring a m 89130000000\n3 rung a m ANSWER\n"
        "3 enter a x\n3 enter m x\n9 end m\n9 end a"
    )
    (call,) = play(at_extension(table, "421"), COLLIDING).calls.values()
    ours, theirs = map(row, reports_of(call, COLLIDING).values())
    assert ours == "acme out answered 130 130 2459000 2459000 -"
    assert theirs == "initech in answered i31 2458152 2459000 89130000000 i31"
    (left,) = play(at_extension(table, "2459000"), COLLIDING).calls.values()
    assert list(reports_of(left, COLLIDING)) == ["acme"], "by the trunk it comes back as a call of its own"


def test_a_company_keeps_its_row_of_a_call_that_rings_others_for_an_hour() -> None:
    """Old dials are dropped; a row that is no longer reported would never end."""
    lines = [
        "0 start t PJSIP/trunk-1 2458152 8913",
        "1 start g PJSIP/initech-31-2",
        "1 ring t g",
        "2 rung t g NOANSWER",
        "2 end g 19",
    ]
    for turn in range(2 * MAX_DIALS):
        lines += [f"{turn + 3} start p{turn} PJSIP/acme-152-{turn}", f"{turn + 3} ring t p{turn}"]
        lines += [f"{turn + 3.5} rung t p{turn} NOANSWER", f"{turn + 3.5} end p{turn} 19"]
    registry = CallRegistry(is_user=THREE.is_user)
    for happened in events("\n".join((*lines, f"{2 * MAX_DIALS + 3} end t"))):
        registry.take(happened)
    (call,) = registry.calls.values()
    assert len(call.dials) <= MAX_DIALS
    shown = reports_of(call, THREE)
    assert list(shown) == ["acme", "initech"]
    assert shown["initech"].ended_at is not None


def test_a_hold_inside_the_other_company_is_none_of_ours() -> None:
    registry = play(events(_CALLS + _TALK), THREE)
    registry.take(Held(at=at(4), linkedid="1", uniqueid="b", on=True))
    registry.take(Held(at=at(5), linkedid="1", uniqueid="b", on=False))
    (call,) = registry.calls.values()
    steps = {name: [step.what for step in shown.path] for name, shown in reports_of(call, THREE).items()}
    assert ("hold" in steps["acme"], "hold" in steps["initech"]) == (False, True)


REAL: Final = st.sampled_from([name for name, rows in ROWS.items() if len(rows) > 1])


@settings(max_examples=60, deadline=None)
@given(name=REAL, random=st.randoms(use_true_random=False), cut=st.floats(0.1, 1))
def test_any_order_and_any_loss_of_events_gives_rows_that_name_no_other_company(name: str, random: object, cut: float) -> None:
    stream = read_stream(name)
    kept = [happened for happened in stream if random.random() < cut]  # type: ignore[attr-defined]
    order = sorted(kept, key=lambda happened: happened.at.timestamp() + random.random())  # type: ignore[attr-defined]
    registry: CallRegistry = play(order + kept[:3], SPLIT)
    for call in registry.calls.values():
        for company, shown in reports_of(call, SPLIT).items():
            assert words(shown).isdisjoint({"g1", "Тайна", "PJSIP/acme-421"} if company == "acme" else {"PJSIP/acme-152"})
            assert call.ended_at is None or shown.ended_at is not None
