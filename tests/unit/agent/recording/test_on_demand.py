"""What is asked is done in order; what fails is said and changes nothing. (Rules: test_asking; the real PBX: tests/pbx.)"""

import asyncio
from datetime import datetime

import pytest

from agent.calls.call_state import Call, PendingDecision, Recording
from agent.calls.events import Event, RecordingEnding, RecordingLost
from agent.recording.on_demand import OnDemandRequests
from agent.rules.directory import DomainIndex
from agent.rules.on_demand_rules import RecordingStop
from fonoteka.core.agent_protocol import Refusal
from fonoteka.core.call_report import Action, Reason
from fonoteka.core.errors import AmiTimeout
from tests.unit.agent.fixtures import DIRECTORY, at, events, play
from tests.unit.agent.rules.test_on_demand_rules import internal, talk

START, STOP, PAUSE, RESUME = Action


class Pbx:
    """An agent without Asterisk: notes what it was told to do, and does it to the call at once; or fails."""

    def __init__(self, table: str) -> None:
        self.board = play(events(table))
        self.done: list[str] = []
        self.kept: list[str] = []
        self.fails, self.lost = False, False
        self.asked = OnDemandRequests(self.board, self)

    async def begin(self, call: Call, needed: PendingDecision, _now: datetime) -> str:
        await self._work(f"begin {needed.user}")
        call, segment = self.board.decided(call, needed, at(3))
        if self.lost:
            self.take(RecordingLost(at=at(3), linkedid="1", segment=segment, reason=Reason.ASTERISK_FAILED))
        return segment

    async def end(self, call: Call, ending: RecordingStop, _now: datetime) -> None:
        await self._work(f"end {ending.recording.user} {ending.reason}")
        self.take(RecordingEnding(at=at(4), linkedid="1", segment=ending.recording.segment, reason=ending.reason))

    async def mute(self, call: Call, known: Recording, muted: bool) -> None:
        await self._work(f"mute {known.user} {muted}")

    def take(self, event: Event) -> None:
        self.board.take(event)

    def keep(self, call: Call) -> None:
        self.kept = list(self.done)

    def domain_of(self, call: Call) -> DomainIndex | None:
        return DIRECTORY.domain_of(call)

    async def _work(self, what: str) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise AmiTimeout("no answer")
        self.done.append(what)


@pytest.mark.parametrize(
    ("table", "action", "login", "done"),
    [
        (talk("777"), START, "777", ["begin 777"]),
        (talk("152"), PAUSE, "152", ["mute 152 True"]),
        (talk("152"), STOP, None, ["end 152 stopped_by_user"]),
        (internal("152", "421"), STOP, None, ["end 152 stopped_by_user"]),
    ],
)
async def test_what_is_planned_is_done(table: str, action: Action, login: str | None, done: list[str]) -> None:
    pbx = Pbx(table)
    assert await pbx.asked.by_command("1", action, login) is None
    assert pbx.done == pbx.kept == done  # kept before anybody is told that it is done


@pytest.mark.parametrize(("table", "action"), [(talk("152"), PAUSE), (talk("152"), STOP), (talk("777"), START)])
async def test_where_asterisk_does_not_do_it_nothing_is_changed(table: str, action: Action) -> None:
    pbx = Pbx(table)
    pbx.fails = True
    before = dict(pbx.board.calls)
    assert await pbx.asked.by_command("1", action, None) is Refusal.PBX_FAILED
    assert pbx.board.calls == before


async def test_a_recorder_that_asterisk_refuses_is_not_said_to_run() -> None:
    pbx = Pbx(talk("777"))
    pbx.lost = True
    assert await pbx.asked.by_command("1", START, "777") is Refusal.PBX_FAILED


async def test_a_call_that_nobody_knows_is_over() -> None:
    assert await Pbx(talk("777")).asked.by_command("2", START, "777") is Refusal.CALL_IS_OVER


async def test_keys_are_the_users_alone() -> None:
    pbx = Pbx(talk("777"))
    for uniqueid, key in (("t", "record"), ("nobody", "record"), ("p", "explode")):
        assert await pbx.asked.by_key(key, uniqueid) is None
    assert pbx.done == []
    assert await pbx.asked.by_key("record", "p") == (START, None)
    assert await pbx.asked.by_key("pause", "p") == (PAUSE, None)
    assert await pbx.asked.by_key("pause", "p") == (RESUME, None)
    assert await pbx.asked.by_key("record", "p") == (STOP, None)
    assert await Pbx(talk("130")).asked.by_key("record", "p") == (START, Refusal.RECORDING_IS_OFF)


async def test_two_who_ask_the_same_at_once_get_one_recorder() -> None:
    pbx = Pbx(talk("777"))
    answers = await asyncio.gather(*(pbx.asked.by_command("1", START, login) for login in ("777", None)))
    assert answers == [None, Refusal.ALREADY_RECORDING]
    assert pbx.done == ["begin 777"]
