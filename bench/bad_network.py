"""Compare the quality in the rows of calls with what their packets went through.

Usage: `python bench/bad_network.py [--json] [--quick]`.

Fifty calls at the same time, a minute each, on a real Asterisk with Fonoteka. Each employee's
telephone is behind a network of its own (lab/sip/bad_network.py) that loses 0, 1, 5 or 10 % of the
packets and delays them 40 ms, exactly or with 30 ms of jitter, in both directions; it reports what
it received by RTCP. The row has the worse direction. The benchmark fails (exit 1) if a row is
missing or has no quality, if its loss is off by a point from what that stream lost on its way, or
if the median score of the calls does not fall with the loss, or that of all losses with the jitter.
`--quick` makes eight calls of 16 s; their loss may be off by 3.75 points.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

sys.path[0] = str(Path(__file__).parents[1])  # in bench/, `agent` is another file

from bench.load import every_row  # noqa: E402
from bench.report import Result, print_result  # noqa: E402
from lab.asterisk.rootfs import find_or_build  # noqa: E402
from lab.asterisk.server import LabAsterisk  # noqa: E402
from lab.base.eventually import eventually  # noqa: E402
from lab.base.priority import foremost  # noqa: E402
from lab.scenarios.load_plan import load_company  # noqa: E402
from lab.scenarios.steps import answered  # noqa: E402
from lab.sip.bad_network import RELAY, BadNetwork, Traffic  # noqa: E402
from lab.sip.handset import TRUNK, Handset, handset  # noqa: E402
from lab.tools.installation import Call, Fonoteka, beside  # noqa: E402

LOSSES_PCT: Final = (0.0, 1.0, 5.0, 10.0)
JITTERS_MS: Final = (0.0, 30.0)
CELLS: Final = tuple(product(LOSSES_PCT, JITTERS_MS))
DELAY_MS: Final = 40.0
EVERY_S: Final = 0.2  # one call begins after another
# A point in a minute: what is lost after Asterisk's last report, up to five seconds, is in no row.
MOST_OFF_PCT_S: Final = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """One call: its network, the direction that the row tells of, and what was lost in it."""

    network: BadNetwork
    direction: str  # heard: what came from the telephone; hears: what came to it
    traffic: Traffic
    quality: dict[str, Any]

    @property
    def off_pct(self) -> float:
        """By how much the loss in the row is more than that on the way."""
        return float(self.quality["loss_pct"]) - self.traffic.loss_pct


@dataclass(frozen=True, kw_only=True, slots=True)
class Talk:
    """A call as the telephones and the network had it."""

    number: str
    network: BadNetwork
    from_phone: Traffic
    to_phone: Traffic


async def talk(outside: Handset, desk: Handset, dialled: str, place: int, network: BadNetwork, talk_s: float) -> Talk:
    """Make one call and end it."""
    await asyncio.sleep(place * EVERY_S)
    number = f"8913{place:07d}"
    there, here = await answered(outside, dialled, desk, user=number)
    path = here.path
    await asyncio.sleep(talk_s)
    await there.hang_up()
    await here.over()
    return Talk(number=number, network=network, from_phone=path.from_phone, to_phone=path.to_phone)


async def play(pbx: LabAsterisk, calls: int, talk_s: float, seed: int) -> list[Talk]:
    """Make all calls, a tenth longer or shorter at random. Raises LabError."""
    chance = random.Random(seed)  # noqa: S311
    async with AsyncExitStack() as on:
        on.enter_context(foremost())
        outside = await on.enter_async_context(handset(pbx, TRUNK))
        talks = []
        for place, user in enumerate(pbx.company.users[:calls]):
            loss_pct, jitter_ms = CELLS[place % len(CELLS)]
            network = BadNetwork(loss_pct=loss_pct, delay_ms=DELAY_MS, jitter_ms=jitter_ms, seed=1000 * seed + place)
            desk = await on.enter_async_context(handset(pbx, user.extension, network=network))
            talks.append(talk(outside, desk, user.number or "", place, network, talk_s * chance.uniform(0.9, 1.1)))
        return await asyncio.gather(*talks)


async def ended_rows(running: Fonoteka, calls: int) -> dict[str, Call]:
    """Return the rows by caller, with their paths, once all calls have ended."""

    async def all_ended() -> list[Call] | None:
        rows = await every_row(running)
        return rows if len(rows) >= calls and all(row["ended_at"] for row in rows) else None

    return {row["src"]: await running.details(row) for row in await eventually(all_ended)}


def compare(talk: Talk, row: Call | None) -> Heard | None:
    """Return what the row tells beside what its stream lost, or None if it tells nothing."""
    if row is None or row["quality"] is None:
        return None
    step = next(step for step in row["path"] if step["quality"] == row["quality"])
    traffic = talk.from_phone if step["what"] == "heard" else talk.to_phone
    return Heard(network=talk.network, direction=step["what"], traffic=traffic, quality=row["quality"])


def of_cell(heard: Sequence[Heard], loss_pct: float, jitter_ms: float) -> list[Heard]:
    """Return the calls of one cell of the matrix."""
    return [each for each in heard if (each.network.loss_pct, each.network.jitter_ms) == (loss_pct, jitter_ms)]


def complaints(talks: Sequence[Talk], heard: Sequence[Heard | None], most_off_pct: float) -> Iterator[str]:
    """Yield one line for each failed expectation."""
    for talk, each in zip(talks, heard, strict=True):
        if each is None:
            yield f"{talk.number}: no row, or no quality in it"
        elif abs(each.off_pct) > most_off_pct:
            lost, reported = each.traffic.loss_pct, each.quality["loss_pct"]
            yield f"{talk.number} ({each.direction}): the network lost {lost:.1f} %, the row has {reported} %"
    known = [each for each in heard if each is not None]
    scores = {cell: median(each.quality["mos"] for each in calls) for cell in CELLS if (calls := of_cell(known, *cell))}
    if len(scores) == len(CELLS):
        yield from disorder(scores, by_jitter=len(talks) > len(CELLS))


def disorder(scores: dict[tuple[float, float], float], *, by_jitter: bool) -> Iterator[str]:
    """Yield one line for each score that does not fall.

    The score falls by a few hundredths with the jitter, as much as it differs from call to call:
    all losses together are judged, and only of several calls each.
    """
    for jitter_ms in JITTERS_MS:
        of_losses = [scores[loss_pct, jitter_ms] for loss_pct in LOSSES_PCT]
        if any(better <= worse for better, worse in pairwise(of_losses)):
            yield f"with {jitter_ms:g} ms of jitter the scores by loss are {of_losses}"
    of_jitters = [mean(scores[loss_pct, jitter_ms] for loss_pct in LOSSES_PCT) for jitter_ms in JITTERS_MS]
    if by_jitter and any(better <= worse for better, worse in pairwise(of_jitters)):
        yield f"the scores by jitter are {of_jitters}"


def figures_of(heard: Sequence[Heard]) -> Iterator[tuple[str, float]]:
    """Yield the figures of each cell."""
    for loss_pct, jitter_ms in CELLS:
        calls, cell = of_cell(heard, loss_pct, jitter_ms), f"loss_{loss_pct:g}_jitter_{jitter_ms:g}"
        if not calls:
            continue
        yield f"{cell}_calls", len(calls)
        yield f"{cell}_lost_on_the_way_pct", mean(each.traffic.loss_pct for each in calls)
        yield f"{cell}_row_loss_pct", mean(each.quality["loss_pct"] for each in calls)
        yield f"{cell}_worst_off_pct", max((each.off_pct for each in calls), key=abs)
        yield f"{cell}_mos", median(each.quality["mos"] for each in calls)
        yield f"{cell}_row_jitter_ms", median(each.quality["jitter_ms"] for each in calls)
        if round_trips := [each.quality["rtt_ms"] for each in calls if each.quality["rtt_ms"] is not None]:
            yield f"{cell}_row_rtt_ms", median(round_trips)


async def measure(folder: Path, calls: int, talk_s: float, seed: int) -> tuple[Result, list[str]]:
    """Run in its own lab."""
    (folder / "beside").mkdir()
    load_before = os.getloadavg()[0]
    async with (
        LabAsterisk(find_or_build(), folder / "asterisk", load_company(max(calls, 5))) as pbx,
        beside(pbx, folder / "beside") as running,
    ):
        talks = await play(pbx, calls, talk_s, seed)
        rows = await ended_rows(running, calls)
    heard = [compare(talk, rows.get(talk.number)) for talk in talks]
    known = [each for each in heard if each is not None]
    found = list(complaints(talks, heard, MOST_OFF_PCT_S / talk_s))
    ways = ", ".join(f"{sum(each.direction == way for each in known)} {way}" for way in ("heard", "hears"))
    result = Result(
        name="bad_network",
        figures={
            "calls": len(talks),
            "complaints": len(found),
            "packets": sum(talk.from_phone.packets + talk.to_phone.packets for talk in talks),
            "relay_late_ms": 1000 * RELAY.worst_late_s,
            **dict(figures_of(known)),
        },
        notes=(f"the worse direction: {ways}", f"load of the machine before the start {load_before:.1f}; seed {seed}"),
    )
    return result, found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    parser.add_argument("--quick", action="store_true", help="8 calls of 16 s, done within 40 s")
    parser.add_argument("--seed", type=int, default=1, help="the same losses again")
    arguments = parser.parse_args()
    calls, talk_s = (8, 16.0) if arguments.quick else (50, 60.0)
    with tempfile.TemporaryDirectory(prefix="fonoteka-bench-") as folder:
        measured, wrong = asyncio.run(measure(Path(folder), calls, talk_s, arguments.seed))
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    print_result(measured, as_json=arguments.json)
    sys.exit(1 if wrong else 0)
