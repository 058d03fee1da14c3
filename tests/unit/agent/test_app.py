"""The agent as a whole: clocks at a login, errors in a task."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from agent.app import Agent
from fonoteka.core.clock import WallClock
from fonoteka.core.config import AgentSection, Configuration, PbxSection
from tests.unit.agent.fixtures import at, events


class Clocks:
    """An agent with a call in progress. `behind_s`: Asterisk's clock is behind the agent's."""

    def __init__(self, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pbx = PbxSection(name="lab", ami="127.0.0.1:1", ami_secret=SecretStr("secret"), spool=spool, agi="")
        self.agent = Agent(Configuration(pbx=pbx, agent=AgentSection(api="http://127.0.0.1:1", token=SecretStr("token"))), None)
        self.wall, self.behind_s = 1000.0, 0.0
        self.agent._clock.wall = WallClock(lambda: self.wall, lambda: 5.0)
        self.agent._heard_at = at(1)
        for each in events("0.0 start t PJSIP/trunk-1 2458152 89131234567"):
            self.agent._registry.take(each)
        monkeypatch.setattr(self.agent._ami, "action", self._answer)

    async def _answer(self, name: str, /, timeout_s: float = 5, **headers: str) -> Any:
        assert name == "Ping"
        return {"Timestamp": f"{time.time() - self.behind_s:.6f}"}

    async def began_after_login(self) -> float:
        """Return by how many seconds a login, and the event after it, move the call."""
        self.agent._clock.follow(await self.agent._clock.lag_s())
        moved_s = (self.agent._registry.calls["1"].started_at - at(0)).total_seconds()
        self.agent._clock.follow(self.behind_s)
        assert (self.agent._registry.calls["1"].started_at - at(0)).total_seconds() == moved_s, "moved once"
        return moved_s


@pytest.fixture
def clocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(tmp_path / "spool", monkeypatch)


@pytest.mark.parametrize("by_s", [3600.0, -3600.0])
async def test_a_jump_while_the_link_is_down_is_found_at_the_login(clocks: Clocks, by_s: float) -> None:
    """Calls that the login finds have the new time: the next event must not move them."""
    clocks.wall += by_s
    assert await clocks.began_after_login() == by_s
    assert clocks.agent._heard_at == at(1 + min(by_s, 0)), "the gap does not begin in the future"


async def test_a_jump_of_the_agents_clock_alone_moves_nothing(clocks: Clocks) -> None:
    clocks.wall, clocks.behind_s = clocks.wall + 3600, 3600.0
    assert await clocks.began_after_login() == 0


async def test_the_clock_that_is_told_to_the_api_is_that_of_asterisk(clocks: Clocks, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks.behind_s = 3600.0
    told = await clocks.agent._clock.now_s()
    assert told is not None
    assert told == pytest.approx(time.time() - 3600, abs=60)
    monkeypatch.undo()  # the agent has no link
    assert await clocks.agent._clock.now_s() is None


async def test_an_error_in_a_task_of_a_call_does_not_end_the_agent(clocks: Clocks) -> None:
    async def fail() -> None:
        raise KeyError("p")

    with capture_logs() as logs:
        async with asyncio.TaskGroup() as clocks.agent._tasks:
            clocks.agent._coordinator._spawn(fail())
    assert [line["event"] for line in logs] == ["task.failed"]
