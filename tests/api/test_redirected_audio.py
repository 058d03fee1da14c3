"""Browsers that fetch recordings from S3: the API journals it, and sends them there."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from fonoteka.core.naming import call_id
from store.rekeying import encrypt_existing
from tests.api.conftest import Site, serving, ship
from tests.data import seed
from tests.support.new_stores import new_section
from tests.support.radosgw import S3Server
from tests.support.stored_objects import object_keys

CALL = seed.a_call(1, datetime(2026, 11, 22, 16, 43, 42, tzinfo=UTC))
AUDIO = seed.tone(5000)
PATH = f"/api/calls/{call_id('pbx1', CALL.linkedid)}/audio"


@pytest.fixture
async def site(request: pytest.FixtureRequest, tmp_path: Path, s3: S3Server) -> AsyncIterator[Site]:
    """A new installation; browsers reach the server by another name than the API."""
    async with new_section(request, "s3", "seeded", tmp_path) as section:
        redirecting = section.model_copy(update={"objects": f"{section.objects}&redirect=http://localhost:{s3.port}"})
        async with serving(tmp_path, store=redirecting) as running:
            yield running


@pytest.fixture(autouse=True)
async def recorded(site: Site, agent: httpx.AsyncClient) -> None:
    await ship(agent, CALL, 5000)


async def listened(admin: httpx.AsyncClient) -> list[tuple[str, Any]]:
    entries = (await admin.get("/api/audit")).json()["items"]
    return [(one["action"], one["detail"].get("heard_ms")) for one in entries if one["action"] in ("listened", "downloaded")]


async def test_the_server_sends_what_is_stored(admin: httpx.AsyncClient, s3: S3Server) -> None:
    answer = await admin.get(PATH)
    address = answer.headers["location"]
    assert (answer.status_code, answer.headers["cache-control"]) == (307, "no-store")
    assert address.startswith(f"http://localhost:{s3.port}/") and "X-Amz-Expires=3600" in address
    async with httpx.AsyncClient() as browser:
        whole = await browser.get(address)
        part = await browser.get(address, headers={"Range": "bytes=100-199"})
        forged = await browser.get(address.replace("audio%2Fogg", "text%2Fhtml"))
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, AUDIO, "audio/ogg")
    assert (part.status_code, part.content) == (206, AUDIO[100:200])
    assert forged.status_code == 403
    assert await listened(admin) == [("listened", [[0, 5000]])]


async def test_a_download_has_its_name(admin: httpx.AsyncClient) -> None:
    answer = await admin.get(PATH, params={"download": True}, follow_redirects=True)
    assert answer.content == AUDIO and len(answer.history) == 1
    assert answer.headers["content-disposition"].startswith('attachment; filename="2026-11-22_23-43-42_')
    assert await listened(admin) == [("downloaded", [[0, 5000]])]


async def test_what_the_server_cannot_send_the_api_sends(site: Site, admin: httpx.AsyncClient) -> None:
    converted, head = await admin.get(PATH, params={"format": "wav"}), await admin.head(PATH)
    assert (converted.status_code, converted.headers["content-type"]) == (200, "audio/wav")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(AUDIO)))
    assert await encrypt_existing(site.services.store, lambda _progress: None) == 0
    encrypted = await admin.get(PATH)
    assert (encrypted.status_code, encrypted.content) == (200, AUDIO)


async def test_others_get_no_address(site: Site, admin: httpx.AsyncClient) -> None:
    async with await site.log_in("900", "other") as other, site.client() as nobody:
        assert [(await client.get(PATH)).status_code for client in (other, nobody)] == [404, 401]
    assert await listened(admin) == []


async def test_a_lost_object_is_reported(site: Site, admin: httpx.AsyncClient) -> None:
    [key] = [key for key in await asyncio.to_thread(object_keys, site.services.store) if key.endswith(".opus")]
    await site.services.store.objects.delete(key)
    assert (await admin.get(PATH)).status_code == 502
    assert await listened(admin) == []


async def test_the_portal_may_play_from_there(site: Site, admin: httpx.AsyncClient) -> None:
    """And nothing else is let through."""
    policy = (await admin.get("/")).headers["content-security-policy"]
    assert "media-src 'self' http://localhost:" in policy and policy.count("localhost") == 1
