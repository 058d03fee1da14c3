"""Several calls side by side, each by a company of its own on the shared PBX.

All of them are over before any is judged: a call that goes on beside the next test would be among
that test's own.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from lab.asterisk.server import LabAsterisk
from lab.base.company import LabCompany
from lab.base.lateness import Lateness
from lab.tools.installation import Call, Fonoteka

_PLAYED_WITHIN_S = 300.0  # the longest takes twenty


@dataclass(frozen=True, kw_only=True)
class Left:
    """The result of a flow: its only row and its recording (empty: there is none).

    `late_s` is the sum of the telephones' delays by a busy machine.
    """

    company: LabCompany
    call: Call
    audio: bytes
    late_s: float

    @property
    def summary(self) -> tuple[str, str | None, str, str | None, list[str]]:
        """Result, answered by, state and reason of the recording, users of its segments."""
        recording = self.call["recording"]
        users = [segment["user"] for segment in recording["segments"]]
        return self.call["result"], self.call["answered_by"], recording["state"], recording["reason"], users


class LeftBy(Mapping[str, Left]):
    """The results by name. A flow that failed raises its exception when its result is read.

    `late_s` is the machine's lateness while they were played (tests.support.standing_still).
    """

    def __init__(self, played: Iterable[tuple[str, Left | BaseException]], late_s: float) -> None:
        self._played, self.late_s = dict(played), late_s

    def __getitem__(self, name: str) -> Left:
        found = self._played[name]
        if isinstance(found, BaseException):
            raise found
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._played)

    def __len__(self) -> int:
        return len(self._played)


async def side_by_side(
    pbx: LabAsterisk, fonoteka: Fonoteka, flows: Mapping[str, Callable[[LabAsterisk], Awaitable[object]]]
) -> LeftBy:
    """Play each flow as another company; there may be at most one per company."""

    async def play(company: LabCompany, flow: Callable[[LabAsterisk], Awaitable[object]]) -> Left:
        there = await fonoteka.seen_by(company)
        try:
            before, began = await there.ids(), time.monotonic()
            async with asyncio.timeout(_PLAYED_WITHIN_S):
                await flow(pbx.seen_by(company))
            late_s = lateness.allowance_s(began)
            call = await there.settled(before)
            assert await there.ids() - before == {call["id"]}, "one call, one row"
            audio = await there.audio(call) if call["recording"]["segments"] else b""
            return Left(company=company, call=call, audio=audio, late_s=late_s)
        finally:
            await there.http.aclose()

    with Lateness() as lateness:
        played = await asyncio.gather(*map(play, pbx.companies, flows.values()), return_exceptions=True)
        return LeftBy(zip(flows, played, strict=True), lateness.allowance_s(since=0.0))
