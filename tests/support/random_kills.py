"""Kill parts of a running installation at random moments, and judge what came of the calls.

The truth about a call is in its plan and its telephones (bench.load_truth); the truth about a
recording is in the files that Asterisk wrote, of which `KeptLegs` keeps hard links.
"""

import asyncio
import math
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import psutil
from sqlalchemy import select

from agent.recording.leg_files import audio_ms_of
from bench.load_truth import NEAR_S, row_of, stretches_of
from fonoteka.core.call_report import Direction, Result
from fonoteka.core.config import load
from lab.scenarios.load_plan import Kind
from lab.scenarios.load_run import Played
from lab.sip.sipp_phones import OUTSIDE
from lab.tools.installation import Call, Fonoteka
from store.database.schema import segments
from store.database.store import Store

# How often a part is killed, against the others that run then. A worker that was killed is back
# with the next recording, the API last.
WEIGHTS: Final = {"agent": 2, "mixer": 6, "worker": 12, "api": 2}
KILLS: Final = 20  # of a round
ASTERISK_AFTER: Final = (5, 15)  # this many kills of the round: calls begin before and after
STARTS_NEAR_S: Final = 5.0
RANG_MS: Final = 60  # the recorder of a telephone that rang may write some frames before another picks up
# A telephone that is answered while the agent starts: its recorder begins after the agent has read
# the journals, and the begin of the talk is missing.
STARTING_S: Final = 0.3
# A call that ended so shortly before Asterisk was killed: it had not yet written the rest of it.
JUST_ENDED_S: Final = 1.0
START_WITHIN_S: Final = 1.0  # Asterisk tells since when it runs to the second
_LOOK_EVERY_S: Final = 0.05


class KeptLegs:
    """Hard links to all legs that Asterisk writes, so that nothing can delete them."""

    def __init__(self, spool: Path, folder: Path) -> None:
        self._spool, self._folder = spool, folder

    async def keep(self) -> None:
        """Link each leg as soon as it is there, until cancelled."""
        while True:
            with suppress(FileNotFoundError):  # a folder was moved while it was listed
                for leg in self._spool.glob("recording/*/*.wav*"):
                    kept = self._folder / f"{leg.parent.name}+{leg.name}"
                    with suppress(FileExistsError, FileNotFoundError):  # linked before; moved since
                        kept.hardlink_to(leg)
            await asyncio.sleep(_LOOK_EVERY_S)

    def are_begun(self) -> bool:
        """Whether a recorder has started."""
        return any(self._folder.iterdir())

    def written_ms(self) -> dict[str, int]:
        """Return how much audio Asterisk wrote, by segment; without those that are empty."""
        written: dict[str, int] = {}
        for leg in self._folder.iterdir():
            segment = leg.name.partition("+")[0]
            written[segment] = max(written.get(segment, 0), audio_ms_of(leg))
        return {segment: length_ms for segment, length_ms in written.items() if length_ms}


def without_discarded(written_ms: Mapping[str, int], log: str, unrecorded: Collection[str]) -> dict[str, int]:
    """Leave out what the agent discarded: of telephones that only rang, and of `unrecorded` calls.

    A recorder comes with a ringing telephone to the user who picks up the call. If that user is not
    recorded and the agent is dead, the recorder writes until the call ends.
    """
    discarded = re.findall(r"event=recording.discarded linkedid=(\S+) segment=(\S+)$", log, re.MULTILINE)
    of_segment = {segment: linkedid for linkedid, segment in discarded}
    return {
        segment: length_ms
        for segment, length_ms in written_ms.items()
        if segment not in of_segment or (length_ms > RANG_MS and of_segment[segment] not in unrecorded)
    }


def starts_of_agent(log: str) -> list[float]:
    """Return when the agent had its link to Asterisk, in seconds since the epoch."""
    moments = re.findall(r"^timestamp=(\S+) .*event=ami.up$", log, re.MULTILINE)
    return [datetime.fromisoformat(moment).timestamp() for moment in moments]


async def stored_ms(installation: Fonoteka) -> dict[str, int]:
    """Return the length of each stored segment, by name."""
    store = await Store.open(load(installation.folder / "fonoteka.toml").store)
    try:
        async with store.reading() as connection:
            query = select(segments.c.name, segments.c.duration_ms).where(segments.c.object_key.is_not(None))
            return {row.name: row.duration_ms for row in await connection.execute(query)}
    finally:
        await store.close()


