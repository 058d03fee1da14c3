"""Properties of the fold: mixed calls, events reordered, repeated or lost, a lost connection.

The calls are the recorded streams of a real Asterisk and the tables in test_fold.
"""

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import timedelta
from functools import cache
from random import Random
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call, RecordingStage
from agent.calls.decision_events import decision_event
from agent.calls.events import (
    BridgeEntered,
    BridgeLeft,
    ChannelEnded,
    ChannelStarted,
    DialBegan,
    DialEnded,
    Event,
    HoldingEntered,
    PickedUp,
    RecordingDone,
)
from agent.calls.talk_groups import talk_groups
from agent.rules.recording_rules import pending_decisions
from fonoteka.core.call_report import CallReport
from tests.unit.agent.calls.test_fold import CALLS
from tests.unit.agent.calls.test_recorded_streams import STREAMS, read_stream
from tests.unit.agent.fixtures import DIRECTORY, RULES, at, event, events, play, played_on, report_of

TABLES: Final = tuple(CALLS)
REAL: Final = tuple(sorted(path.stem for path in STREAMS.glob("*.txt")))
names = st.sampled_from(TABLES + REAL)
ordinary = settings(max_examples=60)
_IDS: Final = ("linkedid", "uniqueid", "caller", "callee", "transferer", "bridge", "by")
PASSING_S: Final = timedelta(milliseconds=1)  # measured: events of two channels arrive in the wrong order by this much


@cache
def stream(name: str) -> tuple[Event, ...]:
    """Return the events of a call."""
    return tuple(events(CALLS[name][0]) if name in CALLS else read_stream(name))


def own(happened: Event, number: int) -> Event:
    """Return the same event of another call, with the ids of that call."""
    keys: dict[str, Any] = {
        key: f"{number}-{value}" for key in _IDS if (value := getattr(happened, key, "")) and isinstance(value, str)
    }
    return replace(happened, **keys)


def mixed(streams: list[list[Event]], random: Random) -> Iterator[Event]:
    """Return all events in a random order that keeps the order within each stream."""
    rests = [list(reversed(rest)) for rest in streams if rest]
    while rests:
        rest = random.choice(rests)
        yield rest.pop()
        rests = [rest for rest in rests if rest]


def rows(registry: CallRegistry, prefix: str = "") -> dict[str, CallReport]:
    """Return the reports to the store, without the revision."""
    return {
        linkedid: replace(report_of(call), revision=0) for linkedid, call in registry.calls.items() if linkedid.startswith(prefix)
    }


def essence(registry: CallRegistry) -> list[tuple[Any, ...]]:
    """Return what a row shows, without exact times and the path that contains them."""
    return sorted(
        (row.linkedid, row.direction, row.result, row.employee, row.dst, row.answered_by, row.reason, row.merged_into or "")
        for row in rows(registry).values()
    ) + [(row.linkedid, *sorted(segment.user for segment in row.segments)) for row in rows(registry).values()]


def settle(registry: CallRegistry) -> None:
    """Finish every recording, as the agent does once the channels have ended."""
    for call in list(registry.calls.values()):
        for recording in call.recordings:
            if recording.segment:
                registry.take(RecordingDone(at=at(101), linkedid=call.linkedid, segment=recording.segment))


def assert_over(registry: CallRegistry) -> None:
    """Assert that every call has ended, is settled and can be reported."""
    settle(registry)
    for call in registry.calls.values():
        assert call.ended_at is not None
        assert call.merged_into or (call.talking_since is None and call.settled)
        assert report_of(call).linkedid == call.linkedid


@given(st.lists(names, min_size=2, max_size=6), st.randoms(use_true_random=False))
@ordinary
def test_simultaneous_calls_are_reported_as_if_each_were_alone(chosen: list[str], random: Random) -> None:
    streams = [[own(happened, number) for happened in stream(name)] for number, name in enumerate(chosen)]
    together = play(list(mixed(streams, random)))
    for number, alone in enumerate(streams):
        assert rows(together, f"{number}-") == rows(play(alone))
    assert_over(together)


@given(names, st.data())
@ordinary
def test_a_repeated_event_changes_nothing(name: str, data: st.DataObject) -> None:
    once = list(stream(name))
    place = data.draw(st.integers(0, len(once) - 1))
    twice = [*once[: place + 1], once[place], *once[place + 1 :]]
    assert rows(play(twice)) == rows(play(once))


