"""A store that is away for an hour, that is for 2,000 recorded calls.

Usage: `python bench/outage.py [--json] [--quick]`.

A real agent and a real mixer beside a replayed PBX; the API is stopped, the calls are played as
fast as the agent takes them, and the API is started again. Printed: the agent's memory during the
outage, and how long the store takes to catch up. The benchmark fails (exit 1) if a call or a
recording is missing or there twice, or if a file stays in the spool.
"""

import argparse
import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Final

sys.path[0] = str(Path(__file__).parents[1])  # as a script, Python looks into bench/ first

import psutil  # noqa: E402
import tomlkit  # noqa: E402

from bench.replayed_pbx import ReplayedPbx, replayed_pbx  # noqa: E402
from bench.report import Result, print_result  # noqa: E402
from bench.served_api import served  # noqa: E402
from fonoteka.core.config import StoreSection  # noqa: E402
from lab.tools.installation import free_port  # noqa: E402
from store.database.store import Store  # noqa: E402
from tests.data import seed  # noqa: E402

TALK_S: Final = 2.0
AT_ONCE: Final = 20
CAUGHT_UP_WITHIN_S: Final = 900.0
LOOKS: Final = (0.1, 0.25, 0.5, 0.75, 1.0)  # shares of the calls after which the memory is read


class Installation:
    """The folder of an agent, a mixer and a store, and the port of its API."""

    def __init__(self, folder: Path, ami: str) -> None:
        self.folder, self.port = folder, free_port()
        self.section: StoreSection = seed.section(folder)
        pbx = {"ami": ami, "ami_secret": "secret", "agi": "", "spool": str(folder / "spool"), "trunks": ["PJSIP/trunk"]}
        settings = {"pbx": pbx, "agent": {"api": f"http://127.0.0.1:{self.port}", "token": seed.PBX_TOKEN}}
        (folder / "fonoteka.toml").write_text(tomlkit.dumps(settings), encoding="utf-8")

    @asynccontextmanager
    async def part(self, name: str) -> AsyncIterator[psutil.Process]:
        """Run a part until the block ends; its log is `NAME.log`."""
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "FONOTEKA_MIXER_URGENT": "1"}
        with (self.folder / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "fonoteka", name), cwd=self.folder, env=environment, stdout=log, stderr=log
            )
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            await process.wait()

    def waiting(self, *folders: str) -> int:
        """Return how many calls or recordings are in folders of the spool."""
        return sum(1 for folder in folders for _ in (self.folder / "spool" / folder).glob("*"))

    def stored(self, query: str) -> int:
        """Return the number that a query of the index gives."""
        with closing(sqlite3.connect(f"file:{self.folder}/fonoteka.db?mode=ro", uri=True)) as index:
            return int(index.execute(query).fetchone()[0])

    def caught_up(self) -> bool:
        """Whether nothing waits in the spool."""
        return not self.waiting("calls", "recording", "closed", "mixing", "mixed")


async def outage(here: Installation, pbx: ReplayedPbx, agent: psutil.Process, calls: int) -> dict[str, float]:
    """Play all calls while nothing answers at the API's port; return the agent's memory."""
    figures, began, played = dict[str, float](), time.monotonic(), 0
    for until in (round(share * calls) for share in LOOKS):
        for first in range(played, until, AT_ONCE):
            await asyncio.gather(*map(pbx.play, range(first, min(first + AT_ONCE, until))))
        figures[f"agent_mb_after_{until}_calls"] = agent.memory_info().rss / 1e6
        played = until
    figures["calls_played_in_s"] = time.monotonic() - began
    half, whole = (figures[f"agent_mb_after_{round(share * calls)}_calls"] for share in (0.5, 1.0))
    figures["agent_kb_per_call_of_the_last_half"] = (whole - half) * 1000 / (calls / 2)
    return figures


async def until_true(what: str, condition: Callable[[], bool]) -> float:
    """Wait until a condition holds; return the seconds. Raises TimeoutError with its name."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > CAUGHT_UP_WITHIN_S:
            raise TimeoutError(what)
        await asyncio.sleep(0.1)
    return time.monotonic() - began


def complaints(here: Installation, calls: int) -> Iterator[str]:
    """Yield what is missing or there twice."""
    expected = {
        "calls": "SELECT count(*) FROM calls",
        "callers": "SELECT count(DISTINCT src) FROM calls",
        "ready calls": "SELECT count(*) FROM calls WHERE recording_state = 'ready' AND ended_at IS NOT NULL",
        "recordings": "SELECT count(*) FROM segments WHERE object_key IS NOT NULL",
    }
    for what, query in expected.items():
        if (found := here.stored(query)) != calls:
            yield f"{found} {what}, not {calls}"
    files = sum(1 for file in (here.folder / "objects").rglob("*.opus") if file.is_file())
    if files != calls:
        yield f"{files} audio files, not {calls}"
    if left := here.waiting("rejected", "refused"):
        yield f"{left} set aside"


async def measure(folder: Path, calls: int) -> tuple[Result, list[str]]:
    """Let the agent learn its settings, stop the API, play the calls, start the API."""
    async with AsyncExitStack() as on:
        pbx, ami = await on.enter_async_context(replayed_pbx(TALK_S))
        here = Installation(folder, ami)
        store = await Store.open(here.section)
        await seed.seed(store, count=0)
        await store.close()
        async with served(here.section, here.port):
            agent = await on.enter_async_context(here.part("agent"))
            await until_true("the agent is ready", lambda: pbx.logged_in.is_set() and (folder / "spool/settings.json").exists())
        await on.enter_async_context(here.part("mixer"))
        figures = {"calls": calls, **await outage(here, pbx, agent, calls)}
        await until_true("all is mixed", lambda: here.waiting("mixed") == calls)
        figures["agent_mb_when_the_store_is_back"] = agent.memory_info().rss / 1e6
        async with served(here.section, here.port):
            figures["caught_up_in_s"] = await until_true("all has arrived", here.caught_up)
        figures["agent_mb_afterwards"] = agent.memory_info().rss / 1e6
        found = list(complaints(here, calls))
    figures["complaints"] = len(found)
    return Result(name="outage", figures=figures, ratios={"arrived_per_s": calls / figures["caught_up_in_s"]}), found


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    parser.add_argument("--quick", action="store_true", help="150 calls, done within 40 s")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fonoteka-outage-") as folder:
        result, found = asyncio.run(measure(Path(folder), 150 if arguments.quick else 2000))
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    print_result(result, as_json=arguments.json)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
