"""The Prometheus metrics of an agent."""

import asyncio
import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from fonoteka.core.disk_watch import DiskLook
from fonoteka.core.manifest import MANIFEST_FILE
from fonoteka.core.spool import ItemState, Spool

AMI_CONNECTED = Gauge("fonoteka_ami_connected", "1 while the agent is logged in to Asterisk")
AMI_SILENT = Gauge("fonoteka_ami_silent", "1 while Asterisk answers, but sends no events of its calls")
STANDBY = Gauge("fonoteka_agent_standby", "1 while another agent of the same spool works and this one waits")
EVENT_LAG = Gauge("fonoteka_ami_event_lag_seconds", "Age of the last event when the agent took it")
EVENT_AGE = Histogram(
    "fonoteka_ami_event_age_seconds",
    "Age of each event when the agent took it",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0),
)
SPOOL_BYTES = Gauge("fonoteka_spool_bytes", "What lies in the spool")
SPOOL_OLDEST = Gauge("fonoteka_spool_oldest_seconds", "Age of the oldest thing in the spool that waits")
SET_ASIDE = Gauge("fonoteka_spool_set_aside", "What was set aside in the spool, by kind: call, recording", ["kind"])
DISK_FREE = Gauge("fonoteka_disk_free_bytes", "Room left where the spool is")
SPOOL_HOURS = Gauge("fonoteka_spool_hours_left", "Hours until the disk of the spool is full, by the rate of shrinking", ["rate"])
ERRORS = Counter("fonoteka_agent_errors", "Events or calls that could not be understood")
NOBODYS_CALLS = Counter("fonoteka_calls_of_nobody", "Calls for which no company could be named")
GARBLED = Counter("fonoteka_ami_garbled", "Times that a caller's text had cut events in pieces")
LOOK_EVERY_S = 15.0


def serve(address: tuple[str, int]) -> None:
    """Serve `/metrics` at an address."""
    host, port = address
    start_http_server(port, host)


def observe_event(at: datetime) -> None:
    """Record the age of an event."""
    age_s = max(0.0, (datetime.now(UTC) - at).total_seconds())
    EVENT_LAG.set(age_s)
    EVENT_AGE.observe(age_s)


async def follow_spool(spool: Spool) -> None:
    """Measure the spool every LOOK_EVERY_S seconds until cancelled."""
    while True:
        for kind, count in (await asyncio.to_thread(set_aside, spool)).items():
            SET_ASIDE.labels(kind).set(count)
        size_bytes, oldest_s, free_bytes = await asyncio.to_thread(measure, spool.root)
        SPOOL_BYTES.set(size_bytes)
        SPOOL_OLDEST.set(oldest_s)
        DISK_FREE.set(free_bytes)
        await asyncio.sleep(LOOK_EVERY_S)


def set_aside(spool: Spool) -> dict[str, int]:
    """Return the number of calls and recordings that were set aside."""
    calls = sum(1 for _ in spool.refused.glob("*.json"))
    return {"call": calls, "recording": len(spool.items(ItemState.REJECTED))}


def set_disk(look: DiskLook) -> None:
    """Set the forecast of the spool's disk."""
    for rate, hours in look.hours._asdict().items():
        SPOOL_HOURS.labels(rate.removeprefix("by_")).set(hours)


def measure(root: Path) -> tuple[int, float, int]:
    """Return the bytes in the spool, the age of its oldest manifest in s, the bytes free on disk.

    Manifests of rejected recordings do not count.
    """
    size_bytes, oldest = 0, time.time()
    for folder, _, names in os.walk(root):  # files that move meanwhile are skipped
        for name in names:
            try:
                stat = os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 — many files, often
            except FileNotFoundError:
                continue
            size_bytes += stat.st_size
            if name == MANIFEST_FILE and f"/{ItemState.REJECTED}/" not in folder:
                oldest = min(oldest, stat.st_mtime)
    return size_bytes, time.time() - oldest, shutil.disk_usage(root).free
