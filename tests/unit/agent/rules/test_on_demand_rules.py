"""Which requests about a recording are allowed, and what is done for them, as tables."""

from dataclasses import replace

import pytest

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call, Mute, PendingDecision
from agent.calls.decision_events import decision_event
from agent.calls.events import Event, RecordingClosed, RecordingEnding, RecordingMuted
from agent.recording.manifest import make_manifest
from agent.rules.directory import DomainIndex
from agent.rules.on_demand_rules import MAX_REQUESTS_PER_CALL, OnDemandPlan, action_of_key, plan_request
from agent.rules.parties import domain_of
from agent.rules.recording_rules import pending_decisions
from fonoteka.core.agent_protocol import Refusal
from fonoteka.core.call_report import Action, MutedSpan, Reason, RecorderState
from tests.unit.agent.fixtures import DIRECTORY, at, events, play, report_of

START, STOP, PAUSE, RESUME = Action
ON, PAUSED, OFF = RecorderState


def talk(who: str, *more: str) -> str:
    """The trunk calls a user, and the user answers after a second."""
    return "\n".join(
        (
            f"0.0 start t PJSIP/trunk-1 2458{who} 89131234567",
            f"0.1 start p PJSIP/acme-{who}-2 s",
            f"0.1 ring t p acme-{who}",
            "1.0 rung t p ANSWER",
            "1.0 enter p B",
            "1.0 enter t B",
            *more,
        )
    )


def internal(caller: str, callee: str, *more: str) -> str:
    """One user calls another."""
    return "\n".join(
        (
            f"0.0 start t PJSIP/acme-{caller}-1 {callee} {caller}",
            f"0.1 start p PJSIP/acme-{callee}-2 s",
            f"0.1 ring t p acme-{callee}",
            "1.0 rung t p ANSWER",
            "1.0 enter p B",
            "1.0 enter t B",
            *more,
        )
    )


FORWARDED = """
0.0 start t PJSIP/trunk-1 2458777 89131234567
0.1 start p PJSIP/acme-777-2 s
0.1 ring t p acme-777
0.5 start a Local/84951234567@out-3;1 84951234567
0.5 start b Local/84951234567@out-3;2 84951234567
0.5 rung t p NOANSWER 84951234567
0.5 ring t a 84951234567
0.6 start o PJSIP/trunk-4 s
0.6 ring b o 84951234567
1.0 rung b o ANSWER
1.0 rung t a ANSWER
1.0 enter o L
1.0 enter b L
1.0 enter a B
1.0 enter t B
"""


class Requests:
    """A registry that takes requests, as the agent does without the I/O."""

    def __init__(self, table: str) -> None:
        self.registry = play(events(table))

    @property
    def call(self) -> Call:
        (call,) = self.registry.calls.values()
        return call

    @property
    def domain(self) -> DomainIndex:
        domain = domain_of(self.call, DIRECTORY)
        assert domain is not None
        return domain

    def take(self, *happened: Event) -> None:
        for event in happened:
            call = self.registry.take(event)
            for pending in pending_decisions(call, self.domain) if call is not None else ():
                self.registry.take(decision_event(self.call, pending, event.at))

    def ask(self, action: Action, login: str | None, at_s: float) -> Refusal | None:
        plan = plan_request(self.call, self.domain, action, login)
        if isinstance(plan, Refusal):
            return plan
        self.perform(plan, at_s)
        return None

    def perform(self, plan: OnDemandPlan, at_s: float) -> None:
        when = at(at_s)
        for pending in (*plan.start, *plan.refuse):
            self.registry.take(decision_event(self.call, pending, when))
        for ending in plan.stop:
            segment = ending.recording.segment
            self.take(RecordingEnding(at=when, linkedid="1", segment=segment, reason=ending.reason))
            self.take(RecordingClosed(at=when, linkedid="1", segment=segment, started_at=None))
        for muted, recordings in ((True, plan.pause), (False, plan.resume)):
            self.take(*(RecordingMuted(at=when, linkedid="1", segment=recording.segment, muted=muted) for recording in recordings))

    def sides(self) -> dict[str, tuple[RecorderState, Reason | None, bool, bool]]:
        live = report_of(self.call).live
        assert live is not None
        return {side.user: (side.recorder, side.reason, side.may_start, side.may_stop) for side in live.sides}

    def segments(self) -> list[tuple[str, Reason | None]]:
        return [(segment.user, segment.reason) for segment in report_of(self.call).segments]


