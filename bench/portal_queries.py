"""All requests of the portal on half a year of calls.

Usage: `python bench/portal_queries.py [--json] [--quick]`.

The code that takes calls from agents fills a store with a million calls of two hundred companies;
the biggest has a fifth of them (`--one-domain`: one company has all). Then an administrator and a
user of the biggest company send requests to the API over HTTP, one after the other. The baseline is
a naive index of the same calls in the same run: the index (domain, start), COUNT and GROUP BY.

`--database URL`: an empty database of PostgreSQL instead of SQLite; with `--keep`, also a filled
one. PostgreSQL gets time to collect its statistics: VACUUM (ANALYZE) after filling. `--copied`: it
copies a week of ten companies, for millions of calls in minutes (`bench/copied_weeks.py`).
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])  # as a script, Python looks into bench/ first

import httpx  # noqa: E402
from sqlalchemy import event, text  # noqa: E402

from bench.copied_weeks import TAKEN, WEEKS, copy_week  # noqa: E402
from bench.naive_index import QUERIES, count_calls, prepare  # noqa: E402
from bench.office_history import PASSWORD, History, directory, history, until_now  # noqa: E402
from bench.report import Result, print_result, quantile  # noqa: E402
from bench.served_api import served  # noqa: E402
from fonoteka.core.config import StoreSection  # noqa: E402
from store.database.dialect import engine_for  # noqa: E402
from store.database.store import Store  # noqa: E402
from store.intake.intake import upsert_calls  # noqa: E402
from store.people.accounts import ensure_pbx, pbx_of  # noqa: E402
from store.provisioning.apply import apply  # noqa: E402
from store.provisioning.directory_file import parse_directory  # noqa: E402

CALLS, QUICK_CALLS = 1_000_000, 20_000
BATCH = 1000
COUNTERS_MS, CALLS_MS = 50.0, 150.0
_PERIODS = {"today": 0, "week": 6, "month": 30, "half_year": 179}


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request of the portal, by a user (`own`) or by the administrator."""

    name: str
    path: str
    parameters: dict[str, Any]
    own: bool = False


def requests(today: datetime, of: History) -> Iterator[Request]:
    """Yield the requests of the pages calls, live calls and statistics."""
    company = of.companies[0]
    user, line, piece = company.users[1], company.numbers[0], "6543"
    days = {
        name: {"from": f"{today - timedelta(days=back):%Y-%m-%d}", "to": f"{today:%Y-%m-%d}"} for name, back in _PERIODS.items()
    }
    for name, within in days.items():
        yield Request(name=f"calls_{name}", path="/api/calls", parameters=within)
        yield Request(name=f"own_calls_{name}", path="/api/calls", parameters=within, own=True)
    filters: dict[str, dict[str, Any]] = {
        f"kind_{kind}": {"kind": kind}
        for kind in ("in", "out", "internal", "missed", "missed_called_back", "missed_not_called_back", "recorded")
    }
    filters |= {
        "result_busy": {"result": "busy"},
        "user": {"user": user},
        "number": {"number": line},
        "employee": {"employee": user},
        "src_piece": {"src": piece},
        "src_unknown": {"src": "0000000000"},
        "dst_piece": {"dst": piece},
        "answered_by_piece": {"answered_by": piece},
        "short_piece": {"src": "65"},
        "min_s": {"min_s": 1800},
        "time_of_day": {"time_from": "12:00", "time_to": "13:00"},
        "recorded": {"recorded": "false"},
        "trunk": {"trunk_name": "PJSIP/mobile"},
        "queue": {"queue_name": "sales"},
        "queue_piece": {"queue": "sup"},
        "wait": {"kind": "in", "wait_min_s": 20},
        "longest_wait": {"direction": "in", "wait_min_s": 30},
        "abandoned": {"queue_name": "sales", "direction": "in", "result": ["no_answer", "busy", "other"], "wait_min_s": 0},
        "badly_heard": {"mos_below": 4},
        "together": {"kind": "in", "src": "913", "employee": user, "min_s": 60, "time_from": "09:00", "time_to": "18:00"},
        "sort_duration": {"sort": "-duration_s"},
    }
    for name, asked in filters.items():
        for period in ("month", "half_year"):
            yield Request(name=f"calls_{period}_{name}", path="/api/calls", parameters=days[period] | asked)
    for figure in ("hourly", "week", "incoming", "outgoing", "durations", "callbacks", "waiting", "quality"):
        longer: dict[str, Any] = {"longer_than": 100} if figure == "durations" else {}
        for period in _PERIODS:
            yield Request(name=f"{figure}_{period}", path=f"/api/stats/{figure}", parameters=days[period] | longer)
        narrower: dict[str, dict[str, Any]] = {"time_of_day": {"time_from": "09:00", "time_to": "18:00"}, "min_s": {"min_s": 30}}
        for narrowed, narrow in narrower.items():
            for period in ("month", "half_year"):
                yield Request(
                    name=f"{figure}_{period}_{narrowed}", path=f"/api/stats/{figure}", parameters=days[period] | longer | narrow
                )
    for path in ("users", "numbers", "live/calls", "me"):
        yield Request(name=path.replace("/", "_"), path=f"/api/{path}", parameters={})


