"""Measure the cost of reading AMI events: `python bench/agent.py [--json] [--quick]`.

Our AMI client and bare panoramisk read the stream of an unfiltered manager interface over a
loopback socket, in turns in one run. The figure is the CPU time of the reading process. Two cases:
only the events that the agent uses are delivered (panoramisk cannot choose a variable: it delivers
every VarSet), and every event is delivered.
`cpu_s_per_1000_calls` is the cost of reading the events that Asterisk's filters let pass, folding
them into calls, deciding and reporting; shipping and files are not included (`bench/ready.py` runs
everything).
"""

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])  # in bench/, `agent` is this file

from panoramisk import Manager  # noqa: E402

from agent.ami.client import AmiClient, AmiEvent, LinkUp  # noqa: E402
from agent.calls.event_reader import LAYOUTS, WANTED  # noqa: E402
from bench.ami_load import EVENTS_OF_A_CALL, USED_OF_A_CALL, calls, saying  # noqa: E402
from bench.assembling import cpu_s_per_call  # noqa: E402
from bench.report import Result, print_result  # noqa: E402

Address = tuple[str, int]
Reader = Callable[[Address, frozenset[str], int], Awaitable[None]]
EVERY = frozenset(EVENTS_OF_A_CALL)


async def read_by_ours(address: Address, wanted: frozenset[str], deliveries: int) -> None:
    """Read until so many events have been handed on."""
    layouts = {name: layout for name, layout in LAYOUTS.items() if wanted != EVERY or not layout.only_with}
    client = AmiClient(address, "bench", "secret", events=wanted, layouts=layouts)
    run = asyncio.create_task(client.run())
    assert isinstance(await client.next(), LinkUp)
    for _ in range(deliveries):
        assert isinstance(await client.next(), AmiEvent)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)


async def read_by_panoramisk(address: Address, wanted: frozenset[str], deliveries: int) -> None:
    """Read the same with panoramisk, with its cheapest kind of callback."""
    manager = Manager(host=address[0], port=address[1], username="bench", secret="secret")
    left, over = deliveries, asyncio.Event()

    def take(_: Manager, message: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            over.set()

    for name in wanted:
        manager.register_event(name, take)
    await manager.connect()
    await over.wait()
    manager.close()


def cpu_s(read: Reader, address: Address, wanted: frozenset[str], deliveries: int) -> float:
    """Return the CPU time of this process for one reading."""
    gc.collect()
    begun_s = time.process_time()
    asyncio.run(asyncio.wait_for(read(address, wanted, deliveries), 120))
    return time.process_time() - begun_s


def main(quick: bool) -> Result:
    """Run both clients in turns; the figures are medians."""
    calls_said, rounds = (200, 3) if quick else (300, 5)
    events = calls_said * sum(EVENTS_OF_A_CALL.values())
    readers: dict[str, Reader] = {"ours": read_by_ours, "panoramisk": read_by_panoramisk}
    rates: dict[tuple[str, frozenset[str]], list[float]] = {}
    used = WANTED & EVERY
    with saying(calls(calls_said)) as address:
        for _ in range(rounds):
            for wanted in (used, EVERY):
                for name, read in readers.items():
                    counts = USED_OF_A_CALL if name == "ours" and wanted == used else EVENTS_OF_A_CALL
                    deliveries = calls_said * sum(counts[event] for event in wanted)
                    rates.setdefault((name, wanted), []).append(events / cpu_s(read, address, wanted, deliveries))
    rate = {key: median(values) for key, values in rates.items()}
    reading_s = sum(USED_OF_A_CALL.values()) / rate["ours", EVERY]
    understanding_s = median(cpu_s_per_call(calls_said) for _ in range(rounds))
    return Result(
        name="agent",
        figures={
            "events_per_core_second": rate["ours", used],
            "panoramisk_events_per_core_second": rate["panoramisk", used],
            "all_delivered_events_per_core_second": rate["ours", EVERY],
            "panoramisk_all_delivered_events_per_core_second": rate["panoramisk", EVERY],
            "cpu_s_per_1000_calls": 1000 * (reading_s + understanding_s),
            "understanding_cpu_s_per_1000_calls": 1000 * understanding_s,
        },
        ratios={
            "vs_panoramisk": rate["ours", used] / rate["panoramisk", used],
            "vs_panoramisk_all_delivered": rate["ours", EVERY] / rate["panoramisk", EVERY],
        },
        notes=(f"{events} events of {calls_said} calls, {rounds} rounds; the agent uses {len(used)} kinds of event",),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    parser.add_argument("--quick", action="store_true", help="fewer calls and rounds, done within 40 s")
    arguments = parser.parse_args()
    print_result(main(arguments.quick), as_json=arguments.json)
