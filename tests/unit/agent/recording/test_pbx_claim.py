"""One agent records the calls of an Asterisk: agents with spools of their own, and one AstDB."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.recording import pbx_claim
from agent.recording.pbx_claim import ANSWERS_WITHIN_S, KEEP_EVERY_S, PbxClaim
from fonoteka.core.errors import AmiError, AmiTimeout, AmiUnreachable, PbxTaken
from fonoteka.core.spool import Spool
from tests.unit.agent.fixtures import AmiDouble

JUNK = "x' ; DROP TABLE; ${SHELL(id)}"


class AstDb(AmiDouble):
    """The database, and a clock that only sleeping moves; then agents that live look at it.

    `trouble` is raised by the next lists. With `together`, two agents act by turns.
    """

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.now_s = 0.0
        self.living: list[PbxClaim] = []
        self.trouble: list[AmiError] = []
        self.later: Callable[[], object] = lambda: None
        self.together = False

    async def action(self, name: str, /, timeout_s: float = 5, **headers: str) -> dict[str, str]:
        await self._turn()
        key = f"/{headers['Family']}/{headers['Key']}"
        if name == "DBPut":
            self.rows[key] = headers["Val"]
        else:
            self.rows.pop(key, None)
        return {}

    async def listing(self, name: str, /, timeout_s: float = 10, **headers: str) -> list[Any]:
        await self._turn()
        if self.trouble:
            raise self.trouble.pop()
        tree = f"/{headers['Family']}/{headers['Key']}/"
        return [{"Key": key, "Val": value} for key, value in self.rows.items() if key.startswith(tree)]

    async def _turn(self) -> None:
        if self.together:
            await asyncio.sleep(0)

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds / 2 if self.together else seconds
        for _ in range(20):
            await self._turn()
        self.later()
        for claim in list(self.living):
            try:
                await claim.check()
            except PbxTaken:
                self.living.remove(claim)

    @property
    def holder(self) -> str:
        return self.rows.get("/fonoteka/agent/claim", "").rpartition("/")[2]


@pytest.fixture
def db(monkeypatch: pytest.MonkeyPatch) -> AstDb:
    made = AstDb()
    monkeypatch.setattr(pbx_claim, "time", SimpleNamespace(monotonic=lambda: made.now_s))
    monkeypatch.setattr(pbx_claim, "asyncio", SimpleNamespace(sleep=made.sleep))
    return made


@pytest.fixture
def agent(db: AstDb, tmp_path: Path) -> Callable[[str], PbxClaim]:
    """Return what starts an agent on the spool of a name."""

    def start(name: str) -> PbxClaim:
        (tmp_path / name).mkdir(exist_ok=True)
        return PbxClaim(db, Spool(tmp_path / name), "pbx:5038")

    return start


Start = Callable[[str], PbxClaim]


async def test_the_second_says_so_and_the_first_goes_on(db: AstDb, agent: Start) -> None:
    first = agent("first")
    assert await first.take()
    db.living.append(first)
    with pytest.raises(PbxTaken, match=r"pbx.ami = pbx:5038: another agent .*first\)"):
        await agent("second").take()
    assert (db.holder, first.held, list(db.rows)) == ("first", True, ["/fonoteka/agent/claim"])
    assert db.now_s <= KEEP_EVERY_S


@pytest.mark.parametrize("ended", [False, True], ids=["killed", "ended in order"])
async def test_an_agent_of_the_same_spool_goes_on_at_once(db: AstDb, agent: Start, ended: bool) -> None:
    first = agent("first")
    await first.take()
    if ended:
        await first.release()
    before_s = db.now_s
    assert await agent("first").take()
    assert (db.now_s, db.holder) == (before_s, "first")
    assert " runs " in db.rows["/fonoteka/agent/claim"]


async def test_a_dead_agent_keeps_another_out_for_twelve_seconds(db: AstDb, agent: Start) -> None:
    await agent("first").take()
    before_s, second = db.now_s, agent("second")
    assert not await second.take(), "log in again: the calls of twelve seconds ago are not those of now"
    assert ANSWERS_WITHIN_S <= db.now_s - before_s < 15
    assert (second.held, list(db.rows.values())) == (True, [str(second._own)])


async def test_an_agent_that_is_connecting_again_is_waited_for(db: AstDb, agent: Start) -> None:
    """It tries at least each ten seconds."""
    first = agent("first")
    await first.take()
    db.later = lambda: db.living.append(first) if db.now_s >= 10 and not db.living else None
    with pytest.raises(PbxTaken, match="first"):
        await agent("second").take()
    assert (db.now_s >= 10, db.holder) == (True, "first")


async def test_an_agent_that_stood_still_notices_and_stops(db: AstDb, agent: Start) -> None:
    first = agent("first")
    await first.take()
    assert not first.doubtful
    await agent("second").take()
    assert first.doubtful
    with pytest.raises(PbxTaken, match="second"):
        await first.check()
    assert not first.held, "the heartbeat and the claim are those of the other agent"
    assert db.holder == "second"


async def test_an_agent_that_ended_in_order_is_not_waited_for(db: AstDb, agent: Start) -> None:
    first = agent("first")
    await first.take()
    await first.release()
    await first.check()
    before_s = db.now_s
    assert await agent("second").take()
    assert db.now_s - before_s < KEEP_EVERY_S
    assert db.holder == "second"


async def test_a_holder_that_ends_meanwhile_is_not_waited_for(db: AstDb, agent: Start) -> None:
    first, second = agent("first"), agent("second")
    await first.take()
    ended = str(first._own).replace(" runs ", " ended ")
    db.later = lambda: db.rows.__setitem__("/fonoteka/agent/claim", ended) if db.holder == "first" else None
    await second.take()
    assert (db.holder, db.now_s < ANSWERS_WITHIN_S) == ("second", True)


@pytest.mark.parametrize("dead", [False, True], ids=["nobody was there", "after a dead one"])
async def test_of_two_in_the_same_second_one_goes_on(db: AstDb, agent: Start, dead: bool) -> None:
    if dead:
        await agent("dead").take()
    one, other = agent("one"), agent("other")
    db.together = True
    ends = await asyncio.gather(one.take(), other.take(), return_exceptions=True)
    assert sorted(isinstance(end, PbxTaken) for end in ends) == [False, True], ends
    assert db.holder == ("one" if isinstance(ends[1], PbxTaken) else "other")


@pytest.mark.parametrize("key", ["claim", "asked"])
async def test_a_text_that_is_no_claim_stops_nobody(db: AstDb, agent: Start, key: str) -> None:
    first = agent("first")
    db.rows[f"/fonoteka/agent/{key}"] = JUNK
    assert await first.take()
    db.rows[f"/fonoteka/agent/{key}"] = JUNK
    await first.check()
    assert list(db.rows.values()) == [str(first._own)]


async def test_a_claim_that_was_removed_is_written_again(db: AstDb, agent: Start) -> None:
    first = agent("first")
    await first.take()
    db.rows.clear()
    await first.check()
    assert (db.holder, first.held) == ("first", True)


async def test_an_asterisk_that_does_not_answer_stops_nobody(db: AstDb, agent: Start) -> None:
    first = agent("first")
    await first.take()
    db.trouble = [AmiTimeout("no answer")]
    await first.check()
    assert not first.doubtful
    second = agent("second")
    db.living.append(first)
    db.trouble = [AmiTimeout("no answer")]
    with pytest.raises(AmiTimeout):
        await second.take()
    db.later = lambda: db.trouble.append(AmiTimeout("no answer")) if db.now_s % 2 else None
    with pytest.raises(PbxTaken):
        await second.take()


async def test_a_link_that_is_lost_while_waiting(db: AstDb, agent: Start) -> None:
    await agent("first").take()
    second = agent("second")
    db.later = lambda: db.trouble.append(AmiUnreachable("cut"))
    with pytest.raises(AmiUnreachable):
        await second.take()
    assert (second.held, db.holder) == (False, "first")


def test_a_copy_of_a_spool_is_another_spool(tmp_path: Path) -> None:
    one, copy, full = (Spool(tmp_path / name) for name in ("one", "copy", "full"))
    for spool in (one, copy, full):
        spool.root.mkdir()
    assert one.identity() == ""
    assert one.identity(make=True) == one.identity() != ""
    (copy.root / "identity").write_bytes((one.root / "identity").read_bytes())
    assert copy.identity() not in ("", one.identity())
    (full.root / ".identity.new").mkdir()
    (full.root / ".identity.new" / "in the way").touch()
    assert full.identity(make=True) != "", "the disk refuses the file"
    (copy.root / "identity").write_text("\0 damaged", encoding="ascii")
    assert copy.identity(make=True) == copy.identity()