async def fill(section: StoreSection, of: History, *, copied: bool = False) -> float:
    """Fill the store; return the calls written in a second by the code that takes them.

    `copied`: it takes a week of some companies, which is then copied.
    """
    store = await Store.open(section, sweep=True)
    try:
        await apply(store, parse_directory(directory(of), source="bench"))
        await ensure_pbx(store, "pbx1", "token")
        pbx = await pbx_of(store, "token")
        assert pbx is not None
        # These calls need not survive a power cut: syncing would take most of the time.
        await store.engine.dispose()
        event.listen(store.engine.sync_engine, "connect", _hurry)
        reports, began, count = of.last_week(WEEKS, TAKEN) if copied else of.calls(), time.perf_counter(), 0
        while batch := list(islice(reports, BATCH)):
            await upsert_calls(store, pbx, batch)
            count += len(batch)
            if count % (100 * BATCH) == 0:
                print(f"  {count} calls, {count / (time.perf_counter() - began):.0f}/s", file=sys.stderr)
        rate = count / (time.perf_counter() - began)
        if copied:
            await copy_week(store.engine)
        return rate
    finally:
        await store.close()


def _hurry(connection: Any, _record: object) -> None:
    is_sqlite = hasattr(connection.driver_connection, "create_function")
    connection.cursor().execute("PRAGMA synchronous = OFF" if is_sqlite else "SET synchronous_commit = off")
    connection.commit()


async def collect_statistics(database: str) -> None:
    """Do at once what PostgreSQL does by itself in time."""
    engine = engine_for(database)
    if engine.dialect.name == "postgresql":
        async with engine.connect() as connection:
            session = (await connection.get_raw_connection()).driver_connection
            assert session is not None
            await session.execute("VACUUM (ANALYZE)")
    await engine.dispose()


