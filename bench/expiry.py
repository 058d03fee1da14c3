"""A month of calls expires while calls come in and the portal is used.

Usage: `python bench/expiry.py [--json] [--quick]`.

A store gets 200,000 calls that are older than a month, with their recordings, and as many recent
ones as come in now. The API serves it in its own process. An agent reports 50 calls a second; an
administrator and a user send the portal's typical requests, one after the other. First nothing is
due (usual), then `apply` shortens the periods, and all old recordings and calls are deleted
(during). Each request is compared with itself.
"""

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final

sys.path[0] = str(Path(__file__).parents[1])  # as a script, Python looks into bench/ first

import httpx  # noqa: E402
from pydantic import TypeAdapter  # noqa: E402
from sqlalchemy import Connection, event, select, text  # noqa: E402

from bench.office_history import PASSWORD, History, directory, history, until_now  # noqa: E402
from bench.portal_queries import Request, requests  # noqa: E402
from bench.report import Result, print_result, quantile  # noqa: E402
from bench.served_api import served  # noqa: E402
from fonoteka.core.call_report import CallReport  # noqa: E402
from fonoteka.core.config import StoreSection  # noqa: E402
from fonoteka.core.manifest import AudioFormat  # noqa: E402
from fonoteka.core.naming import peaks_key, recording_key  # noqa: E402
from store.database.schema import domains, segments  # noqa: E402
from store.database.store import Store  # noqa: E402
from store.intake.intake import upsert_calls  # noqa: E402
from store.intake.write_counters import rebuild_counters  # noqa: E402
from store.people.accounts import ensure_pbx, pbx_of  # noqa: E402
from store.provisioning.apply import apply  # noqa: E402
from store.provisioning.directory_file import parse_directory  # noqa: E402

OLD_CALLS, QUICK_CALLS = 200_000, 150
DAYS: Final = 30
CALLS_PER_S, REPORTS_PER_S = 50, 10
USUAL_S, QUICK_S = 120.0, 6.0
TYPICAL: Final = (
    "calls_today",
    "calls_month",
    "own_calls_today",
    "calls_month_kind_missed",
    "hourly_today",
    "hourly_month",
    "incoming_month",
    "live_calls",
    "me",
)
_SIZE: Final = 12_000  # of a recording, in bytes
_REPORTS: Final = TypeAdapter(list[CallReport])
_AUDIO: Final = """
UPDATE segments SET object_key = :key, sha256 = '', size_bytes = :size, format = 'opus', layout = 'stereo', rate_hz = 8000,
duration_ms = 5000, talk_ms = 5000, muted = '[]', salvaged = false, arrived_at = started_at WHERE id = :id
"""
_READY: Final = "recording_state = 'ready', recording_reason = NULL, recording_ms = 5000"


