"""Requests are carried out in order; a failed request is refused and changes nothing.

The rules are tested in test_on_demand_rules.py, the requests on a real PBX in tests/pbx.
"""

import asyncio
from datetime import datetime

import pytest

from agent.calls.call_state import Call, PendingDecision, Recording
from agent.calls.decision_events import decision_event
from agent.calls.events import RecordingEnding, RecordingLost, RecordingMuted
from agent.recording.on_demand import OnDemandRequests
from agent.rules.directory import DomainIndex
from agent.rules.on_demand_rules import RecordingStop
from agent.rules.parties import domain_of
from fonoteka.core.agent_protocol import Refusal
from fonoteka.core.call_report import Action, Reason
from fonoteka.core.errors import AmiTimeout
from tests.unit.agent.fixtures import DIRECTORY, at, events, play
from tests.unit.agent.rules.test_on_demand_rules import internal, talk

START, STOP, PAUSE, RESUME = Action


class Pbx:
    """A coordinator without Asterisk: notes each action and changes the call at once, or fails."""

    def __init__(self, table: str) -> None:
        self.registry = play(events(table))
        self.done: list[str] = []
        self.journalled: list[str] = []
        self.fails, self.lost = False, False
        self.requests = OnDemandRequests(self.registry, self)

    async def start(self, call: Call, pending: PendingDecision, _now: datetime) -> str:
        await self._work(f"start {pending.user}")
        decided = decision_event(call, pending, at(3))
        self.registry.take(decided)
        if self.lost:
            lost = RecordingLost(at=at(3), linkedid="1", segment=decided.segment, reason=Reason.ASTERISK_FAILED)
            self.registry.take(lost)
        return decided.segment

    async def stop(self, call: Call, stop: RecordingStop, _now: datetime) -> None:
        await self._work(f"stop {stop.recording.user} {stop.reason}")
        self.registry.take(RecordingEnding(at=at(4), linkedid="1", segment=stop.recording.segment, reason=stop.reason))

    async def mute(self, call: Call, recording: Recording, muted: bool) -> None:
        await self._work(f"mute {recording.user} {muted}")
        self.registry.take(RecordingMuted(at=at(4), linkedid="1", segment=recording.segment, muted=muted))

    def refuse(self, call: Call, pending: PendingDecision, at: datetime) -> None:
        self.registry.take(decision_event(call, pending, at))

    def keep(self, call: Call) -> None:
        self.journalled = list(self.done)

    def domain_of(self, call: Call) -> DomainIndex | None:
        return domain_of(call, DIRECTORY)

    async def _work(self, action: str) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise AmiTimeout("no answer")
        self.done.append(action)


@pytest.mark.parametrize(
    ("table", "action", "login", "done"),
    [
        (talk("777"), START, "777", ["start 777"]),
        (talk("152"), PAUSE, "152", ["mute 152 True"]),
        (talk("152"), STOP, None, ["stop 152 stopped_by_user"]),
        (internal("152", "421"), STOP, None, ["stop 152 stopped_by_user"]),
    ],
)
async def test_a_planned_request_is_carried_out(table: str, action: Action, login: str | None, done: list[str]) -> None:
    pbx = Pbx(table)
    assert await pbx.requests.by_command("1", action, login) is None
    assert pbx.done == pbx.journalled == done, "the journal is written before the answer"


@pytest.mark.parametrize(("table", "action"), [(talk("152"), PAUSE), (talk("152"), STOP), (talk("777"), START)])
async def test_a_request_that_asterisk_does_not_carry_out_changes_nothing(table: str, action: Action) -> None:
    pbx = Pbx(table)
    pbx.fails = True
    before = dict(pbx.registry.calls)
    assert await pbx.requests.by_command("1", action, None) is Refusal.PBX_FAILED
    assert pbx.registry.calls == before


async def test_a_recorder_that_asterisk_refuses_is_not_reported_as_running() -> None:
    pbx = Pbx(talk("777"))
    pbx.lost = True
    assert await pbx.requests.by_command("1", START, "777") is Refusal.PBX_FAILED


async def test_an_unknown_call_is_over() -> None:
    assert await Pbx(talk("777")).requests.by_command("2", START, "777") is Refusal.CALL_IS_OVER


async def test_feature_codes_work_on_the_channels_of_users_only() -> None:
    pbx = Pbx(talk("777"))
    for uniqueid, key in (("t", "record"), ("nobody", "record"), ("p", "explode")):
        assert await pbx.requests.by_key(key, uniqueid) is None
    assert pbx.done == []
    assert await pbx.requests.by_key("record", "p") == (START, None)
    assert await pbx.requests.by_key("pause", "p") == (PAUSE, None)
    assert await pbx.requests.by_key("pause", "p") == (RESUME, None)
    assert await pbx.requests.by_key("record", "p") == (STOP, None)
    assert await Pbx(talk("130")).requests.by_key("record", "p") == (START, Refusal.RECORDING_IS_OFF)


async def test_two_equal_requests_at_the_same_time_start_one_recorder() -> None:
    pbx = Pbx(talk("777"))
    answers = await asyncio.gather(*(pbx.requests.by_command("1", START, login) for login in ("777", None)))
    assert answers == [None, Refusal.ALREADY_RECORDING]
    assert pbx.done == ["start 777"]
