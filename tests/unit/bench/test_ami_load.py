"""The load of the benchmark has as many events as the agent waits for."""

import asyncio
from collections import Counter

from agent.ami.client import AmiClient, AmiEvent, LinkUp
from agent.calls.event_reader import LAYOUTS, WANTED
from bench.ami_load import USED_OF_A_CALL, calls, saying


async def test_the_agent_is_given_the_events_that_are_counted() -> None:
    expected = Counter({name: 2 * count for name, count in USED_OF_A_CALL.items()})
    with saying(calls(2)) as address:
        client = AmiClient(address, "bench", "secret", events=WANTED, layouts=LAYOUTS)
        run = asyncio.create_task(client.run())
        assert isinstance(await client.next(), LinkUp)
        given: Counter[str] = Counter()
        async with asyncio.timeout(60):  # a missing event would be waited for
            while given.total() < expected.total():
                news = await client.next()
                assert isinstance(news, AmiEvent)
                given[news.name] += 1
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
    assert given == expected
