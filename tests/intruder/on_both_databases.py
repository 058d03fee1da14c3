"""The API on SQLite and on PostgreSQL, with the seed's domains and users; for tests to import."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from fonoteka.core.config import StoreSection
from fonoteka.core.naming import call_id
from store.audit.read import SeenEntry, page_of_audit
from store.database.store import Store
from store.people.accounts import Pbx
from store.selection.period import Period
from tests.api.conftest import Site, serving, ship
from tests.data import seed

BEGIN = datetime(2026, 11, 22, 16, 43, 42, 123000, tzinfo=UTC)
LENGTH_MS = 5000
AUDIO = seed.tone(LENGTH_MS)
SIZE = len(AUDIO)


@pytest.fixture
async def site(section: StoreSection, pbx: Pbx, tmp_path: Path) -> AsyncIterator[Site]:
    """A running API."""
    async with serving(tmp_path, store=section) as running:
        yield running


@pytest.fixture
async def audio_path(site: Site) -> str:
    """The path of the audio of a call of 152."""
    async with site.client(seed.PBX_TOKEN) as agent:
        return await shipped(agent, 1)


async def shipped(agent: httpx.AsyncClient, number: int) -> str:
    """Ship a call with its recording; return the path of its audio."""
    call = seed.a_call(number, BEGIN)
    await ship(agent, call, LENGTH_MS)
    return f"/api/calls/{call_id('pbx1', call.linkedid)}/audio"


async def journal(store: Store, *actions: str) -> tuple[SeenEntry, ...]:
    """Return the entries of acme as the journal shows them, the oldest first."""
    always = Period(start=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2100, 1, 1, tzinfo=UTC))
    page = await page_of_audit(store, 1, always, actions=actions, login=None, after=None, limit=500)
    return page.items[::-1]