async def kill_parts(
    installation: Fonoteka,
    random: Random,
    pause_s: tuple[float, float],
    kill_asterisk: Callable[[], Coroutine[Any, Any, None]] | None,
) -> Counter[str]:
    """Kill twenty times a random part that runs, after random pauses; return the kills by part.

    With `kill_asterisk`, one of the twenty is Asterisk; the others go on while it starts again.
    """
    killed: Counter[str] = Counter()
    mixed = -1  # recordings at the last death of a worker
    async with asyncio.TaskGroup() as group:
        asterisk_after = random.randint(*ASTERISK_AFTER) if kill_asterisk else KILLS
        while killed.total() < KILLS:
            await asyncio.sleep(random.uniform(*pause_s))
            if kill_asterisk and killed.total() >= asterisk_after and not killed["asterisk"]:
                group.create_task(kill_asterisk())
                killed["asterisk"] += 1
            else:
                # A job whose worker dies twice is set aside: the mixer does not try for ever.
                may_kill_worker = (mixed_so_far := installation.log().count("event=recording.mixed")) > mixed
                one = _kill_one(installation, random, may_kill_worker=may_kill_worker)
                killed, mixed = killed + one, mixed_so_far if one["worker"] else mixed
    return killed


def _kill_one(installation: Fonoteka, random: Random, *, may_kill_worker: bool) -> Counter[str]:
    """Kill a part that runs, if there is one; return the kill."""
    running = {name: pid for name, pid in parts_of(installation).items() if may_kill_worker or name != "worker"}
    for name in random.choices(list(running), [WEIGHTS[name] for name in running]) if running else ():
        with suppress(ProcessLookupError):
            os.kill(running[name], signal.SIGKILL)
            return Counter([name])
    return Counter()


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
    """What came of the calls: complaints, and figures that are printed.

    `starts` are those of the agent (`starts_of_agent`), `unrecorded` the linkedids of calls in
    which nobody talked who is recorded.
    """

    starts: Sequence[float] = ()
    complaints: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    unrecorded: set[str] = field(default_factory=set)

    def judge_calls(
        self,
        played: Sequence[Played],
        rows: Sequence[Call],
        recorded: frozenset[str],
        own: Callable[[str], str],
        late_s: float,
        killed_at: float,
    ) -> None:
        """Compare the calls of one company with its rows: each call has one that is true.

        `killed_at` is when Asterisk was killed, in seconds since the epoch, else infinite.
        """
        waiting = list(rows)
        for call in played:
            name = f"{call.planned.number} {call.planned.kind}"
            self.figures["calls"] += 1
            if call.failure and not call.lost:
                self.complaints.append(f"{name}: the telephones failed: {call.failure}")
            found = [row for row in waiting if _is_of(row, call, own, late_s)]
            if not found:
                self.complaints += [f"{name}: lost"] * has_row(call, killed_at)
                continue
            waiting.remove(found[0])
            if is_cut_short(call, killed_at):
                self.figures["calls when Asterisk was killed"] += 1
                wrong = self._wrong_if_cut(call, found[0], recorded, own, late_s, killed_at)
                waiting = _without_inquiry(call, waiting)
            else:
                wrong = self._wrong(call, found[0], recorded, own, late_s)
            self.complaints += (f"{name} ({found[0]['linkedid']}): {what}" for what in wrong)
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
            self.unrecorded.add(row["linkedid"])
            expected_reason = "user_off" if call.planned.result is Result.ANSWERED else "not_answered"
            if (state, reason) != ("none", expected_reason):
                yield f"the recording is {state} ({reason}), not none ({expected_reason})"
            return
        lacks_s = sum(stretch.talk_s for stretch in stretches) - (recording["duration_ms"] or 0) / 1000
        near_s = NEAR_S * len(stretches) + late_s
        if lacks_s < -near_s:
            yield f"{-lacks_s:.2f} s too much are stored"
        if (state, reason) == ("ready", None):
            if lacks_s > near_s + self._missed_at_start_s(call):
                yield f"the recording is ready, but lacks {lacks_s:.2f} s"
        elif state not in ("partial", "none", "failed") or reason != "agent_was_down":
            yield f"the recording is {state} ({reason})"
        elif lacks_s <= NEAR_S:
            self.figures["partial, but complete"] += 1

    def _wrong_if_cut(
        self, call: Played, row: Call, recorded: frozenset[str], own: Callable[[str], str], late_s: float, killed_at: float
    ) -> Iterator[str]:
        """Yield the differences from what the telephones know of a call that was cut short."""
        direction, planned = row["direction"], call.planned
        if direction != planned.direction:
            yield f"direction is {direction!r}, not {planned.direction.value!r}"
        if row["answered_by"] not in (possible := _who_answered(call, killed_at)):
            yield f"answered by {row['answered_by']!r}, not {possible}"
        if (row["result"] == Result.ANSWERED) != (row["answered_by"] is not None):
            yield f"{row['result']}, answered by {row['answered_by']!r}"
        ended_at = datetime.fromisoformat(row["ended_at"]).timestamp() if row["ended_at"] else math.inf
        if ended_at > killed_at + JUST_ENDED_S + START_WITHIN_S + late_s:
            yield f"ended {ended_at - killed_at:.2f} s after Asterisk was killed"
        state, reason, length_ms = (row["recording"][name] for name in ("state", "reason", "duration_ms"))
        self.figures[f"recording {state}"] += 1
        stretches = stretches_of(_as_far_as_it_went(call), recorded)
        lacks_s = sum(stretch.talk_s for stretch in stretches) - (length_ms or 0) / 1000
        near_s = NEAR_S * max(1, len(stretches)) + late_s
        if not stretches:
            self.unrecorded.add(row["linkedid"])
        if lacks_s < -near_s:
            yield f"{-lacks_s:.2f} s too much are stored"
        if state == "ready" and lacks_s > near_s + self._missed_at_start_s(call):
            yield f"the recording is ready, but lacks {lacks_s:.2f} s"
        if state not in ("ready", "none") and (not stretches or reason not in ("agent_was_down", "audio_damaged", "no_audio")):
            yield f"the recording is {state} ({reason})"

    def _missed_at_start_s(self, call: Played) -> float:
        """Return how much may be missing of a talk that began while the agent started."""
        answers = [each.answered_at for each in call.phone_calls.values() if each.answered_at is not None]
        just = [at for at in answers if any(-NEAR_S < at - start < STARTING_S for start in self.starts)]
        if not just:
            return 0.0
        self.figures["answered while the agent started"] += 1
        return STARTING_S


