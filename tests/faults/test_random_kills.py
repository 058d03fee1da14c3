"""Parts are killed at random moments while calls go on (SCENARIOS 27): nothing is lost or doubled.

`make test` kills 20 times, `make faults` 200 times and prints the figures.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import mkdtemp

import httpx
import pytest

from fonoteka.core.domains import RecordRule
from lab.asterisk.rootfs import AsteriskProgram
from lab.asterisk.server import LabAsterisk
from lab.base.company import LabCompany
from lab.base.lateness import Lateness
from lab.scenarios.load_plan import Planned, load_company, plan
from lab.scenarios.load_run import run
from lab.tools.installation import Call, Fonoteka, beside
from lab.tools.installation import fonoteka as command
from tests.conftest import NEIGHBOURS
from tests.support.call_flows import files_in
from tests.support.eventually import eventually
from tests.support.random_kills import KeptLegs, Verdict, all_are_over, kill_parts, seconds_since, stored_ms

SEED = 27
SETTLED_WITHIN_S = 300.0


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


async def one_round(offices: Sequence[Office], random: Random, pause_s: tuple[float, float]) -> Verdict:
    """Play the calls of all offices, kill parts meanwhile, and judge when all is settled."""
    pbx, installation = offices[0].pbx, offices[0].seen
    before, stored_before, files_before = [await office.seen.ids() for office in offices], stored_ms(installation), files_in(pbx)
    legs, began, verdict = KeptLegs(pbx.spool, Path(mkdtemp(dir=pbx.folder))), time.monotonic(), Verdict()
    keeping = asyncio.create_task(legs.keep())
    with Lateness() as lateness:
        killing = asyncio.create_task(kill_parts(installation, random, pause_s))
        played = await asyncio.gather(*(run(office.pbx, office.calls) for office in offices))
        late_s, calls_s = lateness.total_s(began), seconds_since(began)
        killed = await killing

    async def settled() -> bool:
        try:
            rows = [await office.rows(ids) for office, ids in zip(offices, before, strict=True)]
        except httpx.HTTPError:  # the API starts
            return False
        return all(map(all_are_over, rows, map(len, played))) and not files_in(pbx) - files_before

    with suppress(AssertionError):  # the verdict says more
        await eventually(settled, within_s=SETTLED_WITHIN_S)
    keeping.cancel()
    for office, calls, ids in zip(offices, played, before, strict=True):
        verdict.judge_calls(calls, await office.rows(ids), office.recorded, office.pbx.company.own, late_s)
    stored = {name: length_ms for name, length_ms in stored_ms(installation).items() if name not in stored_before}
    verdict.judge_audio(legs.written_ms(), stored)
    verdict.complaints += [f"{file}: left in the spool" for file in files_in(pbx) - files_before]
    verdict.figures.update({f"kills of {name}": number for name, number in killed.items()})
    verdict.figures.update(kills=killed.total())
    print(
        f"\n{calls_s} s of calls, settled after {seconds_since(began)} s, telephones late {late_s:.2f} s: {dict(verdict.figures)}"
    )
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
    code, said, _ = await command("verify", folder=fonoteka.folder)
    assert (code, said.rpartition(": ")[2].strip()) == (0, "nothing is wrong")


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_two_hundred_kills(program: AsteriskProgram, tmp_path: Path) -> None:
    """Ten rounds in one installation; a round kills 20 times during 80 calls, 20 at once."""
    company, figures, complaints, random = load_company(60), Counter[str](), list[str](), Random(SEED)  # noqa: S311 (no secret)
    (tmp_path / "beside").mkdir()
    async with LabAsterisk(program, tmp_path / "pbx", company) as pbx, beside(pbx, tmp_path / "beside") as installation:
        for number in range(10):
            calls = plan(company, calls=80, at_once=20, per_second=3.0, talk_s=6.0, seed=SEED + number)
            office = Office(pbx=pbx, seen=installation, calls=calls)
            verdict = await one_round([office], random, (1.0, 2.6))
            figures += verdict.figures
            complaints += [f"round {number}: {complaint}" for complaint in verdict.complaints]
        code, said, _ = await command("verify", folder=installation.folder)
    print("\n".join([f"seed {SEED}: {dict(figures)}", f"verify: {said.strip()}", *complaints]))
    assert (code, complaints) == (0, [])
