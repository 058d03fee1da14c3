"""Who of two agents of one spool works, on a simulated clock; and what the replaced one may do."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.ami.client import AmiClient
from agent.app import Agent
from agent.recording.pbx_claim import KEEP_EVERY_S, KEEP_WITHIN_S, Claim, Claims
from agent.reporting.journal import Journal
from agent.standby import ANSWERS_WITHIN_S, ASK_EVERY_S, LOOK_EVERY_S, Patience, Standby, Step
from fonoteka.core import spool_lock
from fonoteka.core.config import AgentSection, Configuration, PbxSection
from fonoteka.core.errors import AmiUnreachable, ConfigurationError, SpoolTaken
from fonoteka.core.spool import Spool
from fonoteka.core.spool_lock import SpoolLock
from tests.unit.agent.fixtures import played

RUNS = Claim(identity="0123456789abcdef-1", place="first:/spool")
HOUR_S = 3600.0


class Pair:
    """An agent that works while `lives(now_s)`, a standby that looks, and the AstDB of both."""

    def __init__(self, lives: Callable[[float], bool], *, connected: Callable[[float], bool] = lambda _: True) -> None:
        self.lives, self.connected = lives, connected
        self.claim: Claim | None = RUNS
        self.asked_key, self.questions = False, 0

    def taken_over_at(self, until_s: float) -> float | None:
        """Run both. Return when the standby takes over."""
        patience, answers_at, now_s = Patience(), 0.0, 0.0
        while now_s < until_s:
            if now_s >= answers_at and self.lives(now_s):
                self.asked_key, answers_at = False, now_s + KEEP_EVERY_S
            if not self.connected(now_s):
                patience.cut_off()
            else:
                match patience.after(Claims(claim=self.claim, asked=self.asked_key), of_other_spool=False, now_s=now_s):
                    case Step.TAKE_OVER:
                        return now_s
                    case Step.ASK:
                        self.asked_key = True
                        self.questions += 1
                        patience.asked(now_s)
            now_s += LOOK_EVERY_S
        return None


def test_an_agent_that_answers_is_left_alone() -> None:
    pair = Pair(lambda _: True)
    assert pair.taken_over_at(HOUR_S) is None
    assert 0 < pair.questions <= HOUR_S / KEEP_EVERY_S, "a question is a write to the disk of the PBX"


@pytest.mark.parametrize("died_at", [60 + 0.25 * step for step in range(12)])
def test_a_dead_agent_is_replaced_within_nine_seconds(died_at: float) -> None:
    """Whether it died just before or after an answer. A stopped process, a cut link: the same."""
    taken_over_at = Pair(lambda now_s: now_s < died_at).taken_over_at(HOUR_S)
    assert taken_over_at is not None
    assert ANSWERS_WITHIN_S - KEEP_EVERY_S <= taken_over_at - died_at <= ANSWERS_WITHIN_S + ASK_EVERY_S + LOOK_EVERY_S < 9


def test_one_answer_that_asterisk_delays_is_not_enough() -> None:
    """The agent looks again after an answer of Asterisk that was too late."""
    silent_s = KEEP_EVERY_S + KEEP_WITHIN_S
    assert Pair(lambda now_s: now_s % HOUR_S > silent_s).taken_over_at(HOUR_S) is None


def test_an_agent_that_ended_in_order_is_not_waited_for() -> None:
    pair = Pair(lambda _: False)
    pair.claim = Claim(identity=RUNS.identity, place=RUNS.place, ended=True)
    assert pair.taken_over_at(HOUR_S) == 0


def test_an_emptied_astdb_is_no_dead_agent() -> None:
    pair = Pair(lambda _: True)
    pair.claim = None
    assert pair.taken_over_at(HOUR_S) is None


def test_a_standby_without_asterisk_takes_nothing_over_and_asks_anew_afterwards() -> None:
    pair = Pair(lambda _: False, connected=lambda now_s: not 2 < now_s < 100)
    assert pair.taken_over_at(HOUR_S) == pytest.approx(100 + ANSWERS_WITHIN_S, abs=2 * LOOK_EVERY_S)


def configuration(spool: Path, token: str) -> Configuration:
    pbx = PbxSection(name="lab", ami="127.0.0.1:1", ami_secret=SecretStr("secret"), spool=spool, agi="")
    section = AgentSection(api="http://127.0.0.1:1", token=SecretStr(token), standby=True)
    return Configuration(pbx=pbx, agent=section)


def test_a_wrong_configuration_is_known_before_the_takeover(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"agent\.token is missing"):
        Standby(configuration(tmp_path / "spool", ""), None)


async def test_a_replaced_agent_ends_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_lock, "LOOK_EVERY_S", 0.0)
    spool = Spool(tmp_path / "spool")
    lock = await Standby(configuration(spool.root, "token"), None).turn()
    agent = Agent(configuration(spool.root, "token"), None, lock)
    agent._registry.put(played("0.0 start t PJSIP/trunk-1 2458152 89131234567"))
    running = asyncio.create_task(agent.run())
    SpoolLock.replace(spool.lock_file).close()
    with pytest.raises(ExceptionGroup) as ended:
        await running
    lock.close()
    assert ended.group_contains(SpoolTaken, match="has taken over from this agent")
    assert list(spool.calls.iterdir()) == []


async def test_no_action_and_no_journal_without_the_spool(tmp_path: Path) -> None:
    ami = AmiClient(("127.0.0.1", 1), "user", "secret", events=frozenset(), may_act=lambda: False)
    with pytest.raises(AmiUnreachable):
        await ami.action("MixMonitor")
    call = played("0.0 start t PJSIP/trunk-1 2458152 89131234567")
    held = True
    journal = Journal(tmp_path, lambda: held)
    assert journal.write(call)
    held = False
    assert not journal.write(call)
    journal.remove(call.linkedid)
    assert journal.call(call.linkedid) == call
