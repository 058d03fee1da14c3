"""Parts are killed at random moments while calls go on (SCENARIOS 27): nothing is lost or doubled.

`make test` kills 20 times, `make faults` 200 times and prints the figures.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

import httpx
import pytest

from fonoteka.core.domains import RecordRule
from lab.asterisk.rootfs import AsteriskProgram
from lab.asterisk.server import LabAsterisk
from lab.base.company import LabCompany
from lab.base.lateness import Lateness
from lab.base.spool_files import spool_files
from lab.scenarios.load_plan import Planned, load_company, plan
from lab.scenarios.load_run import Played, switched_on
from lab.tools.installation import Call, Fonoteka, beside
from lab.tools.installation import fonoteka as command
from tests.conftest import NEIGHBOURS
from tests.support.eventually import eventually
from tests.support.random_kills import (
    KeptLegs,
    Verdict,
    all_are_over,
    has_row,
    kill_parts,
    seconds_since,
    starts_of_agent,
    stored_ms,
    without_discarded,
)

SEED = 27
SOME_MS = 500  # of the shortest talk; the first kill waits for its recorder
SETTLED_WITHIN_S = 300.0
CLEAN_WITHIN_S = 20.0  # then: an inquiry that Asterisk's death cut off is a row more


@dataclass(frozen=True, kw_only=True)
class Office:
    """A company, its view of the PBX and of the installation, and the calls that it makes."""

    pbx: LabAsterisk
    seen: Fonoteka
    calls: Sequence[Planned]

    @property
    def recorded(self) -> frozenset[str]:
        return frozenset(user.extension for user in self.pbx.company.users if user.record is RecordRule.ALL)

    async def rows(self, before: set[str]) -> list[Call]:
        calls = await self.seen.calls(limit=500)
        return [call for call in calls if call["id"] not in before]


@dataclass
class Round:
    """What was there before a round, and what the telephones and Asterisk's files say of it."""

    offices: Sequence[Office]
    ids_before: list[set[str]]
    stored_before: dict[str, int]
    files_before: set[Path]
    legs: KeptLegs
    played: list[list[Played]]
    killed_at: float
    late_s: float

    async def rows(self) -> list[list[Call]] | None:
        """Return the new rows of each office, or None while the API starts."""
        try:
            return [await office.rows(ids) for office, ids in zip(self.offices, self.ids_before, strict=True)]
        except httpx.HTTPError:
            return None

    def left(self) -> list[str]:
        return [f"{file}: left in the spool" for file in spool_files(self.offices[0].pbx.spool) - self.files_before]

    async def is_over(self) -> bool:
        """Whether each call has its row, each row is decided, and nothing waits in the spool."""
        certain = [sum(has_row(call, self.killed_at) for call in calls) for calls in self.played]
        return (rows := await self.rows()) is not None and all(map(all_are_over, rows, certain)) and not self.left()

    async def is_clean(self) -> bool:
        return not (await self.judged()).complaints

    async def judged(self) -> Verdict:
        log = self.offices[0].seen.log()
        verdict = Verdict(starts=starts_of_agent(log))
        for office, calls, rows in zip(self.offices, self.played, await self.rows() or [[]] * len(self.offices), strict=True):
            verdict.judge_calls(calls, rows, office.recorded, office.pbx.company.own, self.late_s, self.killed_at)
        stored = (await stored_ms(self.offices[0].seen)).items()
        written_ms = without_discarded(self.legs.written_ms(), log, verdict.unrecorded)
        verdict.judge_audio(written_ms, {name: ms for name, ms in stored if name not in self.stored_before})
        verdict.complaints += self.left()
        return verdict


