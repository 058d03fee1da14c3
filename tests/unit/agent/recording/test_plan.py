"""The plan as a table: a call and an event in, effects out."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call, Mute, RecordingStage
from agent.calls.events import (
    BridgeEntered,
    Event,
    Held,
    HoldingEntered,
    RecordingClosed,
    RecordingDecided,
    RecordingEnding,
    RecordingEvent,
    TalkMissed,
)
from agent.calls.fold import assemble
from agent.recording import effects
from agent.recording import plan as plan_module
from agent.recording.effects import Effect, FollowHold, ForgetHold, RecordingEffect, RestartRecorder
from agent.recording.plan import plan, plan_agent_start, plan_known_domain, plan_link_up, plan_rtp_restart
from agent.rules.directory import Directory
from fonoteka.core.domains import DomainSettings
from tests.unit.agent.fixtures import DIRECTORY, at, event, events, play

RINGING = """
    0.0 start t PJSIP/trunk-1 2458152 89131234567
    0.1 start p PJSIP/acme-152-2 s
    0.2 ring t p acme-152
"""
TALKING = RINGING + "1.0 rung t p ANSWER\n1.0 enter p B\n1.0 enter t B\n"
OFF = TALKING.replace("152", "130")
ALONE = RINGING + "1.0 rung t p ANSWER\n1.0 enter p B\n"
COLLEAGUE = TALKING + "2.0 start q PJSIP/acme-421-3 s\n2.0 leave t B\n2.5 enter q C\n"
PICK_UP = RINGING + "0.5 start q PJSIP/acme-{}-3 *8\n"
BOTH_RING = """
    0.0 start t PJSIP/trunk-1 2458152 89131234567
    0.1 start p PJSIP/acme-152-2 s
    0.1 start q PJSIP/acme-421-3 s
    0.2 ring t p acme-152
    0.2 ring t q acme-421