@given(st.sampled_from(REAL), st.lists(st.integers(0, 200), min_size=1, max_size=20))
@ordinary
def test_two_channels_events_in_either_order_give_the_same_row(name: str, places: list[int]) -> None:
    received = list(stream(name))
    for place in places:
        if place + 1 < len(received) and may_pass(received[place], received[place + 1]):
            received[place], received[place + 1] = received[place + 1], received[place]
    assert essence(play(received)) == essence(play(list(stream(name))))


def may_pass(one: Event, other: Event) -> bool:
    """Return whether Asterisk might have sent the two events in the other order."""
    apart = set(one.channels).isdisjoint(other.channels) and not isinstance(one, ChannelStarted)
    return apart and abs(other.at - one.at) <= PASSING_S


@given(st.lists(names, min_size=1, max_size=4), st.randoms(use_true_random=False), st.data())
@ordinary
def test_a_stream_cut_anywhere_ends_every_call_once_its_channels_are_gone(
    chosen: list[str], random: Random, data: st.DataObject
) -> None:
    received = list(mixed([[own(happened, number) for happened in stream(name)] for number, name in enumerate(chosen)], random))
    registry = play(received[: data.draw(st.integers(0, len(received)))])
    for happened in list(registry.reconcile([], lambda call: at(100))):
        registry.take(happened)
    assert_over(registry)


@given(names, st.data())
@ordinary
def test_lost_and_reordered_events_raise_nothing(name: str, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(stream(name)))
    registry = play(shuffled[: data.draw(st.integers(0, len(shuffled)))])
    for happened in list(registry.reconcile([], lambda call: at(100))):
        registry.take(happened)
    assert_over(registry)


@given(names, st.data())
@ordinary
def test_a_lost_connection_loses_no_end(name: str, data: st.DataObject) -> None:
    """Missed events are found again; the later ones arrive as usual."""
    received = list(stream(name))
    broken, back = sorted((data.draw(st.integers(0, len(received))), data.draw(st.integers(0, len(received)))))
    registry = play(received[:broken])
    alive = list(alive_after(received[:back]))
    for happened in [*registry.reconcile(alive, lambda call: call.moments[-1].at), *received[back:]]:
        registry.take(happened)
    assert_over(registry)


def alive_after(received: list[Event]) -> Iterator[ChannelStarted]:
    """Return the channels that Asterisk would list."""
    gone = {channel for happened in received if isinstance(happened, ChannelEnded) for channel in happened.channels}
    return (happened for happened in received if isinstance(happened, ChannelStarted) and happened.uniqueid not in gone)


_WHO: Final = ("PJSIP/trunk-{0}", "Local/421@from-users-{0};1", *(f"PJSIP/acme-{who}-{{0}}" for who in RULES))
_places: Final = st.integers(0, 3)
_enter: Final = st.builds("enter {} {}".format, _places, st.sampled_from("AB"))
_happenings: Final = st.one_of(
    _enter,
    _enter,
    _enter,
    st.builds("leave {} {}".format, _places, st.sampled_from("AB")),
    st.builds("ring {} {} acme-421".format, _places, _places),
    st.builds("rung {} {} ANSWER".format, _places, _places),
    st.builds("pick {} {}".format, _places, _places),
    st.builds("end {}".format, _places),
)


@given(st.tuples(*[st.sampled_from(_WHO)] * 4), st.lists(_happenings, min_size=6, max_size=20))
@settings(ordinary, max_examples=300)
def test_a_talk_is_never_given_a_second_recorder(parties: tuple[str, ...], happenings: list[str]) -> None:
    lines = [*(f"start {place} {who.format(place)} 2458152" for place, who in enumerate(parties)), *happenings]
    registry, domain = CallRegistry(), DIRECTORY.domains[0]
    for seconds, line in enumerate(lines):
        happened = event(f"{seconds} {line}")
        if isinstance(happened, DialBegan | PickedUp) and has_talked(registry, *line.split()[1:3]):
            continue  # a channel that rings, is rung or picks up is not in a talk
        call = registry.take(happened)
        if call is None:
            continue
        due = list(pending_decisions(call, domain))
        for group in talk_groups(call):
            new = [pending for pending in due if pending.decision.record and pending.channel.uniqueid in group]
            assert len(new) <= (0 if recorded_in(call, group) else 1)
        for pending in due:
            call = registry.take(decision_event(call, pending, happened.at)) or call
        assert not list(pending_decisions(call, domain)), "what was decided is due no more"


_names: Final = st.sampled_from(("PJSIP/trunk-{0}", "PJSIP/trunk-{0}", *(f"PJSIP/acme-{who}-{{0}}" for who in RULES)))
_line: Final = st.integers(0, 4)


