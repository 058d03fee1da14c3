"""Play a busy office on a real Asterisk with Fonoteka: `python bench/load.py [--json] [--quick]`.

500 calls, 100 at once; parties hold, transfer, pick up, refuse and give up at random (`--seed`
repeats the same calls). The benchmark fails (exit 1) and names the call if a row is missing or
superfluous, if a segment is missing or its length is off by 0.15 s, if a file stays in the spool,
if events reach the agent late (p99 0.5 s), or if the agent takes a tenth of a core. Telephones,
Asterisk and mixer share the machine: the share of each is reported, and how late the telephones
were.
"""

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

sys.path[0] = str(Path(__file__).parents[1])  # in bench/, `agent` is another file

from bench.load_truth import row_of, wrong  # noqa: E402
from bench.report import Result, print_result  # noqa: E402
from fonoteka.core.call_report import Direction  # noqa: E402
from fonoteka.core.domains import RecordRule  # noqa: E402
from lab.asterisk.rootfs import find_or_build  # noqa: E402
from lab.asterisk.server import LabAsterisk  # noqa: E402
from lab.base.lateness import Lateness  # noqa: E402
from lab.base.spool_files import spool_files  # noqa: E402
from lab.scenarios.load_plan import load_company, most_at_once, plan  # noqa: E402
from lab.scenarios.load_run import Played, run  # noqa: E402
from lab.tools.installation import ALWAYS, Call, Fonoteka, beside, free_port  # noqa: E402

