"""The stage: scenarios are played side by side, each by a company of its own on the shared PBX, before any of them is judged."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from lab.asterisk.server import LabAsterisk
from lab.base.company import LabCompany
from lab.base.lateness import Lateness
from lab.scenarios.basic_calls import CALLS
from lab.scenarios.call_flows import PLAYS
from lab.tools.installation import Call, Fonoteka
from tests.pbx.scenario import Played, Scenario, assert_as_told

_SETTLED_WITHIN_S = 40.0
_CLEARED_WITHIN_S = 10.0


class Stage:
    """What became of each scenario. An exception of a play is kept for its own test."""

    def __init__(self) -> None:
        self.played: dict[str, Played | Exception] = {}
        self.left: set[Path] = set()
        self.too_many: dict[str, int] = {}

    def assert_right(self, scenario: Scenario) -> None:
        """Judge one."""
        played = self.played[scenario.name]
        if isinstance(played, Exception):
            raise played
        assert_as_told(scenario, played)
        linkedids = [call["linkedid"] for call in played.calls]
        assert not [path for path in self.left if any(linkedid in str(path) for linkedid in linkedids)], "left in the spool"


async def play_all(scenarios: Sequence[Scenario], pbx: LabAsterisk, fonoteka: Fonoteka, companies: Sequence[LabCompany]) -> Stage:
    """Play them; back when each has its rows and the spool is as empty as before."""
    stage, already = Stage(), files_in(pbx)
    # The long ones first, so that no company is left alone with one at the end.
    waiting = sorted(scenarios, key=lambda scenario: scenario.play in PLAYS)

    async def act(company: LabCompany, lateness: Lateness) -> None:
        there, here = await fonoteka.seen_by(company), pbx.seen_by(company)
        begun_with, rows = len(await there.known()), 0
        while waiting:
            scenario = waiting.pop()
            rows += len(scenario.rows)
            try:
                stage.played[scenario.name] = await _play(scenario, here, there, lateness)
            except Exception as error:  # whatever it is, it is this scenario's
                stage.played[scenario.name] = error
        if (more := len(await there.known()) - begun_with - rows) != 0:
            stage.too_many[company.name] = more
        await there.http.aclose()

    with Lateness() as lateness:
        await asyncio.gather(*(act(company, lateness) for company in companies))
    stage.left = await _left(pbx, already)
    return stage


async def _play(scenario: Scenario, pbx: LabAsterisk, fonoteka: Fonoteka, lateness: Lateness) -> Played:
    before, began = await fonoteka.known(), time.monotonic()
    lives = await (CALLS | PLAYS)[scenario.play](pbx)
    held_up_s = lateness.worst_s(began)
    calls = await _settled(fonoteka, before, len(scenario.rows))
    recorded = [bool(call["recording"]["segments"]) for call in calls]
    audio = [await fonoteka.audio(call) if has_audio else b"" for call, has_audio in zip(calls, recorded, strict=True)]
    return Played(company=pbx.company, lives=lives, calls=calls, audio=audio, held_up_s=held_up_s)


async def _settled(fonoteka: Fonoteka, before: set[str], rows: int) -> list[Call]:
    """The new rows once there are so many and all are over and decided, or what there is when it takes too long."""
    deadline = asyncio.get_running_loop().time() + _SETTLED_WITHIN_S
    while True:
        found = [call for call in await fonoteka.calls(sort="started_at", limit=500) if call["id"] not in before]
        done = [call["ended_at"] is not None and call["recording"]["state"] not in ("recording", "processing") for call in found]
        if (len(found) == rows and all(done)) or asyncio.get_running_loop().time() > deadline:
            return [(await fonoteka.http.get(f"/api/calls/{call['id']}")).raise_for_status().json() for call in found]
        await asyncio.sleep(0.2)


def files_in(pbx: LabAsterisk) -> set[Path]:
    """The files of calls and recordings that are in the spool now."""
    return {path for path in pbx.spool.glob("*/**/*") if path.is_file()}


async def _left(pbx: LabAsterisk, already: set[Path]) -> set[Path]:
    """What stays in the spool (a leg of what only rang is removed once Asterisk has let go of it)."""
    deadline = asyncio.get_running_loop().time() + _CLEARED_WITHIN_S
    while (left := files_in(pbx) - already) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.1)
    return left
