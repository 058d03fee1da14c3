"""Encrypted and plain recordings side by side: the API's processor time, and the clients' time.

Usage: `python -m bench.encryption [--json] [--quick]`

Two APIs, each with an index and objects of its own, do the same in turns: `upload` stores a
recording of three minutes, `play` sends all of it, `seek` 64 KiB from any place, `zip` sends
an archive of 100 recordings. Ratios are encrypted to plain, the median over the rounds.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

import httpx
import psutil

from bench.report import Result, print_result
from bench.served_api import served
from fonoteka.core.naming import call_id
from store.database.store import Store
from store.intake.intake import upsert_calls
from tests.api.conftest import ship
from tests.data import seed

LENGTH_MS: Final = 180_000
BEGIN: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY: Final = "from=2026-11-22&to=2026-11-22"


@dataclass(kw_only=True, slots=True)
class Side:
    """An API with encrypted or plain recordings; `spent` has processor and client time by work."""

    agent: httpx.AsyncClient
    user: httpx.AsyncClient
    process: psutil.Process
    paths: list[str] = field(default_factory=list)
    spent: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    async def measure(self, work: str, count: int, do: Callable[[int], Awaitable[None]]) -> None:
        """Do work some times; keep the API's processor time and the time of one."""
        start, used = time.perf_counter(), self._processor_s()
        for number in range(count):
            await do(number)
        values = self._processor_s() - used, time.perf_counter() - start
        self.spent.setdefault(work, []).append((values[0] / count, values[1] / count))

    def _processor_s(self) -> float:
        """Return the time of all threads, in nanoseconds exact: see Linux, sched-stats."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    async def upload(self, _: int) -> None:
        call = seed.a_call(len(self.paths), BEGIN, talk_ms=LENGTH_MS)
        await ship(self.agent, call, LENGTH_MS)
        self.paths.append(f"/api/calls/{call_id('pbx1', call.linkedid)}/audio")

    async def play(self, number: int) -> None:
        answer = await self.user.get(self.paths[number % len(self.paths)])
        assert answer.status_code == 200, answer.text

    async def seek(self, number: int) -> None:
        first = Random(number).randrange(len(seed.tone(LENGTH_MS)) - 65536)  # noqa: S311 (no secret)
        given = {"Range": f"bytes={first}-{first + 65535}"}
        answer = await self.user.get(self.paths[number % len(self.paths)], headers=given)
        assert answer.status_code == 206, answer.text

    async def zip(self, _: int) -> None:
        async with self.user.stream("GET", f"/api/calls.zip?{DAY}") as answer:
            assert answer.status_code == 200
            async for _piece in answer.aiter_raw():
                pass


async def opened(stack: AsyncExitStack, folder: Path, *, is_encrypted: bool) -> Side:
    """Serve a new store. A store that has a call before the API starts stays plain."""
    section = seed.section(folder)
    store = await Store.open(section)
    pbx = await seed.seed(store, count=0)
    if is_encrypted:
        await store.keys.begin()
    else:
        await upsert_calls(store, pbx, [seed.unanswered(seed.a_call(9999, datetime(2026, 11, 1, tzinfo=UTC)))])
    await store.close()
    before = set(psutil.Process().children())
    address = await stack.enter_async_context(served(section))
    (process,) = set(psutil.Process().children()) - before
    agent, user = (httpx.AsyncClient(base_url=address, timeout=300) for _ in range(2))
    for client in (agent, user):
        await stack.enter_async_context(client)
    agent.headers["Authorization"] = f"Bearer {seed.PBX_TOKEN}"
    answer = await user.post("/api/login", json={"domain": "acme", "login": "900", "password": seed.PASSWORD})
    user.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    return Side(agent=agent, user=user, process=process)


async def measured(*, quick: bool) -> Result:
    """Do all work on both sides, in turns."""
    rounds, recordings, requests = (8, 50, 8) if quick else (60, 100, 16)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plain, encrypted = [await opened(stack, folder / name, is_encrypted=name == "encrypted") for name in ("plain", "encrypted")]
        for side in (plain, encrypted):
            await side.upload(0)
            await side.play(0)  # loads modules
        for number in range(rounds):
            sides = (plain, encrypted) if number % 2 else (encrypted, plain)
            for work, count in (("upload", 1), ("play", requests), ("seek", requests)):
                for side in sides:
                    await side.measure(work, count, getattr(side, work))
        for side in (plain, encrypted):
            while len(side.paths) < recordings:
                await side.upload(0)
        for number in range(3 if quick else 6):
            for side in (plain, encrypted) if number % 2 else (encrypted, plain):
                await side.measure("zip", 1, side.zip)
    return result(plain, encrypted)


def result(plain: Side, encrypted: Side) -> Result:
    """Return the medians of both sides, and their ratios."""
    figures, ratios = dict[str, float](), dict[str, float]()
    for work, spent in plain.spent.items():
        for place, name in enumerate(("cpu", "time")):
            pairs = [(one[place], other[place]) for one, other in zip(spent, encrypted.spent[work], strict=True)]
            figures[f"{work}_{name}_plain_ms"] = median(one for one, _ in pairs) * 1000
            figures[f"{work}_{name}_encrypted_ms"] = median(other for _, other in pairs) * 1000
            ratios[f"{work}_{name}"] = median(other for _, other in pairs) / median(one for one, _ in pairs)
    note = f"recordings of {LENGTH_MS // 1000} s and {len(seed.tone(LENGTH_MS)) // 1000} kB; an archive of {len(plain.paths)}"
    return Result(name="encryption", figures=figures, ratios=ratios, notes=(note,))


def main() -> None:
    """Read the arguments and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    print_result(asyncio.run(measured(quick=given.quick)), as_json=given.json)


if __name__ == "__main__":
    main()
