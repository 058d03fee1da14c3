"""What the agents say of their connections to Asterisk and of its clock, for `/readyz`."""

import time
from collections.abc import Callable
from typing import Final

from fonoteka.core.agent_protocol import PbxLink

# An agent asks for commands at least every 25 s, and 5 s after a failure.
ABSENT_AFTER_S: Final = 120.0
CLOCKS_DIFFER_S: Final = 10.0  # a request that a busy machine delays is no wrong clock
_PROBLEMS: Final = {
    PbxLink.DOWN: "its agent has no connection to Asterisk: its calls are not recorded",
    PbxLink.SILENT: "Asterisk sends no events to its agent: its calls are recorded late or not at all",
}


class AgentLinks:
    """The last word of each agent since this process began, whichever replica it was said to.

    A PBX is known by its key; `clock` is in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._links: dict[int, tuple[PbxLink, float]] = {}
        self._ahead_s: dict[int, float] = {}

    def note(self, pbx_id: int, link: PbxLink) -> None:
        """Note what the agent of a PBX says."""
        self._links[pbx_id] = link, self._clock()

    def note_clock(self, pbx_id: int, ahead_s: float) -> None:
        """Note by how many seconds the clock of a PBX is ahead of the clock of the API."""
        self._ahead_s[pbx_id] = ahead_s

    def problems(self) -> dict[int, str]:
        """Return what is wrong, by PBX; nothing if all is well."""
        found = ((pbx_id, self._problem(link, at) or self._clock_problem(pbx_id)) for pbx_id, (link, at) in self._links.items())
        return {pbx_id: problem for pbx_id, problem in found if problem is not None}

    def _problem(self, link: PbxLink, at: float) -> str | None:
        absent_s = self._clock() - at
        if absent_s > ABSENT_AFTER_S:
            return f"its agent has not asked for {absent_s:.0f} s: is it running?"
        return _PROBLEMS.get(link)

    def _clock_problem(self, pbx_id: int) -> str | None:
        ahead_s = self._ahead_s.get(pbx_id, 0.0)
        if abs(ahead_s) < CLOCKS_DIFFER_S:
            return None
        way = "ahead of" if ahead_s > 0 else "behind"
        return f"its clock is {abs(ahead_s):.0f} s {way} this server's: its calls are listed at wrong times"