"""


def shown(effect: Effect) -> str:
    """An effect in a line: its type, what it concerns, and the events it causes."""
    match effect:
        case RestartRecorder():
            subject = f"{effect.replaces}>{effect.segment}"
        case RecordingEffect():
            subject = effect.segment
        case FollowHold():
            subject = f"{effect.uniqueid} {'on' if effect.on else 'off'}"
        case ForgetHold():
            subject = effect.uniqueid
        case _:
            subject = ""
    return " ".join(filter(None, (type(effect).__name__, subject, *map(caused, effect.events))))


def caused(event: Event) -> str:
    match event:
        case RecordingDecided():
            details = [event.user, event.decision.reason or "record"]
            details += ["asked"] * event.asked + ["paused"] * event.paused
            return f"{event.uniqueid}:{'+'.join(details)}"
        case TalkMissed():
            return f"{event.uniqueid}:{event.user}"
        case RecordingEvent():
            return type(event).__name__
    raise ValueError(event)


def lines(planned: Iterable[Effect]) -> list[str]:
    return [shown(effect) for effect in planned]


def hold(on: bool, uniqueid: str = "p") -> Event:
    return Held(at=at(3), linkedid="1", uniqueid=uniqueid, on=on)


def late(line: str) -> Event:
    entered = event(line)
    assert isinstance(entered, BridgeEntered)
    return replace(entered, late=True)


NOTHING: list[str] = []
REPORT, CODECS = "ReportCall", "CheckCodecs"
#   name: (the call so far, event, effects)
PLANS: dict[str, tuple[str, Event, list[str]]] = {
    "an event of no call": ("", event("9 end x"), NOTHING),
    "a repeated event": (TALKING, event("1.0 enter t B"), NOTHING),
    "an event of an unknown channel": (TALKING, event("2.0 leave x B"), NOTHING),
    "a call begins": ("", event("0.0 start t PJSIP/trunk-1 2458152 8913"), [REPORT]),
    "a recorded telephone rings": (
        "\n".join(RINGING.splitlines()[:3]),
        event("0.2 ring t p acme-152"),
        ["StartRecording 1_p_1 p:152+record", REPORT],
    ),
    "a telephone rings that is not recorded": (
        "\n".join(RINGING.splitlines()[:3]).replace("152", "130"),
        event("0.2 ring t p acme-130"),
        ["NoteRefusal p:130+user_off", REPORT],
    ),
    "the ringing ends": (RINGING, event("1.0 rung t p ANSWER"), [REPORT]),
    "the talk begins": (ALONE, event("1.0 enter t B"), [CODECS, REPORT]),
    "a talk is found in progress": (
        "0.0 start t PJSIP/trunk-1 2458152 8913\n0.1 start p PJSIP/acme-152-2 s\n9 enter t B",
        late("9.0 enter p B"),
        ["NoteMissedTalk p:152", "StartRecording 1_p_2 p:152+record", CODECS, REPORT],
    ),
    "the recorded channel talks with another party": (
        COLLEAGUE,
        event("3.0 enter p C"),
        ["RestartRecorder 1_p_1>1_p_2 RecordingEnding p:152+record", CODECS, REPORT],
    ),
    "a recorded telephone holds": (TALKING, hold(True), [REPORT, "FollowHold p on"]),
    "the party of a recorded telephone holds": (TALKING, hold(True, "t"), [REPORT, "FollowHold t on"]),
    "a telephone holds in a talk that is not recorded": (OFF, hold(True), [REPORT]),
    "a hold is repeated": (TALKING, hold(False), NOTHING),
    "a recorded channel ends": (
        TALKING,
        event("5.0 end p"),
        [REPORT, "ForgetHold p", "FinishRecording 1_p_1"],
    ),
    "the party of a recorded telephone is parked": (
        TALKING + "5.0 leave t B\n",
        HoldingEntered(at=at(5), linkedid="1", uniqueid="t"),
        ["StopRecorder 1_p_1 RecordingEnding", REPORT],
    ),
    "the other channel ends": (TALKING, event("5.0 end t"), [REPORT, "ForgetHold t"]),
    "a recorded user picks the call up": (
        PICK_UP.format("421"),
        event("0.6 pick q p"),
        ["HandOverRecorder 1_p_1 RecordingHandedOver", REPORT],
    ),
    "a user who is not recorded picks the call up": (
        PICK_UP.format("130"),
        event("0.6 pick q p"),
        ["DiscardRecording 1_p_1 RecordingUnwanted q:130+user_off", REPORT],
    ),
    "a user with a recorder of their own picks the call up": (
        BOTH_RING,
        event("0.6 pick q p"),
        ["DiscardRecording 1_p_1 RecordingUnwanted", REPORT],
    ),
    "a recording is closed": (
        TALKING,
        RecordingClosed(at=at(6), linkedid="1", segment="1_p_1", started_at=at(1)),
        [REPORT],
    ),
}


@pytest.mark.parametrize(("table", "happened", "expected"), PLANS.values(), ids=PLANS.keys())
def test_the_plan(table: str, happened: Event, expected: list[str]) -> None:
    before, after = play(events(table)).fold(happened)
    assert lines(plan(before, after, happened, DIRECTORY)) == expected


def test_of_two_recorders_that_come_with_a_pickup_one_continues() -> None:
    pick_up = event("0.6 pick q p")
    before = play(events(PICK_UP.format("421"))).calls["1"]
    (recording,) = before.recordings
    before = replace(before, recordings=(recording, replace(recording, segment="1_p_2")))
    assert lines(plan(before, assemble(before, pick_up), pick_up, DIRECTORY)) == [
        "DiscardRecording 1_p_1 RecordingUnwanted",
        "HandOverRecorder 1_p_2 RecordingHandedOver",
        REPORT,
    ]


def test_a_user_who_stays_recorded_gets_the_recorder_that_a_stopped_colleague_leaves() -> None:
    registry = play(events(TALKING + "2.0 start q PJSIP/acme-421-3 s\n2.0 enter q B\n"))
    ending = RecordingEnding(at=at(3), linkedid="1", segment="1_p_1")
    assert lines(plan(*registry.fold(ending), ending, DIRECTORY)) == ["StartRecording 1_q_1 q:421+record", REPORT]


def test_without_a_known_domain_the_call_is_reported_and_nothing_is_decided() -> None:
    ring = event("0.2 ring t p acme-152")
    registry = play(events("\n".join(RINGING.splitlines()[:3])))
    nobody = Directory(settings=DomainSettings(version=1))
    assert lines(plan(*registry.fold(ring), ring, nobody)) == [REPORT]


def undecided(table: str) -> Call:
    registry = CallRegistry()
    for happened in events(table):
        registry.take(happened)
    return registry.calls["1"]


def test_a_domain_that_becomes_known_starts_recordings_and_marks_the_missed_talk() -> None:
    nobody = Directory(settings=DomainSettings(version=1))
    assert lines(plan_known_domain(undecided(RINGING), DIRECTORY, at(2))) == ["StartRecording 1_p_1 p:152+record"]
    assert lines(plan_known_domain(undecided(TALKING), DIRECTORY, at(2))) == [
        "NoteMissedTalk p:152",
        "StartRecording 1_p_2 p:152+record",
    ]
    assert lines(plan_known_domain(undecided(OFF), DIRECTORY, at(2))) == ["NoteRefusal p:130+user_off"]
    assert lines(plan_known_domain(undecided(TALKING), nobody, at(2))) == NOTHING


def test_a_new_rtp_stream_restarts_every_recorder_that_hears_it() -> None:
    call = play(events(TALKING)).calls["1"]
    restarted = ["RestartRecorder 1_p_1>1_p_2 RecordingEnding p:152+record"]
    assert lines(plan_rtp_restart(call, "p", at(3))) == restarted
    assert lines(plan_rtp_restart(call, "t", at(3))) == restarted
    assert lines(plan_rtp_restart(call, "x", at(3))) == NOTHING


def test_a_restarted_recorder_stays_requested_and_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    call = play(events(TALKING)).calls["1"]
    paused = replace(call.recordings[0], asked=True, muted=(Mute(from_ms=0),))
    call = replace(call, recordings=(paused,))
    assert lines(plan_rtp_restart(call, "p", at(3))) == ["RestartRecorder 1_p_1>1_p_2 RecordingEnding p:152+record+asked+paused"]
    monkeypatch.setattr(plan_module, "MAX_RECORDINGS_PER_CALL", 1)
    assert lines(plan_rtp_restart(call, "p", at(3))) == NOTHING


STAGES = {
    RecordingStage.RUNNING: (["WatchLegs 1_p_1"], ["ResumeRecorder 1_p_1"]),
    RecordingStage.ENDING: (["WatchLegs 1_p_1", "FinishRecording 1_p_1"], NOTHING),
    RecordingStage.UNWANTED: (["DiscardRecording 1_p_1"], NOTHING),
    RecordingStage.CLOSED: (["ConfirmShipped 1_p_1"], NOTHING),
    RecordingStage.DONE: (NOTHING, NOTHING),
    RecordingStage.LOST: (NOTHING, NOTHING),
    RecordingStage.REFUSED: (NOTHING, NOTHING),
}


@pytest.mark.parametrize("stage", RecordingStage)
def test_what_is_left_to_do_after_a_restart_and_after_a_new_connection(stage: RecordingStage) -> None:
    call = play(events(TALKING)).calls["1"]
    call = replace(call, recordings=(replace(call.recordings[0], stage=stage),))
    at_start, at_link_up = STAGES[stage]
    assert lines(plan_agent_start(call)) == [REPORT, *at_start]
    assert lines(plan_link_up(call)) == at_link_up


def test_the_tables_cover_every_effect() -> None:
    expected = [line for *_, planned in PLANS.values() for line in planned]
    expected += [line for at_start, at_link_up in STAGES.values() for line in (*at_start, *at_link_up)]
    types = {name for name, value in vars(effects).items() if isinstance(value, type) and issubclass(value, Effect)}
    assert {line.split()[0] for line in expected} == types - {"Effect", "RecordingEffect", "AdoptRecording"}  # test_adoption.py


def test_a_channel_that_ended_while_the_agent_was_away() -> None:
    call = play(events(TALKING + "5.0 end p\n")).calls["1"]
    assert lines(plan_agent_start(call)) == [REPORT, "WatchLegs 1_p_1", "FinishRecording 1_p_1"]
    assert lines(plan_link_up(call)) == NOTHING