async def measure(address: str, of: History, rounds: int, only: str) -> dict[str, list[float]]:
    """Measure the milliseconds of each request, in rounds of all requests."""
    clients = []
    for login in of.companies[0].users[:2]:
        client = httpx.AsyncClient(base_url=address, timeout=60)
        answer = await client.post("/api/login", json={"domain": of.companies[0].name, "login": login, "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['token']}"
        clients.append(client)
    wanted = [*requests(of.until + timedelta(hours=7), of), *[request async for request in _opened(clients[0], of)]]
    wanted = [request for request in wanted if only in request.name]
    took: dict[str, list[float]] = {request.name: [] for request in wanted}
    for turn in range(rounds + 1):
        for request in wanted:
            began = time.perf_counter()
            answer = await clients[request.own].get(request.path, params=request.parameters)
            spent_ms = (time.perf_counter() - began) * 1000
            answer.raise_for_status()
            if turn:  # the first round warms up
                took[request.name].append(spent_ms)
    for client in clients:
        await client.aclose()
    return took


async def _opened(client: httpx.AsyncClient, of: History) -> AsyncIterator[Request]:
    """Yield requests that depend on an answer: a call, and a page far down the list."""
    half_year: dict[str, Any] = {
        "from": f"{of.until - timedelta(days=179):%Y-%m-%d}",
        "to": f"{of.until + timedelta(hours=7):%Y-%m-%d}",
        "limit": 500,
    }
    page = (await client.get("/api/calls", params=half_year)).raise_for_status().json()
    yield Request(name="call", path=f"/api/calls/{page['items'][0]['id']}", parameters={})
    for _ in range(20):
        if page["next"] is not None:
            half_year["cursor"] = page["next"]
            page = (await client.get("/api/calls", params=half_year)).raise_for_status().json()
    yield Request(name="page_10000_down", path="/api/calls", parameters=half_year | {"limit": 50})


async def naive(database: str, of: History, rounds: int) -> dict[str, list[float]]:
    """Measure the milliseconds of the queries of the naive index, without the API."""
    took: dict[str, list[float]] = {name: [] for name in QUERIES}
    engine = engine_for(database)
    async with engine.connect() as connection:
        since = int((of.until - timedelta(days=179)).timestamp() * 1000)
        for _ in range(rounds):
            for name, sql in QUERIES.items():
                began = time.perf_counter()
                (await connection.execute(text(sql), {"since": since, "who": of.companies[0].users[1]})).all()
                took[name].append((time.perf_counter() - began) * 1000)
    await engine.dispose()
    return took


async def main(arguments: argparse.Namespace, folder: Path) -> Result:
    """Fill the store unless it is filled, measure, compare."""
    quick: bool = arguments.quick
    calls = arguments.calls or (QUICK_CALLS if quick else CALLS)
    filled_at = folder / "until"
    until = datetime.fromisoformat(filled_at.read_text()) if filled_at.exists() else until_now()
    of = history(calls, until, one_company=arguments.one_domain)
    section = StoreSection(database=arguments.database or f"sqlite:///{folder}/fonoteka.db", objects=f"file://{folder}/objects")
    plain = arguments.database or f"sqlite:///{folder}/naive.db"
    figures: dict[str, float] = {}
    if not filled_at.exists():
        figures["filled_per_second"] = await fill(section, of, copied=arguments.copied)
        await prepare(section.database, plain)
        await collect_statistics(section.database)
        filled_at.write_text(until.isoformat())
    figures["calls"], figures["calls_of_the_company"] = await count_calls(plain)
    rounds = arguments.rounds or (5 if quick else 30)
    async with served(section) as address:
        took = await measure(address, of, rounds, arguments.only)
    for name, each in took.items():
        figures[f"{name}_p50_ms"], figures[f"{name}_p99_ms"] = quantile(each, 0.5), quantile(each, 0.99)
    baseline = await naive(plain, of, 3)
    ratios = {
        f"{name}_vs_naive": quantile(each, 0.5) / quantile(took[name], 0.5) for name, each in baseline.items() if name in took
    }
    slow = [name for name, each in took.items() if quantile(each, 0.99) > _target_ms(name)]
    note = f"beyond the target (p99 of {COUNTERS_MS:.0f} ms from counters, {CALLS_MS:.0f} ms from calls): "
    return Result(name="portal_queries", figures=figures, ratios=ratios, notes=[note + (", ".join(slow) or "none")])


def _target_ms(name: str) -> float:
    """Return the target of a request. Without an answer in the counters, it reads each call."""
    of_each_call = ("_min_s", "_piece", "_unknown", "_together", "_sort_duration", "_wait", "_abandoned", "_trunk", "_queue")
    figures = ("durations", "waiting", "quality")
    by_party = name.startswith(("incoming", "outgoing")) and name.endswith("_time_of_day")
    return CALLS_MS if name.endswith((*of_each_call, "_badly_heard")) or name.startswith(figures) or by_party else COUNTERS_MS


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="20,000 calls, five rounds: half a minute")
    parser.add_argument("--one-domain", action="store_true", help="one company has all the calls")
    parser.add_argument("--calls", type=int)
    parser.add_argument("--copied", action="store_true", help="PostgreSQL copies the last week's calls into the other weeks")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", default="", help="requests with this in their name")
    parser.add_argument("--database", metavar="URL", help="of PostgreSQL, instead of SQLite")
    parser.add_argument("--keep", type=Path, help="a folder to fill, or that was filled before")
    given = parser.parse_args()
    with ExitStack() as stack:
        where = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        where.mkdir(parents=True, exist_ok=True)
        print_result(asyncio.run(main(given, where)), as_json=given.json)
