"""What the agents say of their connections to Asterisk, for `/readyz`."""

import time
from collections.abc import Callable
from typing import Final

from fonoteka.core.agent_protocol import PbxLink

# An agent asks for commands at least every 25 s, and 5 s after a failure.
ABSENT_AFTER_S: Final = 120.0
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

    def note(self, pbx_id: int, link: PbxLink) -> None:
        """Note what the agent of a PBX says."""
        self._links[pbx_id] = link, self._clock()

    def problems(self) -> dict[int, str]:
        """Return what is wrong, by PBX; nothing if all is well."""
        found = ((pbx_id, self._problem(link, at)) for pbx_id, (link, at) in self._links.items())
        return {pbx_id: problem for pbx_id, problem in found if problem is not None}

    def _problem(self, link: PbxLink, at: float) -> str | None:
        absent_s = self._clock() - at
        if absent_s > ABSENT_AFTER_S:
            return f"its agent has not asked for {absent_s:.0f} s: is it running?"
        return _PROBLEMS.get(link)
