"""Measure the time from hangup to a playable recording: `python bench/ready.py [--json] [--quick]`.

Real calls on a real Asterisk: 152 answers calls from outside, both talk, and the caller hangs up.
For each call: when its row was first visible (from the ringing, by the caller's trace), and when
its recording was first playable (from the hangup).
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.report import Result, print_result, quantile
from lab.asterisk.rootfs import find_or_build
from lab.asterisk.server import LabAsterisk
from lab.sip.sipp import SipCall
from lab.sip.sipp_calls import calls_from_trunk
from lab.sip.sipp_phones import answering
from lab.tools.installation import Fonoteka, beside

TALK_S = 10.0
LOOK_EVERY_S = 0.02


async def first_seen(running: Fonoteka, calls: int, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, float]:
    """Return when each call first met a condition, by id (seconds since the epoch).

    Returns once `calls` calls met it.
    """
    seen: dict[str, float] = {}
    while len(seen) < calls:
        for call in await running.calls(limit=500):
            if wanted(call):
                seen.setdefault(call["id"], time.time())
        await asyncio.sleep(LOOK_EVERY_S)
    return seen


async def measure(pbx: LabAsterisk, folder: Path, calls: int, per_second: float) -> tuple[list[float], list[float]]:
    """Return the seconds from ringing to the row and from hangup to the recording of each call."""
    async with beside(pbx, folder) as running, answering(pbx, "152", answer_after_s=0.5):
        rows = asyncio.create_task(first_seen(running, calls, lambda call: True))
        ready = asyncio.create_task(first_seen(running, calls, lambda call: call["recording"]["state"] == "ready"))
        made = await calls_from_trunk(pbx, calls=calls, per_second=per_second, dialled="2458152", talk_s=TALK_S)
        async with asyncio.timeout(60):
            row_at, ready_at = await rows, await ready
        shown = {call["id"]: call for call in await running.calls(limit=500)}
    return matched(made, row_at, ready_at, shown)


def matched(
    made: list[SipCall], row_at: dict[str, float], ready_at: dict[str, float], shown: dict[str, dict[str, Any]]
) -> tuple[list[float], list[float]]:
    """Match the rows with the calls of the telephones by their order."""
    order = sorted(shown, key=lambda call_id: str(shown[call_id]["started_at"]))
    calls = sorted(made, key=lambda call: call.invited_at)
    visible = [row_at[call_id] - (call.rang_at or call.invited_at) for call_id, call in zip(order, calls, strict=True)]
    playable = [ready_at[call_id] - (call.ended_at or 0.0) for call_id, call in zip(order, calls, strict=True)]
    return visible, playable


async def main(quick: bool) -> Result:
    """Run in its own lab."""
    calls, per_second = (20, 2.0) if quick else (100, 2.0)
    with tempfile.TemporaryDirectory(prefix="fonoteka-bench-") as folder:
        (Path(folder) / "beside").mkdir()
        async with LabAsterisk(find_or_build(), Path(folder) / "asterisk") as pbx:
            visible, playable = await measure(pbx, Path(folder) / "beside", calls, per_second)
    return Result(
        name="ready",
        figures={
            "calls": calls,
            "calls_at_once": round(min(calls, TALK_S * per_second)),
            "row_visible_p50_s": quantile(visible, 0.5),
            "row_visible_p99_s": quantile(visible, 0.99),
            "audio_ready_p50_s": quantile(playable, 0.5),
            "audio_ready_p99_s": quantile(playable, 0.99),
        },
        ratios={"audio_ready_p99_vs_manuals_ten_seconds": quantile(playable, 0.99) / 10.0},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    parser.add_argument("--quick", action="store_true", help="fewer calls, done within 40 s")
    arguments = parser.parse_args()
    print_result(asyncio.run(main(arguments.quick)), as_json=arguments.json)
