"""Play all kinds of calls for half an hour, twenty at a time.

Usage: `python bench/soak.py [--minutes 30] [--json] [--quick]`.

A real Asterisk with ten companies and one Fonoteka. Nine companies play the call flows of lab/ at
random, one at a time; the tenth is the busy office of bench/load.py with eleven calls at a time.
Printed: rows, seconds, memory and open files of each part (with its children) before the calls, at
a tenth of the time, and at the end. Fails (exit 1) if a row is missing or there twice, if a
recording is not decided, or if a file stays in the spool.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

sys.path[0] = str(Path(__file__).parents[1])  # in bench/, `agent` is another file

import psutil  # noqa: E402

from bench.load import every_row, left_in  # noqa: E402
from bench.report import Result, print_result  # noqa: E402
from lab.asterisk.rootfs import find_or_build  # noqa: E402
from lab.asterisk.server import LabAsterisk  # noqa: E402
from lab.base.company import neighbour  # noqa: E402
from lab.base.errors import LabError  # noqa: E402
from lab.base.priority import foremost  # noqa: E402
from lab.scenarios.load_plan import load_company, plan  # noqa: E402
from lab.scenarios.load_run import run  # noqa: E402
from lab.tools.installation import Call, Fonoteka, beside  # noqa: E402
from tests.support.call_flows import ALL_FLOWS, ROWS  # noqa: E402

NEIGHBOURS: Final = tuple(map(neighbour, range(1, 10)))
OFFICE_AT_ONCE: Final = 11
PHONES: Final = 50
TALK_S: Final = 12.0
SETTLED_WITHIN_S: Final = 120.0
FLOW_S: Final = 30.0  # no flow begins so near the end
BATCH_S: Final = 60.0


@dataclass(kw_only=True)
class Soak:
    """What was played: flows by name, calls of the office, and what the telephones complain of."""

    ends_at: float
    random: Random
    rows: dict[str, int] = field(default_factory=dict)  # expected, by company
    played: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def left_s(self) -> float:
        return self.ends_at - time.monotonic()

    def expect(self, company: str, rows: int) -> None:
        self.rows[company] = self.rows.get(company, 0) + rows

    async def flows(self, pbx: LabAsterisk) -> None:
        """Play random call flows of one company until the time is over."""
        names = sorted(ALL_FLOWS)
        while True:
            name = self.random.choice(names)
            self.played[name] += 1
            self.expect(pbx.company.name, ROWS.get(name, 1))
            try:
                await ALL_FLOWS[name](pbx)
            except (LabError, OSError, AssertionError) as error:
                self.failures.append(f"{pbx.company.name} {name}: {type(error).__name__}: {error}")
            if self.left_s < FLOW_S:
                return

    async def office(self, pbx: LabAsterisk) -> None:
        """Play batches of calls of an office until the time is over."""
        for batch in range(1, 1_000_000):
            lasts_s = min(BATCH_S, self.left_s) - TALK_S
            per_second = OFFICE_AT_ONCE / TALK_S
            calls = plan(
                pbx.company,
                calls=max(OFFICE_AT_ONCE, round(per_second * lasts_s)),
                at_once=OFFICE_AT_ONCE,
                per_second=per_second,
                talk_s=TALK_S,
                seed=batch,
            )
            done = await run(pbx, calls)
            self.expect(pbx.company.name, len(done))
            self.played.update(call.planned.kind.value for call in done)
            self.failures += [f"office {call.planned.number} {call.planned.kind}: {call.failure}" for call in done if call.failure]
            if self.left_s < FLOW_S:
                return


def look(pbx: LabAsterisk, running: Fonoteka, when: str) -> dict[str, float]:
    """Return the memory and the open files of each part with its children."""
    pids = {"up": running.process.pid, "asterisk": pbx.pid} | {name: running.part(name) for name in ("agent", "mixer", "api")}
    figures: dict[str, float] = {}
    for name, pid in pids.items():
        process = psutil.Process(pid)
        family = [process, *(process.children(recursive=True) if name == "mixer" else ())]
        figures[f"{name}_mb_{when}"] = sum(each.memory_info().rss for each in family) / 1e6
        figures[f"{name}_files_{when}"] = sum(each.num_fds() for each in family)
    return figures


async def settled(views: dict[str, Fonoteka], rows: dict[str, int]) -> dict[str, list[Call]]:
    """Return the rows of each company once all are there and decided, or after the limit."""
    ends_at = time.monotonic() + SETTLED_WITHIN_S
    while True:
        found = {name: await every_row(view) for name, view in views.items()}
        everything = [row for company in found.values() for row in company]
        done = all(row["ended_at"] and row["recording"]["state"] not in ("recording", "processing") for row in everything)
        if (done and all(len(found[name]) >= rows[name] for name in rows)) or time.monotonic() > ends_at:
            return found
        await asyncio.sleep(0.5)


def complaints(soak: Soak, found: dict[str, list[Call]], left: list[str]) -> Iterator[str]:
    """Yield one line for each failed expectation."""
    yield from soak.failures
    for name, rows in found.items():
        if len(rows) != soak.rows[name]:
            yield f"{name}: {len(rows)} rows, not {soak.rows[name]}"
        for row in rows:
            state, reason = row["recording"]["state"], row["recording"]["reason"]
            if row["ended_at"] is None or state not in ("ready", "none"):
                yield f"{name} {row['linkedid']}: {state} ({reason}), ended at {row['ended_at']}"
    yield from (f"{file}: left in the spool" for file in left)


async def measure(folder: Path, minutes: float, seed: int) -> tuple[Result, list[str]]:
    """Run in its own lab."""
    companies, figures = (load_company(PHONES), *NEIGHBOURS), dict[str, float]()
    (folder / "beside").mkdir()
    async with AsyncExitStack() as on:
        pbx = await on.enter_async_context(LabAsterisk(find_or_build(), folder / "asterisk", *companies))
        running = await on.enter_async_context(beside(pbx, folder / "beside"))
        views = {company.name: await running.seen_by(company) for company in companies}
        figures |= look(pbx, running, "at_begin")
        soak = Soak(ends_at=time.monotonic() + 60 * minutes, random=Random(seed))  # noqa: S311 (no secret)
        with foremost():
            playing = asyncio.gather(
                soak.office(pbx.seen_by(companies[0])), *(soak.flows(pbx.seen_by(company)) for company in NEIGHBOURS)
            )
            await asyncio.sleep(6 * minutes)
            figures |= look(pbx, running, "at_a_tenth")
            await playing
        found, left = await settled(views, soak.rows), await left_in(pbx.spool)
        figures |= look(pbx, running, "at_end")
        for view in views.values():
            await view.http.aclose()
    everything = [row for rows in found.values() for row in rows]
    wrong = list(complaints(soak, found, left))
    counted = {
        "calls": soak.played.total(),
        "kinds": len(soak.played),
        "rows_expected": sum(soak.rows.values()),
        "rows": len(everything),
        "talk_s": sum(row["talk_s"] for row in everything),
        "recorded_s": sum((row["recording"]["duration_ms"] or 0) / 1000 for row in everything),
        "complaints": len(wrong),
    }
    notes = (f"{minutes:g} minutes, seed {seed}, {OFFICE_AT_ONCE} calls of the office and {len(NEIGHBOURS)} flows at a time",)
    return Result(name="soak", figures={**counted, **figures}, notes=notes), wrong


def main() -> int:
    """Play, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    parser.add_argument("--quick", action="store_true", help="as short as one round of each company allows, about 40 s")
    parser.add_argument("--minutes", type=float, help="how long (30)")
    parser.add_argument("--seed", type=int, default=1, help="the same choice of flows again")
    arguments = parser.parse_args()
    minutes = arguments.minutes or (0.25 if arguments.quick else 30.0)
    with tempfile.TemporaryDirectory(prefix="fonoteka-soak-") as folder:
        result, wrong = asyncio.run(measure(Path(folder), minutes, arguments.seed))
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    print_result(result, as_json=arguments.json)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
