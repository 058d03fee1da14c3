"""Measure requests of audio per second, by eight clients, on SQLite.

Usage: `python -m bench.listening [--requests N] [--calls N] [--seconds S]`

`first` asks for calls that the session has not heard: each answer waits for its entry of the
audit. `again` asks for parts of one call that the session has heard. `processor_ms` is the API's,
for each request: it depends less on what else runs.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

import httpx
import psutil

from bench.served_api import served
from fonoteka.core.naming import call_id
from store.database.store import Store
from tests.api.conftest import ship
from tests.data import seed

CLIENTS = 8


async def filled(address: str, calls: int, length_ms: int) -> list[str]:
    """Ship calls with recordings; return the paths of their audio."""
    paths = []
    async with httpx.AsyncClient(base_url=address, headers={"Authorization": f"Bearer {seed.PBX_TOKEN}"}, timeout=60) as agent:
        for number in range(calls):
            call = seed.a_call(number, datetime(2026, 11, 22, 12, tzinfo=UTC))
            await ship(agent, call, length_ms)
            paths.append(f"/api/calls/{call_id('pbx1', call.linkedid)}/audio")
    return paths


async def run(address: str, token: str, requests: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Send the requests, each a path and a range, by eight clients; return the figures."""
    waiting, times = list(reversed(requests)), list[float]()

    async def client() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as session:
            while waiting:
                path, byte_range = waiting.pop()
                start = time.perf_counter()
                answer = await session.get(path, headers={"Range": byte_range})
                times.append(time.perf_counter() - start)
                assert answer.status_code == 206, answer.text

    start, used = time.perf_counter(), processor_s()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    seconds, used = time.perf_counter() - start, processor_s() - used
    percentiles = quantiles(times, n=100)
    return {
        "requests_per_s": round(len(requests) / seconds, 1),
        "p50_ms": round(percentiles[49] * 1000, 1),
        "p99_ms": round(percentiles[98] * 1000, 1),
        "processor_ms": round(used * 1000 / len(requests), 2),
    }


def processor_s() -> float:
    """Return the processor time of the API, which is the only child of this process."""
    times = psutil.Process().children()[0].cpu_times()
    return float(times.user + times.system)


async def log_in(address: str, login: str = "152") -> str:
    """Return the token of a new session of a user of the seed's first domain."""
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        answer = await client.post("/api/login", json={"domain": "acme", "login": login, "password": seed.PASSWORD})
        token: str = answer.json()["token"]
        return token


async def measure(requests: int, calls: int, length_ms: int) -> dict[str, dict[str, float]]:
    """Measure both cases with a new store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = await Store.open(seed.section(folder), sweep=True)
        await seed.seed(store, count=0)
        await store.close()
        async with served(seed.section(folder)) as address:
            paths = await filled(address, calls, length_ms)
            await run(address, await log_in(address), [(paths[0], "bytes=0-")] * 50)  # loads modules and fills caches
            first = dict[str, list[float]]()
            for _ in range(max(1, requests // calls)):
                figures = await run(address, await log_in(address), [(path, "bytes=0-") for path in paths])
                for key, value in figures.items():
                    first.setdefault(key, []).append(value)
            token = await log_in(address)
            await run(address, token, [(paths[0], "bytes=0-")] * 2)
            again = await run(address, token, [(paths[0], f"bytes={place % 1000}-") for place in range(requests)])
    return {"first": {key: round(sum(values) / len(values), 1) for key, values in first.items()}, "again": again}


def main() -> None:
    """Read the arguments and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60, help="length of each recording")
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(given.requests, given.calls, given.seconds * 1000))))


if __name__ == "__main__":
    main()