async def one_round(
    offices: Sequence[Office], random: Random, pause_s: tuple[float, float], *, kill_asterisk: bool = False
) -> Verdict:
    """Play the calls of all offices, kill parts meanwhile, and judge when all is settled."""
    pbx, installation, began = offices[0].pbx, offices[0].seen, time.monotonic()
    legs = KeptLegs(pbx.spool, Path(mkdtemp(dir=pbx.folder)))
    before = [await office.seen.ids() for office in offices], await stored_ms(installation), spool_files(pbx.spool)
    keeping = asyncio.create_task(legs.keep())

    async def kill(asterisk: Callable[[], Coroutine[Any, Any, None]] | None) -> Counter[str]:
        await eventually(legs.are_begun)  # there is audio at stake
        return await kill_parts(installation, random, pause_s, asterisk)

    with Lateness() as lateness:
        async with AsyncExitStack() as on:
            switching_on = (on.enter_async_context(switched_on(office.pbx, office.calls)) for office in offices)
            people = await asyncio.gather(*switching_on)
            killing = asyncio.create_task(kill(people[0].restart_killed_pbx if kill_asterisk else None))
            played = await asyncio.gather(*(each.play_all(office.calls) for each, office in zip(people, offices, strict=True)))
            late_s, calls_s = lateness.allowance_s(began), seconds_since(began)
            killed = await killing
    this = Round(offices, *before, legs, played, min(each.pbx_killed_at for each in people), late_s)
    with suppress(AssertionError):  # the verdict says more
        await eventually(this.is_over, within_s=SETTLED_WITHIN_S)
        await eventually(this.is_clean, within_s=CLEAN_WITHIN_S)
    keeping.cancel()
    verdict = await this.judged()
    verdict.figures.update({f"kills of {name}": number for name, number in killed.items()}, kills=killed.total())
    figures = dict(verdict.figures)
    print(f"\n{calls_s} s of calls, settled after {seconds_since(began)} s, telephones late {late_s:.2f} s: {figures}")
    print(*verdict.complaints, sep="\n", flush=True)
    return verdict


def three_telephones(company: LabCompany) -> LabCompany:
    """Leave out who is recorded on demand, and who has no number."""
    users = tuple(user for user in company.users if user.number and user.record is not RecordRule.ON_DEMAND)
    return replace(company, users=users)


async def test_twenty_kills(pbx: LabAsterisk, fonoteka: Fonoteka) -> None:
    """Eight companies call side by side, while every part is killed again and again."""
    async with AsyncExitStack() as on:
        offices = []
        for place, company in enumerate(NEIGHBOURS):
            seen = await fonoteka.seen_by(company)
            on.push_async_callback(seen.http.aclose)
            calls = plan(three_telephones(company), calls=2, at_once=1, per_second=5.0, talk_s=3.0, seed=SEED + place)
            offices.append(Office(pbx=pbx.seen_by(company), seen=seen, calls=calls))
        verdict = await one_round(offices, Random(SEED), (0.2, 0.8))  # noqa: S311 (no secret)
    assert verdict.complaints == []
    assert verdict.figures["stored_ms"] >= SOME_MS
    code, said, _ = await command("verify", folder=fonoteka.folder)
    assert (code, said.rpartition(": ")[2].strip()) == (0, "nothing is wrong")


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_two_hundred_kills(program: AsteriskProgram, tmp_path: Path) -> None:
    """Ten rounds in one installation; a round kills 20 times during 80 calls, 20 at once.

    One of the 20 is Asterisk, which starts again at once.
    """
    company, figures, complaints, random = load_company(60), Counter[str](), list[str](), Random(SEED)  # noqa: S311 (no secret)
    (tmp_path / "beside").mkdir()
    async with LabAsterisk(program, tmp_path / "pbx", company) as pbx, beside(pbx, tmp_path / "beside") as installation:
        for number in range(10):
            calls = plan(company, calls=80, at_once=20, per_second=3.0, talk_s=6.0, seed=SEED + number)
            office = Office(pbx=pbx, seen=installation, calls=calls)
            verdict = await one_round([office], random, (1.0, 2.6), kill_asterisk=True)
            figures += verdict.figures
            complaints += [f"round {number}: {complaint}" for complaint in verdict.complaints]
        code, said, _ = await command("verify", folder=installation.folder)
    print("\n".join([f"seed {SEED}: {dict(figures)}", f"verify: {said.strip()}", *complaints]))
    assert (code, complaints) == (0, [])
