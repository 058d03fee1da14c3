"""The disk of the PBX fills up: a real Asterisk and its spool on a small file system."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from structlog.testing import capture_logs

from agent.app import Agent
from fonoteka.core.config import AgentSection, Configuration, PbxSection
from fonoteka.core.spool import ItemState, Spool
from lab.asterisk.rootfs import AsteriskProgram
from lab.asterisk.server import LabAsterisk
from lab.base.company import ACME, apply_text
from lab.scenarios.steps import answered, talk, talk_and_leave
from lab.sip.handset import TRUNK, Handset, handset
from lab.tools.installation import ALWAYS
from store.database.store import Store
from store.people.accounts import ensure_pbx
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.api.conftest import serving
from tests.data import seed
from tests.support.cheap_passwords import cheap_passwords
from tests.support.eventually import eventually
from tests.unit.mixer.running_mixer import mixing, names
from tests.unit.mixer.test_full_disk import fill, small_disk

MB = 10**6
TOKEN = "a-token-of-the-lab"


@dataclass(frozen=True, kw_only=True, slots=True)
class Installation:
    """A PBX whose spool is on a small disk, its agent, and the calls that the API has."""

    pbx: LabAsterisk
    disk: Path
    spool: Spool
    http: httpx.AsyncClient

    async def settled(self, count: int) -> list[dict[str, Any]]:
        """Return the calls, oldest first, as soon as so many have ended and are decided."""

        async def settled() -> list[dict[str, Any]] | None:
            items = (await self.http.get("/api/calls", params={**ALWAYS, "sort": "started_at"})).raise_for_status().json()["items"]
            states = [call["recording"]["state"] for call in items if call["ended_at"] is not None]
            return items if len(states) == count and not {"recording", "processing"} & set(states) else None

        return await eventually(settled)


@asynccontextmanager
async def phones(pbx: LabAsterisk) -> AsyncIterator[tuple[Handset, Handset, Handset]]:
    """Switch on the telephones of a customer, whose line listens, of 152 and of 421."""
    async with handset(pbx, TRUNK, listens=True) as outside, handset(pbx, "152") as desk, handset(pbx, "421") as colleague:
        yield outside, desk, colleague


def found(call: dict[str, Any]) -> tuple[str, str, str]:
    """Return the direction of a call, and the state and reason of its recording."""
    return call["direction"], call["recording"]["state"], call["recording"]["reason"]


@asynccontextmanager
async def installed(program: AsteriskProgram, folder: Path, *, least_free_mb: int) -> AsyncIterator[Installation]:
    """Run Asterisk on a disk of 32 MB, agent and API; the store is on another disk."""
    store = await Store.open(seed.section(folder), sweep=True)
    await apply(store, parse_directory(apply_text(ACME), source="lab"))
    await ensure_pbx(store, "lab", TOKEN)
    await store.close()
    with small_disk(folder / "disk", "32m") as disk:
        async with LabAsterisk(program, disk) as pbx, serving(folder) as site:
            host, port = pbx.ami
            section = PbxSection(
                name="lab",
                ami=f"{host}:{port}",
                ami_user=pbx.ami_user,
                ami_secret=SecretStr(pbx.ami_secret),
                agi="",
                spool=pbx.spool,
                spool_in_asterisk=pbx.spool_in_asterisk,
                trunks=(f"PJSIP/{ACME.trunk}",),
                least_free_mb=least_free_mb,
            )
            agent = Agent(Configuration(pbx=section, agent=AgentSection(api=site.address, token=SecretStr(TOKEN))), None)
            running = asyncio.create_task(agent.run())
            password = next(user.password for user in ACME.users if user.extension == "900")
            try:
                async with await site.log_in("900", password=password) as http:
                    await eventually(lambda: agent._records and agent._coordinator.directory.settings.version > 0)
                    yield Installation(pbx=pbx, disk=disk, spool=Spool(pbx.spool), http=http)
            finally:
                running.cancel()
                await asyncio.wait([running])


async def test_new_recordings_are_refused_in_order_and_calls_are_not_disturbed(program: AsteriskProgram, tmp_path: Path) -> None:
    """Internal calls first, then all; a talk that is recorded goes on until the disk is full."""
    with cheap_passwords(), capture_logs() as logs:
        async with installed(program, tmp_path, least_free_mb=8) as there, phones(there.pbx) as (outside, desk, colleague):
            filler = fill(there.disk, 6 * MB)
            customer, employee = await answered(outside, "2458152", desk)
            (recorded,) = names(there.spool, ItemState.RECORDING)
            async with handset(there.pbx, "130") as neighbour:
                internal = await answered(colleague, "130", neighbour)
                await talk_and_leave(*internal)
            filler.unlink()
            filler = fill(there.disk, 3 * MB)  # below half of the floor
            async with handset(there.pbx, TRUNK) as another:
                await talk_and_leave(*await answered(another, "2458421", colleague))
            assert names(there.spool, ItemState.RECORDING) == {recorded}
            filler.unlink()
            filler = fill(there.disk)  # full
            heard = len(customer.heard())
            await talk()
            assert len(customer.heard()) - heard > 8000 and not customer.is_over
            await talk_and_leave(customer, employee)
            await eventually(lambda: "recording.not_handed_over" in [line["event"] for line in logs])
            filler.unlink()
            async with mixing(there.spool):
                await eventually(lambda: any(line["event"] == "recording.shipped" for line in logs))
                first, *others = await there.settled(3)
            assert [found(call) for call in others] == [("internal", "failed", "disk_full"), ("in", "failed", "disk_full")]
            assert found(first) == ("in", "partial", "disk_full")
            # What was said until the disk was full is there: Asterisk writes some seconds late.
            assert 2000 < first["recording"]["duration_ms"] < 1000 * customer.sip_call.talk_s
            assert not there.spool.items(ItemState.REJECTED)
            customer, employee = await answered(outside, "2458152", desk)
            assert names(there.spool, ItemState.RECORDING)