NOT_ASKED = Reason.ON_DEMAND_NOT_ASKED
SIDES = {
    "recorded by rule": (talk("152"), {"152": (ON, None, False, False)}),
    "not asked": (talk("777"), {"777": (OFF, NOT_ASKED, True, False)}),
    "off": (talk("130"), {"130": (OFF, Reason.USER_OFF, False, False)}),
    "the other direction": (talk("600"), {"600": (OFF, Reason.DIRECTION_OFF, False, False)}),
    "both recorded: one recording": (internal("152", "421"), {"152": (ON, None, False, False), "421": (ON, None, False, False)}),
    "off and recorded": (internal("130", "152"), {"130": (OFF, Reason.USER_OFF, False, False), "152": (ON, None, False, False)}),
    "not asked, but a colleague's setting records": (
        internal("777", "152"),
        {"777": (ON, None, False, False), "152": (ON, None, False, False)},
    ),
    "forwarded to long distance": (FORWARDED, {"777": (OFF, Reason.FORWARDED_LONG_DISTANCE, False, False)}),
    "ringing": ("\n".join(talk("777").splitlines()[:3]), {}),
}


@pytest.mark.parametrize(("table", "sides"), SIDES.values(), ids=SIDES.keys())
def test_the_status_of_each_side(table: str, sides: dict[str, tuple[RecorderState, Reason | None, bool, bool]]) -> None:
    assert Requests(table).sides() == sides


def test_the_parties_of_a_talk_and_its_beginning() -> None:
    live = report_of(Requests(talk("152")).call).live
    assert live is not None
    assert [(party.who, party.login) for party in live.parties] == [("89131234567", None), ("152", "152")]
    assert live.talking_since == at(1.0)
    ringing = report_of(Requests("\n".join(talk("777").splitlines()[:3])).call).live
    assert ringing is not None and (ringing.parties, ringing.talking_since) == ((), None)
    assert report_of(Requests(talk("152", "5 end t", "5 end p")).call).live is None


REFUSED = {
    "over": (talk("777", "5 end t", "5 end p"), START, "777", Refusal.CALL_IS_OVER),
    "nobody talks yet": ("\n".join(talk("777").splitlines()[:3]), START, "777", Refusal.NOT_TALKING),
    "of another user": (talk("777"), START, "152", Refusal.NOT_TALKING),
    "off stays off": (talk("130"), START, "130", Refusal.RECORDING_IS_OFF),
    "off stays off for an administrator too": (talk("130"), START, None, Refusal.RECORDING_IS_OFF),
    "the other direction stays off": (talk("600"), START, None, Refusal.RECORDING_IS_OFF),
    "forwarded far away": (FORWARDED, START, "777", Refusal.NEVER_RECORDED),
    "forwarded far away, administrator": (FORWARDED, START, None, Refusal.NEVER_RECORDED),
    "recorded already": (talk("152"), START, "152", Refusal.ALREADY_RECORDING),
    "recorded by a colleague's setting": (internal("777", "152"), START, "777", Refusal.ALREADY_RECORDING),
    "a setting is not stopped by its user": (talk("152"), STOP, "152", Refusal.RECORDED_BY_RULE),
    "nor a colleague's": (internal("777", "152"), STOP, "777", Refusal.RECORDED_BY_RULE),
    "nothing to stop": (talk("777"), STOP, "777", Refusal.NOT_RECORDING),
    "nothing to stop, administrator": (talk("777"), STOP, None, Refusal.NOT_RECORDING),
    "nothing to pause": (talk("777"), PAUSE, "777", Refusal.NOT_RECORDING),
    "who is off has no part in a colleague's": (internal("130", "152"), PAUSE, "130", Refusal.NOT_RECORDING),
    "nothing to resume": (talk("777"), RESUME, None, Refusal.NOT_RECORDING),
    "not paused": (talk("152"), RESUME, "152", Refusal.NOT_PAUSED),
}


