"""An Asterisk that answers, but sends no events, is told from one on which nobody calls."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from agent.ami.client import AmiClient, AmiEvent, LinkUp
from agent.calls import resync as comparing
from agent.calls.call_registry import CallRegistry
from agent.calls.channel_snapshot import LAYOUTS as LISTED
from agent.calls.event_reader import LAYOUTS, WANTED
from agent.calls.resync import Resync
from lab.asterisk.server import LabAsterisk
from lab.sip.handset import TRUNK, handset
from tests.support.eventually import LIMIT_S, eventually


async def test_an_account_that_lost_its_right_to_read_is_noticed_and_heard_once_it_is_mended(
    spare_pbx: LabAsterisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "EVENTS_ARRIVE_WITHIN_S", 0.3)
    account = spare_pbx.folder / "etc" / "manager.d" / "fonoteka.conf"
    whole, board = account.read_text(encoding="utf-8"), CallRegistry()
    client = AmiClient(spare_pbx.ami, spare_pbx.ami_user, spare_pbx.ami_secret, events=WANTED, layouts={**LAYOUTS, **LISTED})
    resync = Resync(client, board, board.take, lambda call: datetime.now(UTC))
    running = asyncio.create_task(client.run())

    async def link_up() -> None:
        async with asyncio.timeout(LIMIT_S):
            while not isinstance(await client.next(), LinkUp):
                pass

    async def is_silent() -> bool:
        await resync.compare()
        return resync.silent

    try:
        await link_up()
        account.write_text(whole.replace("read = system,call", "read = system"), encoding="utf-8")
        await spare_pbx.cli("manager reload")
        client.renew("the rights of a session are those of its login")
        await link_up()
        await resync.compare()
        assert not resync.silent, "nobody calls"
        async with handset(spare_pbx, TRUNK) as outside, handset(spare_pbx, "152") as desk:
            outside.dial("2458152")
            await desk.rung()
            await eventually(is_silent)
            account.write_text(whole, encoding="utf-8")
            await spare_pbx.cli("manager reload")
        await link_up()
        await eventually(lambda: client.connected)
        await resync.compare()  # the call has ended unheard, and the next login hears
        await link_up()
        async with handset(spare_pbx, TRUNK) as outside:
            outside.dial("2458152")
            async with asyncio.timeout(LIMIT_S):
                assert isinstance(await client.next(), AmiEvent)
    finally:
        account.write_text(whole, encoding="utf-8")
        await spare_pbx.cli("manager reload")
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
