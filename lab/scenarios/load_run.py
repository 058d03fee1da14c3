"""Play a load plan on handsets: `python -m lab.scenarios.load_run [--calls N] [--at-once N] …`."""

import argparse
import asyncio
import math
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.asterisk.rootfs import find_or_build
from lab.asterisk.server import LabAsterisk
from lab.base.errors import LabError
from lab.base.priority import foremost
from lab.scenarios.load_plan import Kind, Planned, load_company, plan
from lab.scenarios.steps import answers
from lab.sip.handset import TRUNK, Handset, handset
from lab.sip.line import Line
from lab.sip.sipp import SipCall
from lab.sip.sipp_phones import OUTSIDE

_LATE_S: Final = 60.0  # a call that takes so much longer than planned has failed


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """A call as it went.

    `phone_calls` are what its telephones lived through: caller, callee, colleague, and "asking"
    (the callee's second line of an attended transfer). `failure` says what did not go as planned,
    and is empty if all did. `lost` calls went on when Asterisk was killed.
    """

    planned: Planned
    started_at: float
    phone_calls: dict[str, SipCall]
    failure: str = ""
    lost: bool = False


class Office:
    """All telephones of a plan, switched on."""

    def __init__(self, pbx: LabAsterisk, phones: dict[str, Handset]) -> None:
        self._pbx, self._phones = pbx, phones
        self._going: set[asyncio.Timeout] = set()
        self._lost: set[asyncio.Timeout] = set()
        self.pbx_killed_at = math.inf  # seconds since the epoch
        self._pbx_runs = asyncio.Event()
        self._pbx_runs.set()

    async def play_all(self, calls: Sequence[Planned]) -> list[Played]:
        """Play all calls at their times, each on its own; in the order of the plan."""
        began = asyncio.get_running_loop().time()

        async def at_its_time(call: Planned) -> Played:
            await asyncio.sleep(began + call.starts_s - asyncio.get_running_loop().time())
            await self._pbx_runs.wait()
            return await self.play(call)

        return await asyncio.gather(*(at_its_time(call) for call in calls))

    async def restart_killed_pbx(self) -> None:
        """Kill Asterisk, and start it again as an init system does.

        People hang up the calls that go on, and make new ones when Asterisk runs.
        """
        self._pbx_runs.clear()
        self.pbx_killed_at = time.time()
        await self._pbx.kill()
        for limit in self._going:
            limit.reschedule(asyncio.get_running_loop().time())
        self._lost |= self._going
        self._lose_calls()
        await self._pbx.start()
        self._lose_calls()  # a message of the dead Asterisk may have waited in a socket
        self._pbx_runs.set()

    async def play(self, call: Planned) -> Played:
        """Make one call, and do in it what is planned. Never raises for a call that goes wrong."""
        started_at, lines, failure = time.time(), dict[str, Line](), ""
        limit = asyncio.timeout(call.ends_s - call.starts_s + _LATE_S)
        try:
            async with limit:
                self._going.add(limit)
                await self._play(call, lines)
        except (LabError, TimeoutError) as error:
            failure = f"{type(error).__name__}: {error}"
        finally:
            self._going.discard(limit)
            await asyncio.gather(*(line.hang_up() for line in lines.values()), return_exceptions=True)
        return Played(
            planned=call,
            started_at=started_at,
            phone_calls={who: line.sip_call for who, line in lines.items()},
            failure=failure,
            lost=limit in self._lost,
        )

    async def _play(self, call: Planned, lines: dict[str, Line]) -> None:
        caller = lines["caller"] = self._dial(call)
        callee = lines["callee"] = await self._phones[call.callee].rung(
            caller=call.number if call.caller == OUTSIDE else call.caller
        )
        await asyncio.sleep(call.answer_after_s)
        match call.kind:
            case Kind.BUSY:
                callee.refuse()
                await caller.over()
            case Kind.GIVEN_UP:
                await caller.hang_up()
                await callee.over()
            case Kind.PICKED_UP:
                taken = lines["colleague"] = await self._phones[call.colleague].call(f"*8{call.callee}")
                await caller.up()
                await callee.over()
                await _talk_to_the_end(call, caller, taken)
            case _:
                await callee.answer()
                await caller.up()
                await asyncio.sleep(call.talk_s)
                await self._go_on(call, caller, callee, lines)

    async def _go_on(self, call: Planned, caller: Line, callee: Line, lines: dict[str, Line]) -> None:
        match call.kind:
            case Kind.HOLD:
                await callee.hold()
                await asyncio.sleep(call.after_s / 2)
                await callee.resume()
                await asyncio.sleep(call.after_s / 2)
                await _end(call, caller, callee)
            case Kind.BLIND:
                transferring = asyncio.ensure_future(callee.transfer(call.colleague))
                taken = lines["colleague"] = await answers(self._phones[call.colleague], caller=call.number)
                await transferring
                await _talk_to_the_end(call, caller, taken)
            case Kind.ATTENDED:
                await callee.hold()
                asking = lines["asking"] = self._phones[call.callee].dial(call.colleague)
                taken = lines["colleague"] = await answers(self._phones[call.colleague], caller=call.callee)
                await asking.up()
                await asyncio.sleep(call.after_s / 2)
                await callee.join(asking)
                await asyncio.sleep(call.after_s / 2)
                await _end(call, caller, taken)
            case _:
                await _talk_to_the_end(call, caller, callee)

    def _lose_calls(self) -> None:
        for phone in self._phones.values():
            phone.lose_calls()

    def _dial(self, call: Planned) -> Line:
        if call.caller == OUTSIDE:
            number = next(user.number for user in self._pbx.company.users if user.extension == call.callee)
            return self._phones[TRUNK].dial(number or "", user=call.number)
        return self._phones[call.caller].dial(call.number if call.callee == OUTSIDE else call.callee)


async def _talk_to_the_end(call: Planned, caller: Line, other: Line) -> None:
    await asyncio.sleep(call.after_s)
    await _end(call, caller, other)


async def _end(call: Planned, caller: Line, other: Line) -> None:
    first, second = (caller, other) if call.caller_hangs_up else (other, caller)
    await first.hang_up()
    await second.over()


@asynccontextmanager
async def switched_on(pbx: LabAsterisk, calls: Sequence[Planned]) -> AsyncIterator[Office]:
    """Switch on all telephones that the calls need while the block runs. Raises LabError."""
    people = sorted(frozenset().union(*(call.people for call in calls)))
    async with AsyncExitStack() as on:
        on.enter_context(foremost())
        phones = {who: await on.enter_async_context(handset(pbx, who)) for who in (TRUNK, OUTSIDE, *people)}
        yield Office(pbx, phones)


async def run(pbx: LabAsterisk, calls: Sequence[Planned]) -> list[Played]:
    """Play all calls. Raises LabError."""
    async with switched_on(pbx, calls) as office:
        return await office.play_all(calls)


async def _main(calls: int, at_once: int, per_second: float, talk_s: float, seed: int) -> None:
    company = load_company(min(240, at_once * 2 + 10))
    planned = plan(company, calls=calls, at_once=at_once, per_second=per_second, talk_s=talk_s, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        async with LabAsterisk(find_or_build(), Path(folder), company) as pbx:
            played = await run(pbx, planned)
    print(f"{len(played)} calls: {dict(Counter(call.kind for call in planned))}")
    for call in played:
        if call.failure:
            print(f"{call.planned.number} {call.planned.kind}: {call.failure}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=30)
    parser.add_argument("--per-second", type=float, default=5.0)
    parser.add_argument("--talk-s", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.calls, arguments.at_once, arguments.per_second, arguments.talk_s, arguments.seed))