def _row_of(call: Played, own: Callable[[str], str]) -> dict[str, object]:
    expected = row_of(call)
    return {**expected, "dst": own(expected["dst"])} if call.planned.direction is Direction.IN else expected


def _is_of(row: Call, call: Played, own: Callable[[str], str], late_s: float) -> bool:
    expected = _row_of(call, own)
    if (row["src"], row["dst"]) != (expected["src"], expected["dst"]):
        return False
    near_s = abs(datetime.fromisoformat(row["started_at"]).timestamp() - call.started_at)
    return call.planned.direction is not Direction.INTERNAL or near_s < STARTS_NEAR_S + late_s


def is_cut_short(call: Played, killed_at: float) -> bool:
    """Whether a call went on when Asterisk was killed, or had just ended."""
    return call.lost or any(0 <= killed_at - (each.ended_at or 0.0) < JUST_ENDED_S for each in call.phone_calls.values())


def has_row(call: Played, killed_at: float) -> bool:
    """Whether a call has a row for certain: of those that were lost, the ones that rang before."""
    caller = call.phone_calls.get("caller")
    return not call.lost or (caller is not None and (caller.rang_at or killed_at) < killed_at - JUST_ENDED_S)


def _who_answered(call: Played, killed_at: float) -> set[str | None]:
    """Return who may have answered last; None is nobody, also where Asterisk had just heard it."""
    planned = call.planned
    names = {"callee": planned.number if planned.callee == OUTSIDE else planned.callee, "colleague": planned.colleague}
    answers = {names[who]: each.answered_at for who, each in call.phone_calls.items() if who in names and each.answered_at}
    just = [at for at in answers.values() if at > killed_at - JUST_ENDED_S]
    return {*answers, *([None] if len(just) == len(answers) else [])}


def _as_far_as_it_went(call: Played) -> Played:
    """Return a call that was cut short as a call of a simpler kind."""
    kind, there = call.planned.kind, call.phone_calls
    if "callee" not in there or (kind is Kind.PICKED_UP and "colleague" not in there):
        kind = Kind.GIVEN_UP
    elif kind in (Kind.BLIND, Kind.ATTENDED) and ("colleague" not in there or there["callee"].handed_over_at is None):
        kind = Kind.TALK
    return replace(call, planned=replace(call.planned, kind=kind))


def _without_inquiry(call: Played, rows: Sequence[Call]) -> list[Call]:
    """Leave out the second call of an attended transfer that came to nothing."""
    asked = (call.planned.callee, call.planned.colleague) if "asking" in call.phone_calls else None
    inquiry = next((row for row in rows if (row["src"], row["dst"]) == asked), None)
    return [row for row in rows if row is not inquiry]


def all_are_over(rows: Sequence[Call], calls: int) -> bool:
    """Whether at least `calls` calls have a row, and each row is decided."""
    undecided = ("recording", "processing")
    return len(rows) >= calls and all(row["ended_at"] and row["recording"]["state"] not in undecided for row in rows)


def seconds_since(began: float) -> float:
    """Return how long ago a moment of `time.monotonic` was."""
    return round(time.monotonic() - began, 1)
