"""Recordings over a slow link that is cut again and again: what repeating an upload costs.

Usage: `python bench/shipping.py [--json] [--quick]`.

A real shipper sends to the API in its own process, through a proxy that passes 1.25 MB/s in all and
cuts each connection after a random time. Everything is ten times as fast as over 1 Mbit/s. Compared
with an upload that resumes after a cut, which sends each byte once. Then a recording of ninety
minutes and ten of a minute wait: the short ones do not wait for the long one.
"""

import argparse
import asyncio
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

sys.path[0] = str(Path(__file__).parents[1])  # as a script, Python looks into bench/ first

from agent.shipping.api_client import ApiClient  # noqa: E402
from agent.shipping.recording_shipper import RecordingShipper  # noqa: E402
from bench.report import Result, print_result  # noqa: E402
from bench.served_api import served  # noqa: E402
from fonoteka.core.config import split_address  # noqa: E402
from fonoteka.core.manifest import AudioFormat, write_manifest, write_mixed  # noqa: E402
from fonoteka.core.spool import ItemState, Spool  # noqa: E402
from store.database.store import Store  # noqa: E402
from tests.data import seed  # noqa: E402

BYTES_PER_S: Final = 1_250_000
BLOCK: Final = 16 * 1024
LONG_BYTES, SHORT_BYTES = 16_000_000, 180_000  # ninety minutes and one minute in Opus at 24 kbit/s
MIDDLE_BYTES: Final = 900_000  # five minutes
CUT_EVERY_S: Final = (6.0, 30.0)  # a minute and five minutes over 1 Mbit/s
_numbers = count()


class Link:
    """A proxy with one rate for all connections; `cut_every_s` None: no connection is cut."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream, self._random, self._free_at = upstream, Random(12), 0.0  # noqa: S311 (no secret)
        self.cut_every_s: float | None = None
        self.passed_bytes = 0
        self.cuts = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection, until it ends or is cut."""
        answers, requests = await asyncio.open_connection(*self._upstream)
        lasts_s = self._random.expovariate(1 / self.cut_every_s) if self.cut_every_s else None
        back = asyncio.create_task(self._pass(answers, writer, slowly=False))
        try:
            async with asyncio.timeout(lasts_s):
                await self._pass(reader, requests, slowly=True)
        except TimeoutError:
            self.cuts += 1
        except ConnectionError:
            pass
        finally:
            back.cancel()
            for side in (writer, requests):
                side.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, slowly: bool) -> None:
        while block := await source.read(BLOCK):
            if slowly:
                self._free_at = max(self._free_at, time.monotonic()) + len(block) / BYTES_PER_S
                await asyncio.sleep(self._free_at - time.monotonic())
                self.passed_bytes += len(block)
            sink.write(block)
            await sink.drain()


def mix(spool: Spool, size_bytes: int) -> str:
    """Leave a mixed recording in the spool, as the mixer does."""
    call = seed.a_call(next(_numbers), datetime(2026, 11, 22, 16, tzinfo=UTC))
    folder = spool.folder(ItemState.MIXING) / call.segments[0].name
    folder.mkdir()
    audio = b"RIFF" + bytes(4) + b"WAVE" + bytes(size_bytes - 12)
    digest = hashlib.sha256(audio).hexdigest()
    mixed = seed.but(seed.mixed_of(audio, 5000), audio_file="audio.wav", format=AudioFormat.WAV, sha256=digest)
    write_manifest(folder, seed.manifest_of(call, call.segments[0]))
    write_mixed(folder, mixed)
    (folder / mixed.audio_file).write_bytes(audio)
    (folder / mixed.peaks_file).write_bytes(seed.peaks(5000))
    spool.move(folder, ItemState.MIXED)
    return folder.name


@asynccontextmanager
async def shipping(folder: Path) -> AsyncIterator[tuple[Spool, Link, dict[str, float]]]:
    """Run the API, the link and a shipper; yields also when each recording was shipped."""
    section = seed.section(folder)
    store = await Store.open(section)
    await seed.seed(store, count=0)
    await store.close()
    spool, done = Spool(folder / "spool"), dict[str, float]()
    spool.prepare()
    async with served(section) as address:
        link = Link(split_address(address.removeprefix("http://")))
        proxy = await asyncio.start_server(link.serve, "127.0.0.1", 0)
        api = ApiClient(f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}", seed.PBX_TOKEN)
        shipper = RecordingShipper(api, spool, lambda path, _: done.update({path.name: time.monotonic()}), lambda *_: None)
        running = asyncio.create_task(shipper.run())
        yield spool, link, done
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await api.close()
        proxy.close()


async def shipped(names: set[str], done: dict[str, float]) -> None:
    """Wait until all recordings are shipped."""
    while not names <= done.keys():  # noqa: ASYNC110 (the shipper works meanwhile)
        await asyncio.sleep(0.02)


async def measured(folder: Path, *, quick: bool) -> Result:
    """Send recordings with cuts, then short ones beside a long one."""
    figures: dict[str, float] = {}
    async with shipping(folder) as (spool, link, done):
        for size_bytes, minutes in ((MIDDLE_BYTES, 5), (LONG_BYTES, 90)):
            for cut_every_s in CUT_EVERY_S[1:] if quick else CUT_EVERY_S:
                number = max(1, (16 if quick else 32) * 1_000_000 // size_bytes)
                link.cut_every_s, link.passed_bytes, link.cuts = cut_every_s, 0, 0
                await shipped({mix(spool, size_bytes) for _ in range(number)}, done)
                sent = link.passed_bytes / (number * size_bytes)
                figures[f"sent_per_byte_{minutes}min_cut_every_{cut_every_s * 10:.0f}_s"] = sent
                figures[f"cuts_{minutes}min_cut_every_{cut_every_s * 10:.0f}_s"] = link.cuts
        link.cut_every_s = None
        begin = time.monotonic()
        long, short = mix(spool, LONG_BYTES), {mix(spool, SHORT_BYTES) for _ in range(10)}
        await shipped({long, *short}, done)
        figures["ninety_minutes_shipped_s"] = done[long] - begin
        figures["ten_short_ones_beside_it_shipped_s"] = max(done[name] for name in short) - begin
    return Result(name="shipping", figures=figures)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fonoteka-shipping-"))
    try:
        print_result(asyncio.run(measured(folder, quick=options.quick)), as_json=options.json)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
