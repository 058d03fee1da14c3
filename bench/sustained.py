"""Calls come in at a steady rate for ten minutes: the API must keep up, and its memory stay.

Usage: `python bench/sustained.py [--per-s N] [--minutes N] [--store NAME] [--json] [--quick]`.

Each call is reported twice to a real API, as agents do it: when the call is answered, and when it
has ended ten seconds later. Twenty connections send the reports; a connection waits a second
between its requests. A portal loads the first page of calls each second. Printed: how late the
store had a report, the time of the page, the CPU of the API and of the database, and the memory of
the API ten times. Fails (exit 1) if a report is refused or a call is missing.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

sys.path[0] = str(Path(__file__).parents[1])  # as a script, Python looks into bench/ first

import httpx  # noqa: E402
import psutil  # noqa: E402
from pydantic import TypeAdapter  # noqa: E402
from sqlalchemy import func, make_url, select  # noqa: E402

from bench.listening import log_in  # noqa: E402
from bench.report import Result, print_result, quantile  # noqa: E402
from bench.served_api import served  # noqa: E402
from fonoteka.core.agent_protocol import CallReceipts  # noqa: E402
from fonoteka.core.call_report import CallReport  # noqa: E402
from fonoteka.core.config import StoreSection  # noqa: E402
from store.database.schema import calls  # noqa: E402
from store.database.store import Store  # noqa: E402
from tests.data import seed  # noqa: E402
from tests.support.postgresql import BINARIES, running  # noqa: E402

CONNECTIONS: Final = 20
MOST_IN_A_REQUEST: Final = 200
ENDS_AFTER_S: Final = 10
MEASUREMENTS: Final = 10  # of CPU and memory, evenly over the time
EMPLOYEES: Final = ("130", "152", "421")
_REPORTS: Final = TypeAdapter(list[CallReport])
_DATABASES: Final = {"postgresql": "postgres", "sqlite": "index.db"}


@dataclass
class Office:
    """The reports that wait to be sent, and what became of them."""

    waiting: deque[tuple[float, CallReport]] = field(default_factory=deque)
    late_s: list[float] = field(default_factory=list)
    requests: int = 0
    refused: list[str] = field(default_factory=list)
    over: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """CPU seconds and MB of memory of the API, and CPU seconds of the database's processes."""

    api_cpu_s: float
    api_mb: float
    database_cpu_s: float


def report_pair(number: int, at: datetime) -> tuple[CallReport, CallReport]:
    """Make the two reports of a call that is answered now."""
    user = EMPLOYEES[number % len(EMPLOYEES)]
    ended = replace(
        seed.a_call(number, at, talk_ms=1000 * ENDS_AFTER_S - 1000),
        employee=user,
        participants=(user,),
        answered_by=user,
        src=f"8913{number % 10_000_000:07}",
        segments=(),
    )
    return replace(ended, revision=ended.revision - 1, ended_at=None, talk_ms=0), ended


async def come_in(office: Office, per_s: float, seconds: float) -> int:
    """Add reports at a steady rate; returns the number of calls."""
    began, first = time.monotonic(), datetime.now(UTC).replace(microsecond=0)
    ends: deque[tuple[float, CallReport]] = deque()
    number = 0
    while (passed_s := time.monotonic() - began) < seconds or ends:
        while number < min(passed_s, seconds) * per_s:
            due_s = number / per_s
            answered, ended = report_pair(number, first + timedelta(seconds=due_s))
            office.waiting.append((began + due_s, answered))
            ends.append((began + due_s + ENDS_AFTER_S, ended))
            number += 1
        while ends and ends[0][0] <= time.monotonic():
            office.waiting.append(ends.popleft())
        await asyncio.sleep(0.05)
    office.over = True
    return number