async def fill(section: StoreSection, old: History) -> None:
    """Fill the store with calls and their recordings, which are kept for a hundred years."""
    store = await Store.open(section, sweep=True)
    try:
        await apply(
            store, parse_directory(directory(old).replace('area_codes = ["391"]', "retention_days = 36500"), source="bench")
        )
        await ensure_pbx(store, "pbx1", "token")
        pbx = await pbx_of(store, "token")
        assert pbx is not None
        # These calls need not survive a power cut: syncing would take most of the time.
        await store.engine.dispose()
        event.listen(store.engine.sync_engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
        reports = old.calls()
        while batch := list(islice(reports, 1000)):
            await upsert_calls(store, pbx, batch)
        await _record(store)
    finally:
        await store.close()


async def _record(store: Store) -> None:
    """Give each segment its audio."""
    async with store.reading() as connection:
        rows = await connection.execute(select(segments.c.id, segments.c.name, segments.c.started_at))
        keys = {row.id: recording_key("pbx1", row.name, row.started_at, AudioFormat.OPUS) for row in rows}
    await asyncio.to_thread(_write_files, store.objects.workspace, keys.values())
    async with store.writing() as connection:
        await connection.execute(text(_AUDIO), [{"id": row, "key": key, "size": _SIZE} for row, key in keys.items()])
        await connection.execute(text(f"UPDATE calls SET {_READY} WHERE id IN (SELECT call_id FROM segments)"))  # noqa: S608
        recorded = '(SELECT call_id, "user" FROM segments)'
        await connection.execute(text(f"UPDATE participants SET {_READY} WHERE (call_id, login) IN {recorded}"))  # noqa: S608
        await connection.run_sync(_rebuild)


def _rebuild(connection: Connection) -> None:
    for domain_id in connection.execute(select(domains.c.id)).scalars().all():
        rebuild_counters(connection, domain_id)


def _write_files(root: Path, keys: Any) -> None:
    for key in keys:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(bytes(_SIZE))
        (root / peaks_key(key)).write_bytes(b"{}")


async def shorten(section: StoreSection, old: History) -> None:
    """Apply the periods by which all old calls are due."""
    periods = f"retention_days = {DAYS}\ncalls_retention_days = {DAYS}"
    store = await Store.open(section)
    try:
        await apply(store, parse_directory(directory(old).replace('area_codes = ["391"]', periods), source="bench"))
    finally:
        await store.close()


def fresh_calls(old: History) -> Iterator[CallReport]:
    """Yield calls that begin now, with the parties of the company, without end."""
    of = history(10**5, until_now(), days=1, one_company=True)
    for number, call in enumerate(of.calls()):
        now = datetime.now(UTC)
        linkedid = f"now-{number}"
        fields = {"linkedid": linkedid, "revision": int(now.timestamp() * 1000), "started_at": now - timedelta(seconds=9)}
        ended = {"answered_at": call.answered_at and now - timedelta(seconds=6), "ended_at": now, "talk_ms": 6000, "segments": ()}
        yield CallReport(**{name: getattr(call, name) for name in CallReport.__slots__} | fields | ended)


@asynccontextmanager
async def calls_coming_in(address: str, old: History) -> AsyncIterator[list[float]]:
    """Report 50 calls a second while the block runs; yield the milliseconds of each request."""
    took: list[float] = []
    calls = fresh_calls(old)

    async def work() -> None:
        async with httpx.AsyncClient(base_url=address, timeout=60, headers={"Authorization": "Bearer token"}) as agent:
            begun, sent = time.perf_counter(), 0
            while True:
                body = _REPORTS.dump_json(list(islice(calls, CALLS_PER_S // REPORTS_PER_S)))
                at = time.perf_counter()
                answer = await agent.put("/agent/v1/calls", content=body, headers={"Content-Type": "application/json"})
                took.append((time.perf_counter() - at) * 1000)
                refused = [receipt for receipt in answer.raise_for_status().json()["receipts"] if receipt["refused"]]
                assert not refused, refused
                sent += 1
                await asyncio.sleep(max(0.0, begun + sent / REPORTS_PER_S - time.perf_counter()))

    task = asyncio.create_task(work())
    try:
        yield took
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def measure(clients: Sequence[httpx.AsyncClient], wanted: Sequence[Request], until: asyncio.Event) -> dict[str, list[float]]:
    """Measure the milliseconds of each request, in rounds, until the event."""
    took: dict[str, list[float]] = {request.name: [] for request in wanted}
    while not until.is_set():
        for request in wanted:
            began = time.perf_counter()
            answer = await clients[request.own].get(request.path, params=request.parameters)
            took[request.name].append((time.perf_counter() - began) * 1000)
            answer.raise_for_status()
            await asyncio.sleep(0.02)
    return took


async def metric(client: httpx.AsyncClient, name: str) -> float:
    """Return a metric of the API without labels. A new client would keep this process for 27 ms."""
    found = re.search(rf"^{name} (\S+)$", (await client.get("/metrics")).text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def main(section: StoreSection, *, quick: bool, calls: int | None) -> Result:
    """Fill, measure as usual, shorten the periods, measure until all is deleted."""
    number = calls or (QUICK_CALLS if quick else OLD_CALLS)
    until = until_now() - timedelta(days=DAYS + 1)
    old = history(number, until, days=DAYS, one_company=True)
    await fill(section, old)
    wanted = [request for request in requests(until_now() + timedelta(hours=7), old) if request.name in TYPICAL]
    figures: dict[str, float] = {"calls": number}
    async with served(section) as address:
        clients = [await _logged_in(address, old, login) for login in old.companies[0].users[:2]]
        async with calls_coming_in(address, old) as reported:
            await _during(asyncio.sleep(QUICK_S / 4), clients, wanted)  # warms up
            reported.clear()
            usual = await _during(asyncio.sleep(QUICK_S if quick else USUAL_S), clients, wanted)
            usual["report_calls"] = reported.copy()
            await shorten(section, old)
            await _until(clients[0], "fonoteka_retention_recordings_total", 1)
            reported.clear()
            begun = time.perf_counter()
            during = await _during(_until(clients[0], "fonoteka_retention_calls_total", number), clients, wanted)
            during["report_calls"] = reported.copy()
            figures["deleted_in_s"] = time.perf_counter() - begun
        for name in ("recordings_total", "calls_total", "lock_seconds_count"):
            figures[f"retention_{name}"] = await metric(clients[0], f"fonoteka_retention_{name}")
        lock = r"fonoteka_retention_lock_seconds_bucket\{le=\"0.1\"\}"
        figures["locks_beyond_100_ms"] = figures["retention_lock_seconds_count"] - await metric(clients[0], lock)
        figures["lock_mean_ms"] = (
            1000 * await metric(clients[0], "fonoteka_retention_lock_seconds_sum") / figures["retention_lock_seconds_count"]
        )
        for client in clients:
            await client.aclose()
    ratios = {}
    for name in usual:
        usual_ms, during_ms = quantile(usual[name], 0.99), quantile(during[name], 0.99)
        figures |= {f"{name}_usual_p99_ms": usual_ms, f"{name}_during_p99_ms": during_ms}
        ratios[f"{name}_during_vs_usual"] = during_ms / usual_ms
    slow = [name.removesuffix("_during_vs_usual") for name, ratio in ratios.items() if ratio > 2]
    return Result(name="expiry", figures=figures, ratios=ratios, notes=[f"beyond twice the usual p99: {', '.join(slow) or 'none'}"])


async def _during(wait: Any, clients: Sequence[httpx.AsyncClient], wanted: Sequence[Request]) -> dict[str, list[float]]:
    over = asyncio.Event()
    measuring = asyncio.create_task(measure(clients, wanted, over))
    await wait
    over.set()
    return await measuring


async def _until(client: httpx.AsyncClient, name: str, number: float) -> None:
    while await metric(client, name) < number:  # noqa: ASYNC110 (another process)
        await asyncio.sleep(0.5)


async def _logged_in(address: str, of: History, login: str) -> httpx.AsyncClient:
    client = httpx.AsyncClient(base_url=address, timeout=60)
    answer = await client.post("/api/login", json={"domain": of.companies[0].name, "login": login, "password": PASSWORD})
    client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['token']}"
    return client


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="150 calls: half a minute")
    parser.add_argument("--calls", type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stored = StoreSection(database=f"sqlite:///{folder}/fonoteka.db", objects=f"file://{folder}/objects")
        print_result(asyncio.run(main(stored, quick=given.quick, calls=given.calls)), as_json=given.json)