SETTLED_WITHIN_S: Final = 90.0
MOST_LAG_S: Final = 0.5
MOST_CORE: Final = 0.1
STARTS_NEAR_S: Final = 3.0  # no party is in two calls within this time (lab.scenarios.load_plan)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How much to play."""

    calls: int
    at_once: int
    talk_s: float
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The result: the played calls, the rows, the files left in the spool, and the cost."""

    played: list[Played]
    rows: list[Call]
    left: list[str]
    wall_s: float
    cpu_s: dict[str, float]
    lag_p99_s: float
    phones_late_s: float
    log: str


async def play(pbx: LabAsterisk, folder: Path, scale: Scale) -> Outcome:
    """Play a plan with Fonoteka running; return when the last recording has its final state."""
    metrics = f"127.0.0.1:{free_port()}"
    per_second = 1.5 * scale.at_once / scale.talk_s
    planned = plan(
        pbx.company, calls=scale.calls, at_once=scale.at_once, per_second=per_second, talk_s=scale.talk_s, seed=scale.seed
    )
    async with beside(pbx, folder, FONOTEKA_AGENT__METRICS=metrics) as running:
        before, started = cpu_by_part(pbx, running), time.monotonic()
        with Lateness() as lateness:
            played = await run(pbx, planned)
            phones_late_s = lateness.worst_s(started)
        rows = await settled(running, len(played))
        after, settled_at = cpu_by_part(pbx, running), time.monotonic()
        async with httpx.AsyncClient() as http:
            lag_p99_s = quantile_of_histogram(
                (await http.get(f"http://{metrics}/metrics")).text, "fonoteka_ami_event_age_seconds", 0.99
            )
        left, log = await left_in(pbx.spool), running.log()
    return Outcome(
        played=played,
        rows=rows,
        left=left,
        wall_s=settled_at - started,
        cpu_s={part: after[part] - before[part] for part in after},
        lag_p99_s=lag_p99_s,
        phones_late_s=phones_late_s,
        log=log,
    )


def cpu_by_part(pbx: LabAsterisk, running: Fonoteka) -> dict[str, float]:
    """Return the CPU time of each part with its children; the phones are this process."""
    pids = {name: running.part(name) for name in ("agent", "mixer", "api")} | {"asterisk": pbx.pid}
    parts = {name: psutil.Process(pid) for name, pid in pids.items()}
    spent = {name: sum(map(_cpu_s, (process, *process.children(recursive=True)))) for name, process in parts.items()}
    return {**spent, "phones": sum(os.times()[:2])}


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def settled(running: Fonoteka, calls: int) -> list[Call]:
    """Return all rows once each call has a row in a final state, or after a time limit."""
    deadline = asyncio.get_running_loop().time() + SETTLED_WITHIN_S
    while True:
        rows = await every_row(running)
        open_ones = [row for row in rows if row["ended_at"] is None or row["recording"]["state"] in ("recording", "processing")]
        if (len(rows) >= calls and not open_ones) or asyncio.get_running_loop().time() > deadline:
            return rows
        await asyncio.sleep(0.5)


async def every_row(running: Fonoteka) -> list[Call]:
    """Return all pages of the list."""
    rows: list[Call] = []
    cursor: dict[str, Any] = {}
    while True:
        page = (await running.http.get("/api/calls", params={**ALWAYS, "limit": 500, **cursor})).raise_for_status().json()
        rows += page["items"]
        if page["next"] is None:
            return rows
        cursor = {"cursor": page["next"]}


async def left_in(spool: Path) -> list[str]:
    """Return the files that stay in the spool for ten seconds."""
    for _ in range(100):
        left = sorted(str(path.relative_to(spool)) for path in spool_files(spool))
        if not left:
            break
        await asyncio.sleep(0.1)
    return left


def quantile_of_histogram(text: str, name: str, share: float) -> float:
    """Return a quantile of a Prometheus histogram: the upper bound of its bucket.

    Raises ValueError if there are no observations.
    """
    found = re.findall(rf'^{name}_bucket{{le="([^"]+)"}} ([0-9.e+]+)$', text, re.MULTILINE)
    if not found or float(found[-1][1]) == 0:
        raise ValueError(f"no observations of {name}")
    return next(float(bound) for bound, count in found if float(count) >= share * float(found[-1][1]))


def complaints(outcome: Outcome, recorded: frozenset[str]) -> Iterator[str]:
    """Yield one line for each failed expectation."""
    waiting = list(outcome.rows)
    for call in outcome.played:
        planned = call.planned
        name = f"{planned.number} {planned.kind}, {planned.caller} → {planned.callee} {planned.colleague}".strip()
        if call.failure:
            yield f"{name}: the telephones failed: {call.failure}"
        row = next((row for row in waiting if _is_of(row, call)), None)
        if row is None:
            yield f"{name}: no row"
            continue
        waiting.remove(row)
        found = [] if call.failure else list(wrong(call, row, recorded))
        yield from (f"{name} ({row['linkedid']}): {complaint}" for complaint in found)
        if any("segments of" in complaint for complaint in found):
            yield from (f"    {line}" for line in outcome.log.splitlines() if f"linkedid={row['linkedid']} " in line)
    yield from (f"{row['linkedid']} {row['src']} → {row['dst']}: one row too many" for row in waiting)
    yield from (f"{file}: left in the spool" for file in outcome.left)
    if outcome.lag_p99_s > MOST_LAG_S:
        yield f"events reach the agent {outcome.lag_p99_s} s late (p99)"
    if (core := outcome.cpu_s["agent"] / outcome.wall_s) > MOST_CORE:
        yield f"the agent takes {core:.1%} of a core"


def _is_of(row: Call, call: Played) -> bool:
    expected = row_of(call)
    if (row["src"], row["dst"]) != (expected["src"], expected["dst"]):
        return False
    near_s = abs(datetime.fromisoformat(row["started_at"]).timestamp() - call.started_at)
    return call.planned.direction is not Direction.INTERNAL or near_s < STARTS_NEAR_S


async def main(scale: Scale) -> tuple[Result, list[str]]:
    """Run in its own lab."""
    company = load_company(min(240, scale.at_once * 2 + 10))
    recorded = frozenset(user.extension for user in company.users if user.record is RecordRule.ALL)
    with tempfile.TemporaryDirectory(prefix="fonoteka-bench-") as folder:
        (Path(folder) / "beside").mkdir()
        load_before = os.getloadavg()[0]
        async with LabAsterisk(find_or_build(), Path(folder) / "asterisk", company) as pbx:
            outcome = await play(pbx, Path(folder) / "beside", scale)
    found = list(complaints(outcome, recorded))
    kinds = Counter(call.planned.kind.value for call in outcome.played)
    shares = {part: cpu_s / outcome.wall_s for part, cpu_s in outcome.cpu_s.items()}
    result = Result(
        name="load",
        figures={
            "calls": len(outcome.played),
            "most_at_once": most_at_once([call.planned for call in outcome.played]),
            "rows": len(outcome.rows),
            "segments": sum(len(row["recording"]["segments"]) for row in outcome.rows),
            "complaints": len(found),
            "event_lag_p99_s": outcome.lag_p99_s,
            "agent_core": shares["agent"],
            "agent_cpu_s_per_1000_calls": 1000 * outcome.cpu_s["agent"] / len(outcome.played),
            "phones_late_s": outcome.phones_late_s,
            "wall_s": outcome.wall_s,
        },
        ratios={f"{part}_share_of_a_core": share for part, share in shares.items()},
        notes=(
            ", ".join(f"{number} {kind}" for kind, number in kinds.most_common()),
            f"load of the machine before the start {load_before:.1f}; seed {scale.seed}",
        ),
    )
    return result, found


def print_complaints(complaints: Sequence[str], phones_late_s: float) -> None:
    """Print the failed expectations on stderr."""
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    if complaints and phones_late_s > 0.1:
        print(
            f"The telephones were up to {phones_late_s:.2f} s late: this machine cannot run so large a load "
            "with the telephones, or it is busy. Try fewer calls (--at-once).",
            file=sys.stderr,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    parser.add_argument("--quick", action="store_true", help="40 calls, 20 at once, done within 40 s")
    parser.add_argument("--calls", type=int, help="how many calls")
    parser.add_argument("--at-once", type=int, help="how many of them at once")
    parser.add_argument("--talk-s", type=float, help="how long they talk on average")
    parser.add_argument("--seed", type=int, default=1, help="the same calls again")
    arguments = parser.parse_args()
    scale = Scale(
        calls=arguments.calls or (40 if arguments.quick else 500),
        at_once=arguments.at_once or (20 if arguments.quick else 100),
        talk_s=arguments.talk_s or (4.0 if arguments.quick else 20.0),
        seed=arguments.seed,
    )
    measured, wrong_things = asyncio.run(main(scale))
    print_complaints(wrong_things, measured.figures["phones_late_s"])
    print_result(measured, as_json=arguments.json)
    sys.exit(1 if wrong_things else 0)
