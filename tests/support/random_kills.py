"""Kill parts of a running installation at random moments, and judge what came of the calls.

The truth about a call is in its plan and its telephones (bench.load_truth); the truth about a
recording is in the files that Asterisk wrote, of which `KeptLegs` keeps hard links.
"""

import asyncio
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Final

import psutil

from agent.recording.leg_files import audio_ms_of
from bench.load_truth import NEAR_S, row_of, stretches_of
from fonoteka.core.call_report import Direction, Result
from lab.scenarios.load_run import Played
from lab.tools.installation import Call, Fonoteka

# How often a part is killed, against the others that run then. A worker that was killed is back
# with the next recording, the API last.
WEIGHTS: Final = {"agent": 2, "mixer": 6, "worker": 12, "api": 2}
KILLS: Final = 20  # of a round
STARTS_NEAR_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.05


class KeptLegs:
    """Hard links to all legs that Asterisk writes, so that nothing can delete them."""

    def __init__(self, spool: Path, folder: Path) -> None:
        self._spool, self._folder = spool, folder

    async def keep(self) -> None:
        """Link each leg as soon as it is there, until cancelled."""
        while True:
            for leg in self._spool.glob("recording/*/*.wav*"):
                kept = self._folder / f"{leg.parent.name}+{leg.name}"
                with suppress(FileExistsError, FileNotFoundError):  # linked before; moved since
                    kept.hardlink_to(leg)
            await asyncio.sleep(_LOOK_EVERY_S)

    def written_ms(self) -> dict[str, int]:
        """Return how much audio Asterisk wrote, by segment; without those that are empty."""
        written: dict[str, int] = {}
        for leg in self._folder.iterdir():
            segment = leg.name.partition("+")[0]
            written[segment] = max(written.get(segment, 0), audio_ms_of(leg))
        return {segment: length_ms for segment, length_ms in written.items() if length_ms}


def stored_ms(installation: Fonoteka) -> dict[str, int]:
    """Return the length of each stored segment, by name."""
    with closing(sqlite3.connect(f"file:{installation.folder}/fonoteka.db?mode=ro", uri=True)) as index:
        rows = index.execute("SELECT name, duration_ms FROM segments WHERE object_key IS NOT NULL")
        return {str(name): int(length_ms) for name, length_ms in rows}


async def kill_parts(installation: Fonoteka, random: Random, pause_s: tuple[float, float]) -> Counter[str]:
    """Kill twenty times a random part that runs, after random pauses; return the kills by part."""
    killed: Counter[str] = Counter()
    while killed.total() < KILLS:
        await asyncio.sleep(random.uniform(*pause_s))
        running = parts_of(installation)
        for name in random.choices(list(running), [WEIGHTS[name] for name in running]) if running else ():
            with suppress(ProcessLookupError):
                os.kill(running[name], signal.SIGKILL)
                killed[name] += 1
    return killed


def parts_of(installation: Fonoteka) -> dict[str, int]:
    """Return the processes of the parts that run; a part that was killed runs again later."""
    found: dict[str, int] = {}
    for name in ("agent", "mixer", "api"):
        with suppress(AssertionError):
            found[name] = installation.part(name)
    with suppress(KeyError, StopIteration, psutil.Error):
        workers = psutil.Process(found["mixer"]).children()
        found["worker"] = next(worker.pid for worker in workers if "mixer.worker" in worker.cmdline())
    return found


@dataclass(kw_only=True)
class Verdict:
    """What came of the calls: complaints, and figures that are printed."""

    complaints: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)

    def judge_calls(
        self, played: Sequence[Played], rows: Sequence[Call], recorded: frozenset[str], own: Callable[[str], str], late_s: float
    ) -> None:
        """Compare the calls of one company with its rows: each call has one that is true."""
        waiting = list(rows)
        for call in played:
            name = f"{call.planned.number} {call.planned.kind}"
            self.figures["calls"] += 1
            if call.failure:
                self.complaints.append(f"{name}: the telephones failed: {call.failure}")
            found = [row for row in waiting if _is_of(row, call, own, late_s)]
            if not found:
                self.complaints.append(f"{name}: lost")
                continue
            waiting.remove(found[0])
            self.complaints += (
                f"{name} ({found[0]['linkedid']}): {what}" for what in self._wrong(call, found[0], recorded, own, late_s)
            )
        self.complaints += (f"{row['linkedid']} {row['src']} → {row['dst']}: doubled" for row in waiting)

    def judge_audio(self, written_ms: Mapping[str, int], stored_ms: Mapping[str, int]) -> None:
        """Compare what is stored with what Asterisk wrote, segment by segment."""
        self.figures["written_ms"] += sum(written_ms.values())
        self.figures["stored_ms"] += sum(stored_ms.values())
        for segment in sorted(written_ms.keys() | stored_ms.keys()):
            there, expected = stored_ms.get(segment), written_ms.get(segment)
            if there is None or expected is None or abs(there - expected) > 20:
                self.complaints.append(f"{segment}: {there} ms are stored, Asterisk wrote {expected} ms")

    def _wrong(self, call: Played, row: Call, recorded: frozenset[str], own: Callable[[str], str], late_s: float) -> Iterator[str]:
        for name, expected in _row_of(call, own).items():
            if row[name] != expected:
                yield f"{name} is {row[name]!r}, not {expected!r}"
        recording = row["recording"]
        stretches = stretches_of(call, recorded)
        state, reason = recording["state"], recording["reason"]
        self.figures[f"recording {state}"] += 1
        if not stretches:
            expected_reason = "user_off" if call.planned.result is Result.ANSWERED else "not_answered"
            if (state, reason) != ("none", expected_reason):
                yield f"the recording is {state} ({reason}), not none ({expected_reason})"
            return
        lacks_s = sum(stretch.talk_s for stretch in stretches) - (recording["duration_ms"] or 0) / 1000
        near_s = NEAR_S * len(stretches) + late_s
        if lacks_s < -near_s:
            yield f"{-lacks_s:.2f} s too much are stored"
        if (state, reason) == ("ready", None):
            if lacks_s > near_s:
                yield f"the recording is ready, but lacks {lacks_s:.2f} s"
        elif state not in ("partial", "none", "failed") or reason != "agent_was_down":
            yield f"the recording is {state} ({reason})"
        elif lacks_s <= NEAR_S:
            self.figures["partial, but complete"] += 1


def _row_of(call: Played, own: Callable[[str], str]) -> dict[str, object]:
    expected = row_of(call)
    return {**expected, "dst": own(expected["dst"])} if call.planned.direction is Direction.IN else expected


def _is_of(row: Call, call: Played, own: Callable[[str], str], late_s: float) -> bool:
    expected = _row_of(call, own)
    if (row["src"], row["dst"]) != (expected["src"], expected["dst"]):
        return False
    near_s = abs(datetime.fromisoformat(row["started_at"]).timestamp() - call.started_at)
    return call.planned.direction is not Direction.INTERNAL or near_s < STARTS_NEAR_S + late_s


def all_are_over(rows: Sequence[Call], calls: int) -> bool:
    """Whether each call has a row, and each row is decided."""
    undecided = ("recording", "processing")
    return len(rows) >= calls and all(row["ended_at"] and row["recording"]["state"] not in undecided for row in rows)


def seconds_since(began: float) -> float:
    """Return how long ago a moment of `time.monotonic` was."""
    return round(time.monotonic() - began, 1)