@pytest.mark.parametrize(("table", "action", "login", "refusal"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_request_changes_nothing(table: str, action: Action, login: str | None, refusal: Refusal) -> None:
    requests = Requests(table)
    before = requests.call
    assert requests.ask(action, login, 3) is refusal
    assert requests.call is before


@pytest.mark.parametrize("login", ["777", None], ids=["the user", "an administrator"])
def test_on_demand_is_started_stopped_and_started_again(login: str | None) -> None:
    requests = Requests(talk("777"))
    assert requests.segments() == []
    assert requests.ask(START, login, 3) is None
    assert requests.sides()["777"] == (ON, None, False, True)
    assert requests.ask(START, login, 3) is Refusal.ALREADY_RECORDING
    assert requests.ask(STOP, login, 5) is None
    assert requests.sides()["777"] == (OFF, NOT_ASKED, True, False)
    assert requests.ask(START, login, 7) is None
    assert requests.segments() == [("777", None), ("777", None)]
    assert [(recording.started_at, recording.bridged_before_ms) for recording in requests.call.recordings if recording.segment] == [
        (at(3), 2000),
        (at(7), 6000),
    ]


def test_an_administrators_stop_makes_a_recording_partial_and_can_be_undone() -> None:
    requests = Requests(talk("152"))
    assert requests.ask(STOP, None, 3) is None
    assert requests.segments() == [("152", Reason.STOPPED_BY_USER)]
    assert requests.sides()["152"] == (OFF, Reason.STOPPED_BY_USER, True, False)
    assert requests.ask(START, "152", 5) is None
    assert requests.segments() == [("152", Reason.STOPPED_BY_USER), ("152", None)]
    assert requests.sides()["152"] == (ON, None, False, False)
    assert requests.ask(STOP, "152", 6) is Refusal.RECORDED_BY_RULE


def test_an_administrators_stop_holds_for_everyone_in_the_talk() -> None:
    requests = Requests(internal("152", "421"))
    assert requests.ask(STOP, None, 3) is None
    assert requests.segments() == [("152", Reason.STOPPED_BY_USER)]
    stopped = (OFF, Reason.STOPPED_BY_USER, True, False)
    assert requests.sides() == {"152": stopped, "421": stopped}
    assert requests.ask(START, None, 5) is None, "one recorder for the talk"
    assert [user for user, _ in requests.segments()] == ["152", "152"]


def test_a_users_stop_leaves_the_colleague_that_the_setting_records() -> None:
    """777 is recorded on demand when 152 joins the talk. After 777 stops, 152 is recorded."""
    requests = Requests(talk("777"))
    assert requests.ask(START, "777", 2) is None
    requests.take(*events("3.0 start q PJSIP/acme-152-3 s\n3.0 enter q B"))
    assert requests.segments() == [("777", None)]
    assert requests.ask(STOP, "777", 5) is None
    assert requests.segments() == [("777", None), ("152", None)]
    assert requests.sides()["777"] == (ON, None, False, False)


def test_either_of_two_recorded_pauses_the_one_recorder() -> None:
    requests = Requests(internal("152", "421"))
    assert requests.ask(PAUSE, "421", 2) is None
    assert {side[0] for side in requests.sides().values()} == {PAUSED}
    assert requests.ask(PAUSE, "152", 2.5) is Refusal.ALREADY_PAUSED
    assert requests.ask(RESUME, "152", 4) is None
    assert requests.call.recordings[0].muted == (Mute(from_ms=1000, to_ms=3000),)


def test_a_recording_ends_with_the_part_of_its_user() -> None:
    requests = Requests(talk("777"))
    assert requests.ask(START, "777", 2) is None
    requests.take(
        *events("3 leave p B\n3 leave t B\n3 end p\n3.1 start q PJSIP/acme-130-3 s\n3.1 ring t q acme-130\n4 rung t q ANSWER")
    )
    requests.take(*events("4 enter q C\n4 enter t C"))
    assert requests.sides() == {"130": (OFF, Reason.USER_OFF, False, False)}


def test_paused_time_counts_only_what_was_bridged() -> None:
    """A hold outside the bridge is not in the audio, so later marks lie earlier in it."""
    requests = Requests(talk("152", "3 leave p B", "5 enter p B"))
    assert requests.ask(PAUSE, "152", 6) is None
    assert requests.ask(RESUME, "152", 7.5) is None
    assert requests.call.recordings[0].muted == (Mute(from_ms=3000, to_ms=4500),)


def test_paused_time_counts_from_the_start_of_the_recording() -> None:
    requests = Requests(talk("777"))
    requests.ask(START, "777", 3)
    requests.ask(PAUSE, "777", 4)
    requests.ask(RESUME, "777", 4.5)
    assert requests.call.recordings[-1].muted == (Mute(from_ms=1000, to_ms=1500),)


def test_a_recorder_of_the_user_that_rang_says_nothing_about_the_user_that_picked_up() -> None:
    requests = Requests(talk("152"))
    channel = replace(requests.call.channels["p"], name="PJSIP/acme-130-9")
    picked_up = replace(requests.call, channels={**requests.call.channels, "p": channel})
    live = report_of(picked_up).live
    assert live is not None
    assert [(side.user, side.recorder, side.reason) for side in live.sides] == [("130", OFF, Reason.USER_OFF)]


def test_a_pause_at_the_end_lasts_until_the_end_of_the_audio() -> None:
    requests = Requests(talk("152"))
    requests.ask(PAUSE, "152", 2)
    requests.ask(RESUME, "152", 3)
    requests.ask(PAUSE, "152", 4)
    recording = requests.call.recordings[0]
    manifest = make_manifest(recording.segment, "152", at(1), 5000, report_of(requests.call), muted=recording.muted)
    assert manifest.muted == (MutedSpan(from_ms=1000, to_ms=2000), MutedSpan(from_ms=3000, to_ms=5000))


def test_a_restarted_recorder_stays_paused_and_requested() -> None:
    requests = Requests(talk("777"))
    requests.ask(START, "777", 2)
    requests.ask(PAUSE, "777", 3)
    (recording,) = [recording for recording in requests.call.recordings if recording.segment]
    requests.take(RecordingEnding(at=at(4), linkedid="1", segment=recording.segment))
    again = PendingDecision(
        channel=requests.call.channels["p"], user="777", decision=recording.decision, asked=recording.asked, paused=recording.paused
    )
    requests.registry.take(decision_event(requests.call, again, at(4)))
    assert requests.sides()["777"] == (PAUSED, None, False, True)


def test_an_unknown_or_late_pause_changes_nothing() -> None:
    requests = Requests(talk("152"))
    before = requests.call
    requests.take(RecordingMuted(at=at(2), linkedid="1", segment="nothing", muted=True))
    requests.take(RecordingMuted(at=at(2), linkedid="1", segment=before.recordings[0].segment, muted=False))
    assert requests.call is before


KEYS = [
    (talk("777"), [("record", START), ("record", STOP), ("record", START)]),
    (talk("152"), [("pause", PAUSE), ("pause", RESUME), ("pause", PAUSE)]),
    (talk("777"), [("pause", PAUSE)]),
    (talk("152"), [("explode", None)]),
]


@pytest.mark.parametrize(("table", "presses"), KEYS)
def test_a_key_means_what_is_possible_now(table: str, presses: list[tuple[str, Action | None]]) -> None:
    requests = Requests(table)
    login = "777" if "acme-777" in table else "152"
    for second, (key, action) in enumerate(presses, start=2):
        assert action_of_key(requests.call, requests.domain, key, login) is action
        if action is not None:
            requests.ask(action, login, second)


def test_a_merged_call_is_found_in_the_call_that_continues() -> None:
    requests = CallRegistry()
    for event in events(talk("152")):
        requests.take(event)
    (call,) = requests.calls.values()
    part = replace(call, linkedid="2", merged_into="1")
    requests.calls["2"] = part
    assert requests.call("2") is call and requests.call("3") is None
    assert requests.call_of_channel("p") is call and requests.call_of_channel("x") is None


def test_the_number_of_requests_is_limited() -> None:
    """A script that starts and stops without end may always stop and resume, but not start."""
    requests = Requests(talk("777"))
    for number in range(MAX_REQUESTS_PER_CALL // 2):
        assert requests.ask(START, "777", 2 + number) is None
        assert requests.ask(PAUSE, "777", 2.2 + number) is None
        if number < MAX_REQUESTS_PER_CALL // 2 - 1:
            assert requests.ask(RESUME, "777", 2.4 + number) is None
            assert requests.ask(STOP, "777", 2.6 + number) is None
    assert requests.ask(RESUME, "777", 500) is None
    assert requests.ask(PAUSE, "777", 501) is Refusal.ASKED_TOO_OFTEN
    assert requests.ask(STOP, "777", 502) is None
    assert requests.ask(START, "777", 503) is Refusal.ASKED_TOO_OFTEN
