"""Compare the mixer with a script on a PBX: `python bench/mixer.py [--json] [--quick]`.

Short and long calls: Opus by a warm worker against one process per call of `ffmpeg` (amerge to
libopus, 24 kbit/s, voip, its default complexity) and of `sox -m` + `lame`, in turns in one run. The
figures are CPU time, which a busy machine disturbs least: throughput is calls per core-second. The
worker runs at normal priority, as the peers do. Measuring who spoke is timed inside whole mixings,
in this process, in turns with mixings without it.
"""

import argparse
import asyncio
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from unittest.mock import patch

sys.path[0] = str(Path(__file__).parents[1])  # in bench/, `mixer` is this file

from bench.report import Result, print_result  # noqa: E402
from bench.speech import RATE_HZ, write_leg  # noqa: E402
from fonoteka.core.manifest import AudioFormat, Layout, Speech  # noqa: E402
from mixer.job import MixJob  # noqa: E402
from mixer.legs import Samples  # noqa: E402
from mixer.mix import Mixture, mix_legs  # noqa: E402
from mixer.speech import SpeechMeter  # noqa: E402
from mixer.worker_pool import Worker  # noqa: E402

OUTSIDE, EMPLOYEE = "outside.wav", "employee.wav"
FFMPEG = (
    *("ffmpeg", "-v", "error", "-y", "-i", OUTSIDE, "-i", EMPLOYEE, "-filter_complex", "amerge=inputs=2"),
    *("-c:a", "libopus", "-b:a", "24k", "-application", "voip", "peer.opus"),
)
SOX = ("sox", "-m", OUTSIDE, EMPLOYEE, "sum.wav")
LAME = ("lame", "--quiet", "-b", "16", "-m", "m", "sum.wav", "peer.mp3")
SHORT_S = 10
WHO_SPOKE_S = (10, 20, 30, 60)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How much to run: rounds of several short calls, and rounds of one long call."""

    rounds: int
    calls_per_round: int
    long_rounds: int
    long_s: int
    longest_s: int


FULL = Scale(rounds=11, calls_per_round=10, long_rounds=2, long_s=3600, longest_s=4 * 3600)
QUICK = Scale(rounds=7, calls_per_round=3, long_rounds=5, long_s=60, longest_s=10 * 60)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """CPU time and elapsed time."""

    cpu_s: float
    wall_s: float


Rival = Callable[[Path], Awaitable[Spent]]
"""Mixes the two legs in a folder."""


async def spent_by_worker(worker: Worker, item: Path) -> Spent:
    """Mix a call with a warm worker."""
    began_cpu_s, began_s = _cpu_s(worker), time.perf_counter()
    order = MixJob(folder=item, outside_leg=OUTSIDE, employee_leg=EMPLOYEE, audio_format=AudioFormat.OPUS, layout=Layout.STEREO)
    reply = await worker.mix(order)
    if not isinstance(reply, Mixture):
        raise TypeError(f"the worker answered {reply}")
    return Spent(cpu_s=_cpu_s(worker) - began_cpu_s, wall_s=time.perf_counter() - began_s)


def spent_by_programs(item: Path, *programs: tuple[str, ...]) -> Spent:
    """Run programs one after the other in the folder of a call."""
    began, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for program in programs:
        subprocess.run(program, cwd=item, check=True)
    ended, ended_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return Spent(cpu_s=ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime, wall_s=ended_s - began_s)


async def warm_worker(item: Path) -> Worker:
    """Start a worker at normal priority and let it mix one call."""
    os.environ["FONOTEKA_MIXER_URGENT"] = "1"  # read by mixer.worker
    worker = Worker()
    await worker.start()
    await spent_by_worker(worker, item)
    return worker


def _cpu_s(worker: Worker) -> float:
    """Return the CPU time of a worker in ns (clock_getcpuclockid(3); /proc counts in 10 ms)."""
    assert worker.pid
    return time.clock_gettime(~worker.pid << 3 | 2)


NOBODY, _ = SpeechMeter(samples=0, rate_hz=RATE_HZ, per_second=1).finish()


class TimedMeter(SpeechMeter):
    """Add up the CPU time that measuring who spoke takes."""

    spent_s = 0.0

    def take(self, block: Samples) -> None:
        """Measure a block, on the clock."""
        began_s = time.process_time()
        super().take(block)
        TimedMeter.spent_s += time.process_time() - began_s

    def finish(self) -> tuple[Speech, str]:
        """Decide, on the clock."""
        began_s = time.process_time()
        speech_and_track = super().finish()
        TimedMeter.spent_s += time.process_time() - began_s
        return speech_and_track


class NoMeter(SpeechMeter):
    """Measure nothing."""

    def take(self, block: Samples) -> None:
        """Ignore a block."""

    def finish(self) -> tuple[Speech, str]:
        """Return that nobody spoke."""
        return NOBODY, ""


def who_spoke_pct(item: Path, seconds: int) -> tuple[float, float]:
    """Return by how many percent measuring who spoke makes mixing dearer, in two ways.

    By the time inside the meter, to which its cold start belongs, and by the time of the whole
    against that of mixing without it, in turns. Both are medians of rounds.
    """
    rounds = max(9, 500 // seconds)
    inside, more = [], []
    for _ in range(rounds):
        TimedMeter.spent_s = 0.0
        without_s, with_s = (_mixing_cpu_s(item, meter) for meter in (NoMeter, TimedMeter))
        inside.append(TimedMeter.spent_s / (with_s - TimedMeter.spent_s))
        more.append(with_s / without_s - 1)
    return 100 * median(inside), 100 * median(more)


def _mixing_cpu_s(item: Path, meter: type[SpeechMeter]) -> float:
    """Mix a call in this process."""
    with patch("mixer.mix.SpeechMeter", meter):
        began_s = time.process_time()
        mix_legs(item, OUTSIDE, EMPLOYEE, AudioFormat.OPUS, Layout.STEREO)
        return time.process_time() - began_s


def peak_rss_mb(worker: Worker) -> float:
    """Return the peak memory of the worker, shared libraries included."""
    status = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def write_call(folder: Path, seconds: int) -> Path:
    """Write the two legs of a call into a folder."""
    folder.mkdir()
    for side, name in enumerate((OUTSIDE, EMPLOYEE)):
        write_leg(folder / name, seconds, side)
    return folder


async def measure(folder: Path, scale: Scale) -> Result:
    """Measure everything, with legs in a folder."""
    lengths_s = {"short": SHORT_S, "long": scale.long_s, "longest": scale.longest_s}
    items = {name: write_call(folder / name, seconds) for name, seconds in lengths_s.items()}
    peers, notes = _peers()
    worker = await warm_worker(items["short"])
    rivals: dict[str, Rival] = {"fonoteka": lambda item: spent_by_worker(worker, item), **peers}
    try:
        short = await _in_turns(rivals, items["short"], scale.rounds, scale.calls_per_round)
        long = await _in_turns(rivals, items["long"], scale.long_rounds, 1)
        rss_mb = {scale.long_s: peak_rss_mb(worker)}
        await spent_by_worker(worker, items["longest"])
        rss_mb[scale.longest_s] = peak_rss_mb(worker)
    finally:
        await worker.stop()
    figures: dict[str, float] = {"long_call_s": scale.long_s, "longest_call_s": scale.longest_s}
    for name in rivals:
        figures[f"short_call_cpu_ms_{name}"] = 1000 * median(spent.cpu_s for spent in short[name])
        figures[f"short_call_wall_ms_{name}"] = 1000 * median(spent.wall_s for spent in short[name])
        figures[f"long_call_cpu_s_{name}"] = median(spent.cpu_s for spent in long[name])
    for seconds in WHO_SPOKE_S:
        inside, more = who_spoke_pct(write_call(folder / f"who_spoke_{seconds}_s", seconds), seconds)
        figures[f"who_spoke_takes_pct_{seconds}_s"], figures[f"who_spoke_adds_pct_{seconds}_s"] = inside, more
    figures |= {"peak_rss_mb": max(rss_mb.values())} | {f"peak_rss_mb_after_{length_s}_s": mb for length_s, mb in rss_mb.items()}
    ratios: dict[str, float] = {}
    for name in peers:
        ratios[f"short_calls_throughput_vs_{name}"] = 1 / _cpu_ratio(short["fonoteka"], short[name])
        ratios[f"long_call_cpu_vs_{name}"] = _cpu_ratio(long["fonoteka"], long[name])
    return Result(name="mixer", figures=figures, ratios=ratios, notes=notes)


def _cpu_ratio(ours: list[Spent], theirs: list[Spent]) -> float:
    """Return the median ratio of the rounds: a disturbance affects both sides of a round."""
    return median(our.cpu_s / their.cpu_s for our, their in zip(ours, theirs, strict=True))


async def _in_turns(rivals: dict[str, Rival], item: Path, rounds: int, in_a_row: int) -> dict[str, list[Spent]]:
    """Return the cost of the same call for each rival, per round: the mean of several runs."""
    spent: dict[str, list[Spent]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, mix in rivals.items():
            each = [await mix(item) for _ in range(in_a_row)]
            spent[name].append(
                Spent(cpu_s=sum(one.cpu_s for one in each) / in_a_row, wall_s=sum(one.wall_s for one in each) / in_a_row)
            )
    return spent


def _peers() -> tuple[dict[str, Rival], list[str]]:
    peers: dict[str, Rival] = {}
    notes = ["legs: speech-like bursts made by numpy, 8 kHz; times are the processor's, the peers' starts included"]
    for name, programs in (("ffmpeg", (FFMPEG,)), ("sox_lame", (SOX, LAME))):
        missing = [program[0] for program in programs if not shutil.which(program[0])]
        if missing:
            notes.append(f"not compared with {name}: {', '.join(missing)} is not installed")
        else:
            peers[name] = _as_rival(programs)
    return peers, notes


def _as_rival(programs: tuple[tuple[str, ...], ...]) -> Rival:
    async def run(item: Path) -> Spent:
        return await asyncio.to_thread(spent_by_programs, item, *programs)

    return run


async def main(quick: bool) -> Result:
    """Run in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="fonoteka-bench-") as folder:
        return await measure(Path(folder), QUICK if quick else FULL)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    parser.add_argument("--quick", action="store_true", help="shorter and fewer calls, done within 40 s")
    arguments = parser.parse_args()
    print_result(asyncio.run(main(arguments.quick)), as_json=arguments.json)
