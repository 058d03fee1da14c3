"""Calls that meet in a bridge and keep their rows: who is recorded on which channel, and when."""

from dataclasses import replace

import pytest

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call, RecordingStage, Talk, united
from agent.calls.events import BridgeEntered, Event, HoldingEntered
from agent.calls.merge import merged
from agent.rules.on_demand_rules import OnDemandPlan, plan_request
from fonoteka.core.call_report import Action
from tests.unit.agent.fixtures import DIRECTORY, at, event, play, report_of


def of(linkedid: str, table: str) -> list[Event]:
    return [replace(event(line), linkedid=linkedid) for line in table.splitlines() if line.strip()]


def agent(login: str) -> list[Event]:
    """A user who waits on an open line."""
    started = of("a", f"0 start agent PJSIP/acme-{login}-1 *51")
    return [*started, HoldingEntered(at=at(0), linkedid="a", uniqueid="agent", agent=True)]


def served(customer: str, since: float) -> list[Event]:
    """A customer whom the agent serves for two seconds."""
    return [
        *of(customer, f"{since} start {customer} PJSIP/trunk-{customer} 2458152 8913{customer}"),
        *of(customer, f"{since} enter {customer} {customer}"),
        *of("a", f"{since + 1} enter agent {customer}"),
        *of(customer, f"{since + 3} leave {customer} {customer}\n{since + 3} end {customer}"),
        *of("a", f"{since + 3} leave agent {customer}"),
        HoldingEntered(at=at(since + 3), linkedid="a", uniqueid="agent", agent=True),
    ]


def calls(stream: list[Event]) -> tuple[CallRegistry, dict[str, Call]]:
    registry = play(stream)
    return registry, registry.calls


@pytest.mark.parametrize(("login", "recorded"), [("152", True), ("130", False), ("777", False)])
def test_an_agent_serves_customers_in_their_calls(login: str, recorded: bool) -> None:
    _, found = calls([*agent(login), *served("1", 10), *served("2", 20)])
    for customer in ("1", "2"):
        row = report_of(found[customer])
        assert (row.answered_by, row.employee, row.talk_ms) == (login, login, 2000)
        assert [segment.user for segment in row.segments] == ([login] if recorded else [])
        assert {recording.uniqueid for recording in found[customer].recordings} == {customer}, "on the customer's own line"
    assert (report_of(found["a"]).talk_ms, found["a"].recordings) == (0, ())


def test_an_agent_asks_for_a_recording_of_the_customer_s_line() -> None:
    _, found = calls([*agent("777"), *served("1", 10)[:3]])
    planned = plan_request(found["1"], DIRECTORY.domains[0], Action.START, "777")
    assert isinstance(planned, OnDemandPlan)
    assert [(each.channel.uniqueid, each.user, each.hears_user) for each in planned.start] == [("1", "777", True)]


def room(linkedid: str, line: str) -> list[Event]:
    return [replace(each, conference=True, room="8000") if isinstance(each, BridgeEntered) else each for each in of(linkedid, line)]


def colleague(login: str, since: float, until: float) -> tuple[list[Event], list[Event]]:
    """A user who comes into the room, and goes."""
    come = room(login, f"{since} start {login} PJSIP/acme-{login}-1 8000\n{since} enter {login} R")
    return come, of(login, f"{until} leave {login} R\n{until} end {login}")


CUSTOMER = room("c", "0 start c PJSIP/trunk-1 2458888 8913\n0 enter c R")


def test_a_customer_in_a_room_is_recorded_while_a_recorded_user_is_there() -> None:
    (comes, goes), (off_comes, off_goes) = colleague("152", 2, 4), colleague("130", 1, 8)
    again, _ = colleague("421", 6, 9)
    _, found = calls([*CUSTOMER, *off_comes, *comes, *goes, *again, *off_goes])
    recorded = [each for each in found["c"].recordings if each.decision.record]
    assert [(each.user, each.stage, each.started_at) for each in recorded] == [
        ("152", RecordingStage.ENDING, at(2)),
        ("421", RecordingStage.RUNNING, at(6)),
    ]
    assert report_of(found["c"]).answered_by == "8000"


@pytest.mark.parametrize("first", ["152", "421"])
def test_the_employee_is_the_same_whoever_comes_first(first: str) -> None:
    second = "421" if first == "152" else "152"
    _, found = calls([*CUSTOMER, *colleague("130", 1, 9)[0], *colleague(first, 2, 9)[0], *colleague(second, 3, 9)[0]])
    assert report_of(found["c"]).employee == "152"


def test_a_call_that_continues_has_the_talks_of_both() -> None:
    one = Call(linkedid="1", started_at=at(0), talks=(Talk(since=at(0), until=at(2)),))
    other = Call(linkedid="2", started_at=at(1), talks=(Talk(since=at(1), until=at(5)),))
    continuing, _ = merged(one, other)
    assert continuing.talk_ms_until(at(9)) == 5000


def test_talks_that_overlap_are_one() -> None:
    talks = [Talk(since=at(since), until=at(until)) for since, until in ((5, 6), (0, 2), (1, 3), (3, 4))]
    assert united(talks) == (Talk(since=at(0), until=at(4)), Talk(since=at(5), until=at(6)))
