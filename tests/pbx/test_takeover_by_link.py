"""An agent whose link to Asterisk hangs is replaced by the other one.

In a file of its own: the agents of `test_takeover.py` have the spool until that file has ended.
"""

import signal
import time
from pathlib import Path

from lab.asterisk.server import LabAsterisk
from lab.base.lateness import Lateness
from tests.pbx.test_takeover import SCENARIOS, played
from tests.pbx.two_agents import two_agents
from tests.support.eventually import eventually
from tests.support.faulty_link import faulty_link
from tests.support.scenario import assert_as_expected


async def test_an_agent_that_lost_asterisk_is_replaced_and_waits(
    spare_pbx: LabAsterisk, tmp_path: Path, lateness: Lateness
) -> None:
    """Its link hangs: both processes live, and only the other one reaches Asterisk."""
    host, port = spare_pbx.ami
    async with faulty_link(port, server=host) as link, two_agents(spare_pbx, tmp_path, link.port) as pair:
        if pair.working is not pair.agents[0]:
            await pair.working.end(signal.SIGTERM)
            await pair.taken_over_from(pair.agents[1], time.monotonic())
            await pair.agents[1].start()
            await pair.both_there()
        first, before = pair.working, await pair.fonoteka.ids()

        async def fault() -> None:
            await pair.fonoteka.call(lambda call: call["id"] not in before and call["recording"]["state"] == "recording")
            began, link.hangs = time.monotonic(), True
            await pair.taken_over_from(first, began)
            await eventually(lambda: "event=standby.replaced" in first.log)

        async def mended() -> None:
            link.hangs = False
            await pair.both_there()
            assert await pair.recorders() == 1

        assert_as_expected(SCENARIOS[2], await played(pair, lateness, SCENARIOS[2], fault, mended))
