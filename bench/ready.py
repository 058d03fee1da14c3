"""From hangup to playable, over real calls on a real Asterisk: `python bench/ready.py [--json] [--quick]`.

Calls from outside are answered by 152, talk, and are hung up by the caller. For each: when its row could first be seen
(from the moment it rang, by the caller's own trace), and when its recording could first be played (from the hangup).
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
    """When each call was first seen to be as wanted, by its id (seconds since the epoch), until there are so many."""
    seen: dict[str, float] = {}
    while len(seen) < calls:
        for call in await running.calls(limit=500):
            if wanted(call):
                seen.setdefault(call["id"], time.time())
        await asyncio.sleep(LOOK_EVERY_S)
    return seen


async def measure(pbx: LabAsterisk, folder: Path, calls: int, per_second: float) -> tuple[list[float], list[float]]:
    """Seconds from ringing to the row, and from hangup to the recording, of each call."""
    async with beside(pbx, folder) as running, answering(pbx, "152", answer_after_s=0.5):
        rows = asyncio.create_task(first_seen(running, calls, lambda call: True))
        ready = asyncio.create_task(first_seen(running, calls, lambda call: call["recording"]["state"] == "ready"))
        made = await calls_from_trunk(pbx, calls=calls, per_second=per_second, dialled="2458152", talk_s=TALK_S)
        async with asyncio.timeout(60):
            row_at, ready_at = await rows, await ready
        shown = {call["id"]: call for call in await running.calls(limit=500)}
    return told_apart(made, row_at, ready_at, shown)


def told_apart(
    made: list[SipCall], row_at: dict[str, float], ready_at: dict[str, float], shown: dict[str, dict[str, Any]]
) -> tuple[list[float], list[float]]:
    """Match the rows with the telephones' calls by the order in which they began."""
    order = sorted(shown, key=lambda call_id: str(shown[call_id]["started_at"]))
    began = sorted(made, key=lambda call: call.invited_at)
    visible = [row_at[call_id] - (call.rang_at or call.invited_at) for call_id, call in zip(order, began, strict=True)]
    playable = [ready_at[call_id] - (call.ended_at or 0.0) for call_id, call in zip(order, began, strict=True)]
    return visible, playable


async def main(quick: bool) -> Result:
    """Run on a lab of its own."""
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
