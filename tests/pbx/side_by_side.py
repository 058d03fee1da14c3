"""Several calls at a time, each by a company of its own on the shared PBX.

All of them are over before any is judged: a play that goes on beside the next test would put its calls among that test's own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from lab.asterisk.server import LabAsterisk
from lab.base.company import LabCompany
from lab.tools.installation import Call, Fonoteka

_PLAYED_WITHIN_S = 90.0  # the longest takes twenty: what waits longer waits for what will never come


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a play left behind: its one row, the recording (empty: none), and whose calls they were."""

    company: LabCompany
    call: Call
    audio: bytes

    @property
    def told(self) -> tuple[str, str | None, str, str | None, list[str]]:
        """Result, who took it, the recording's state, why not, whose segments."""
        recording = self.call["recording"]
        users = [segment["user"] for segment in recording["segments"]]
        return self.call["result"], self.call["answered_by"], recording["state"], recording["reason"], users


class LeftBy(Mapping[str, Left]):
    """What each play left behind, by its name. A play that failed raises when it is asked for, and not before."""

    def __init__(self, played: Iterable[tuple[str, Left | BaseException]]) -> None:
        self._played = dict(played)

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
    pbx: LabAsterisk, fonoteka: Fonoteka, plays: Mapping[str, Callable[[LabAsterisk], Awaitable[object]]]
) -> LeftBy:
    """Play each of them as another company; there may be one per company at most. What failed fails the tests that ask for it."""

    async def act(company: LabCompany, play: Callable[[LabAsterisk], Awaitable[object]]) -> Left:
        there = await fonoteka.seen_by(company)
        try:
            before = await there.ids()
            async with asyncio.timeout(_PLAYED_WITHIN_S):
                await play(pbx.seen_by(company))
            call = await there.settled(before)
            assert await there.ids() - before == {call["id"]}, "one call, one row"
            audio = await there.audio(call) if call["recording"]["segments"] else b""
            return Left(company=company, call=call, audio=audio)
        finally:
            await there.http.aclose()

    played = await asyncio.gather(*map(act, pbx.companies, plays.values()), return_exceptions=True)
    return LeftBy(zip(plays, played, strict=True))
