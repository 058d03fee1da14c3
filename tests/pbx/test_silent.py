"""An Asterisk that answers, but sends no events, is distinguished from one without calls."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest

from agent.ami.client import AmiClient, AmiEvent, LinkUp
from agent.calls import resync as comparing
from agent.calls.call_registry import CallRegistry
from agent.calls.channel_snapshot import LAYOUTS as LISTED
from agent.calls.event_reader import LAYOUTS, WANTED
from agent.calls.events import Event
from agent.calls.resync import Resync
from lab.asterisk.server import LabAsterisk
from lab.sip.handset import TRUNK, handset
from tests.support.eventually import LIMIT_S, eventually


@asynccontextmanager
async def compared(pbx: LabAsterisk) -> AsyncIterator[tuple[AmiClient, Resync]]:
    """A client that is connected, and its comparison, which folds what it finds."""
    board = CallRegistry()
    client = AmiClient(pbx.ami, pbx.ami_user, pbx.ami_secret, events=WANTED, layouts={**LAYOUTS, **LISTED})

    def take(event: Event) -> None:
        board.take(event)

    running = asyncio.create_task(client.run())
    try:
        await link_up(client)
        yield client, Resync(client, board, take, lambda call: datetime.now(UTC))
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def link_up(client: AmiClient) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not isinstance(await client.next(), LinkUp):
            pass


@asynccontextmanager
async def account_without_call_events(pbx: LabAsterisk) -> AsyncIterator[None]:
    account = pbx.folder / "etc" / "manager.d" / "fonoteka.conf"
    whole = account.read_text(encoding="utf-8")
    account.write_text(re.sub(r"read = system,\S+", "read = system", whole), encoding="utf-8")
    try:
        await pbx.cli("manager reload")
        yield
    finally:
        account.write_text(whole, encoding="utf-8")
        await pbx.cli("manager reload")


async def test_an_account_that_lost_its_right_to_read_is_noticed_and_heard_once_it_is_mended(
    spare_pbx: LabAsterisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "EVENTS_ARRIVE_WITHIN_S", 0.3)
    async with compared(spare_pbx) as (client, resync):

        async def is_silent() -> bool:
            await resync.compare()
            return resync.silent

        async with account_without_call_events(spare_pbx):
            client.renew("the rights of a session are those of its login")
            await link_up(client)
            assert not await is_silent(), "nobody calls"
            async with handset(spare_pbx, TRUNK) as outside, handset(spare_pbx, "152") as desk:
                outside.dial("2458152")
                await desk.rung()
                await eventually(is_silent)
        await link_up(client)
        await resync.compare()  # the call has ended unheard, and the next login hears
        await link_up(client)
        async with handset(spare_pbx, TRUNK) as outside:
            outside.dial("2458152")
            async with asyncio.timeout(LIMIT_S):
                assert isinstance(await client.next(), AmiEvent)