async def send(office: Office, address: str) -> None:
    """Send what waits, a request at a time, until all is sent."""
    headers = {"Authorization": f"Bearer {seed.PBX_TOKEN}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as client:
        while office.waiting or not office.over:
            batch = [office.waiting.popleft() for _ in range(min(MOST_IN_A_REQUEST, len(office.waiting)))]
            if batch:
                answer = await client.put("/agent/v1/calls", content=_REPORTS.dump_json([report for _, report in batch]))
                office.requests += 1
                receipts = TypeAdapter(CallReceipts).validate_json(answer.raise_for_status().content).receipts
                office.refused += [receipt.refused for receipt in receipts if receipt.refused]
                now = time.monotonic()
                office.late_s += [now - due for due, _ in batch]
            await asyncio.sleep(1.0 if len(batch) < MOST_IN_A_REQUEST else 0)


async def look(office: Office, address: str) -> list[float]:
    """Load the first page of calls each second, as a portal; returns the seconds that it took."""
    took: list[float] = []
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        client.headers["Authorization"] = f"Bearer {await log_in(address, '900')}"
        while not office.over:
            began = time.monotonic()
            (await client.get("/api/calls", params={"limit": 50})).raise_for_status()
            took.append(time.monotonic() - began)
            await asyncio.sleep(1.0)
    return took


def usage(database: str) -> Usage:
    """Measure the API, a child of this process, and the server of the database, if it has one."""
    apis = [child for child in psutil.Process().children() if "fonoteka" in child.cmdline()]
    port = str(make_url(database).port)
    servers = [process for process in psutil.process_iter() if process.name() == "postgres" and port in process.cmdline()]
    sessions = [session for server in servers for session in server.children()]
    return Usage(
        api_cpu_s=sum(map(_cpu_s, apis)),
        api_mb=sum(child.memory_info().rss for child in apis) / 1e6,
        database_cpu_s=sum(map(_cpu_s, servers + sessions)),
    )


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


@asynccontextmanager
async def seeded(kind: str, folder: Path) -> AsyncIterator[StoreSection]:
    """Make a store with the seed's people and without calls."""
    with running(BINARIES) if kind == "postgresql" else nullcontext(f"sqlite:///{folder}") as server:
        section = StoreSection(database=f"{server}/{_DATABASES[kind]}", objects=f"file://{folder}/objects")
        store = await Store.open(section)
        try:
            await seed.seed(store, count=0)
        finally:
            await store.close()
        yield section


async def _stored(section: StoreSection) -> int:
    store = await Store.open(section)
    try:
        async with store.reading() as connection:
            ended = select(func.count()).select_from(calls).where(calls.c.ended_at.is_not(None))
            return int((await connection.execute(ended)).scalar_one())
    finally:
        await store.close()


async def measure(kind: str, per_s: float, seconds: float) -> tuple[Result, bool]:
    """Run it once; returns the result, and whether each call is there."""
    with tempfile.TemporaryDirectory(prefix="fonoteka-bench-") as folder:
        async with seeded(kind, Path(folder)) as section:
            async with served(section) as address:
                office, begin = Office(), usage(section.database)
                async with asyncio.TaskGroup() as group:
                    coming = group.create_task(come_in(office, per_s, seconds))
                    looking = group.create_task(look(office, address))
                    senders = [group.create_task(send(office, address)) for _ in range(CONNECTIONS)]
                    seen = []
                    for _ in range(MEASUREMENTS):
                        await asyncio.sleep(seconds / MEASUREMENTS)
                        seen.append(usage(section.database))
                    await asyncio.wait(senders)
                    seen.append(usage(section.database))
            stored = await _stored(section)
    took_s = seconds + ENDS_AFTER_S
    figures = {
        "calls": coming.result(),
        "calls_stored": stored,
        "reports": len(office.late_s),
        "requests": office.requests,
        "refused": len(office.refused),
        "report_late_p50_s": quantile(office.late_s, 0.5),
        "report_late_p99_s": quantile(office.late_s, 0.99),
        "report_late_max_s": max(office.late_s),
        "page_p50_ms": 1000 * quantile(looking.result(), 0.5),
        "page_p99_ms": 1000 * quantile(looking.result(), 0.99),
        "api_share_of_a_core": (seen[-1].api_cpu_s - begin.api_cpu_s) / took_s,
        "database_share_of_a_core": (seen[-1].database_cpu_s - begin.database_cpu_s) / took_s,
        "api_mb_after_a_tenth": seen[0].api_mb,
        "api_mb_after_a_half": seen[MEASUREMENTS // 2 - 1].api_mb,
        "api_mb_at_the_end": seen[-1].api_mb,
    }
    complete = stored == coming.result() and not office.refused
    notes = [
        f"{kind}; {per_s:g} calls a second for {seconds:g} s, two reports each",
        "MB of the API after each tenth of the time, and at the end: " + ", ".join(f"{used.api_mb:.0f}" for used in seen),
        *office.refused[:3],
    ]
    ratios = {"memory_of_the_last_half": seen[-1].api_mb / seen[MEASUREMENTS // 2 - 1].api_mb}
    return Result(name="sustained", figures=figures, ratios=ratios, notes=notes), complete


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-s", type=float, default=300, help="calls a second")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--store", choices=tuple(_DATABASES), default="postgresql")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    parser.add_argument("--quick", action="store_true", help="50 calls a second for 20 s")
    options = parser.parse_args()
    per_s, seconds = (50, 20) if options.quick else (options.per_s, 60 * options.minutes)
    result, complete = asyncio.run(measure(options.store, per_s, seconds))
    print_result(result, as_json=options.json)
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