def _of(kind: type[Event], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[type[Event], dict[str, Any]]]:
    return st.tuples(st.just(kind), st.fixed_dictionaries(more))


_meetings: Final = st.one_of(
    _of(BridgeEntered, uniqueid=_line, bridge=st.sampled_from("ABR")),
    _of(BridgeEntered, uniqueid=_line, bridge=st.sampled_from("ABR")),
    _of(BridgeLeft, uniqueid=_line, bridge=st.sampled_from("ABR")),
    _of(HoldingEntered, uniqueid=_line, agent=st.booleans()),
    _of(DialBegan, caller=_line | st.just(""), callee=_line, caller_num=st.just(""), dialled=st.just("421")),
    _of(DialEnded, caller=_line | st.just(""), callee=_line, status=st.just("ANSWER"), forward=st.just("")),
    _of(ChannelEnded, uniqueid=_line, cause=st.just(16)),
)


@given(
    st.tuples(*[_names] * 5), st.lists(st.sampled_from("12"), min_size=5, max_size=5), st.lists(_meetings, min_size=6, max_size=30)
)
@settings(ordinary, max_examples=300)
def test_calls_that_meet_keep_their_talks_apart(
    names: tuple[str, ...], calls: list[str], meetings: list[tuple[type[Event], dict[str, Any]]]
) -> None:
    """Agents, pages, conferences (R), and bridges that a program makes, of channels of any call.

    A talk of a call has one recorder, and no row's talk is longer than its call.
    """
    received: list[Event] = [
        ChannelStarted(
            at=at(0),
            linkedid=linkedid,
            uniqueid=str(place),
            name=name.format(place),
            exten="2458152",
            caller_num="",
            caller_name="",
        )
        for place, (name, linkedid) in enumerate(zip(names, calls, strict=True))
    ]
    for seconds, (kind, given_ids) in enumerate(meetings, start=1):
        ids = {key: str(value) if key in _IDS else value for key, value in given_ids.items()}
        conference = {"conference": ids.get("bridge") == "R"} if kind is BridgeEntered else {}
        received.append(kind(at=at(seconds), linkedid="1", **ids, **conference))
    received += [ChannelEnded(at=at(40), linkedid="1", uniqueid=str(place), cause=16) for place in range(5)]
    registry = CallRegistry(is_user=DIRECTORY.is_user)
    for happened in played_on(registry, received):
        for call in registry.calls.values():
            for group in talk_groups(call) if not call.merged_into else ():
                running = [each for each in call.recordings if each.stage is RecordingStage.RUNNING and each.uniqueid in group]
                started_here = [each for each in running if each.started_at == happened.at]
                assert len(started_here) <= 1
    assert_over(registry)
    for call in registry.calls.values():
        assert all(channel.bridge is None for channel in call.channels.values()) or call.merged_into
        row = report_of(call)
        assert row.ended_at is not None and timedelta(milliseconds=row.talk_ms) <= row.ended_at - row.started_at


def has_talked(registry: CallRegistry, *channels: str) -> bool:
    by_uniqueid = registry.calls["1"].channels
    return any(by_uniqueid[channel].first_bridged_at is not None for channel in channels if channel in by_uniqueid)


def recorded_in(call: Call, group: frozenset[str]) -> bool:
    return any(recording.stage is RecordingStage.RUNNING and recording.uniqueid in group for recording in call.recordings)


@given(names)
@ordinary
def test_revisions_grow(name: str) -> None:
    registry, last = CallRegistry(), dict[str, int]()
    for happened in stream(name):
        call = registry.take(happened)
        if call is not None:
            assert call.revision > last.get(call.linkedid, 0)
            last[call.linkedid] = call.revision


def test_a_late_event_does_not_restore_a_settled_call() -> None:
    registry = play(list(stream(TABLES[0])))
    registry.forget("1")
    assert registry.take(ChannelEnded(at=at(9), linkedid="1", uniqueid="p", cause=16)) is None
    assert not registry.calls


def test_every_id_of_an_event_is_renamed() -> None:
    """Otherwise the mixed calls would share channels."""
    text = {
        "target",
        "status",
        "forward",
        "dialled",
        "exten",
        "account",
        "caller_num",
        "caller_name",
        "name",
        "space",
        "parker",
        "room",
        "queue",
        "mailbox",
    }
    found = {field.name for name in TABLES + REAL for happened in stream(name) for field in fields(happened)}
    assert found - text - {"at", "cause", "attended", "conference", "late", "on", "figures", "agent"} == set(_IDS)
