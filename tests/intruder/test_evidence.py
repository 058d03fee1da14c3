"""Who takes a call out as evidence, of which domain, and gets what."""

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import httpx
import pytest
from sqlalchemy import delete

from api.dependencies import while_allowed
from api.routes import evidence
from fonoteka.core.naming import call_id
from store.database.schema import sessions
from store.database.store import Store
from store.evidence import package
from store.evidence.verification import Verdict, examined
from tests.api.conftest import Site, ship
from tests.data import seed
from tests.intruder.on_both_databases import journal, site

__all__ = ["site"]

BEGIN = datetime(2026, 11, 22, 16, 43, 42, 123000, tzinfo=UTC)
OURS, THEIRS = seed.a_call(1, BEGIN), seed.a_call(2, BEGIN)
PATHS = {
    "ours": f"/api/calls/{call_id('pbx1', OURS.linkedid)}/evidence",
    "theirs": f"/api/calls/{call_id('pbx1', THEIRS.linkedid)}/evidence",
    "nobody's": "/api/calls/00000000000000000000000000/evidence",
    "a path": "/api/calls/..%2F..%2Fetc/evidence",
}
# Who asks for the evidence of which call, and gets what.
ASKED = [
    ("administrator", "ours", 200),
    ("administrator", "theirs", 404),
    ("administrator", "nobody's", 404),
    ("administrator", "a path", 404),
    ("user who took part", "ours", 403),
    ("another user", "ours", 403),
    ("user who took part", "theirs", 403),
    ("administrator of another domain", "ours", 404),
    ("administrator of another domain", "theirs", 200),
    ("nobody", "ours", 401),
    ("PBX", "ours", 401),
]
ACCOUNTS = {
    "administrator": ("900", "acme"),
    "user who took part": ("152", "acme"),
    "another user": ("421", "acme"),
    "administrator of another domain": ("900", "other"),
}


async def client_of(site: Site, who: str) -> httpx.AsyncClient:
    if who in ACCOUNTS:
        return await site.log_in(*ACCOUNTS[who])
    return site.client(seed.PBX_TOKEN if who == "PBX" else None)


@pytest.fixture
async def shipped(site: Site) -> None:
    """A recorded call of each domain."""
    segment = seed.but(THEIRS.segments[0], user="900")
    theirs = seed.but(THEIRS, domain="other", participants=("900",), employee="900", segments=(segment,))
    async with site.client(seed.PBX_TOKEN) as agent:
        await ship(agent, OURS, 500)
        await ship(agent, theirs, 500)


@pytest.mark.usefixtures("shipped")
async def test_who_gets_evidence(site: Site, store: Store, tmp_path: Path) -> None:
    for who, call, status in ASKED:
        before = len(await journal(store, "evidence_exported"))
        async with await client_of(site, who) as client:
            answer = await client.get(PATHS[call])
        assert answer.status_code == status, (who, call)
        if status != 200:
            assert answer.headers["content-type"] == "application/problem+json", (who, call)
            assert len(await journal(store, "evidence_exported")) == before, (who, call)
            continue
        assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("application/zip", "no-store")
        (file := tmp_path / "evidence.zip").write_bytes(answer.content)
        lines = examined(file, site.services.audit_key.public)
        assert [line for line in lines if line.verdict is Verdict.DIFFERS] == [], (who, call)
    (entry,) = await journal(store, "evidence_exported")
    assert (entry.login, entry.subject) == ("900", call_id("pbx1", OURS.linkedid))


@pytest.mark.usefixtures("shipped")
async def test_the_package_has_its_own_entry_and_nothing_of_another_domain(site: Site, store: Store) -> None:
    async with await site.log_in("900", "other") as client:
        await client.get(PATHS["theirs"])
    async with await site.log_in("900") as client:
        content = (await client.get(PATHS["ours"])).content
        from_elsewhere = await client.get(PATHS["ours"], headers={"Sec-Fetch-Site": "cross-site"})
    assert b"evidence_exported" in content
    assert call_id("pbx1", THEIRS.linkedid).encode() not in content
    assert from_elsewhere.status_code in (200, 403)
    assert io.BytesIO(content).read(4) == b"PK\x03\x04"


@pytest.mark.usefixtures("shipped")
async def test_audio_that_changes_after_the_check_is_not_signed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def changed(*_: object) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(b"other audio"))

    monkeypatch.setattr(package, "opened_intact", changed)
    async with await site.log_in("900") as client:
        assert (await client.get(PATHS["ours"])).status_code == 502


@pytest.mark.usefixtures("shipped")
async def test_evidence_ends_with_its_session(site: Site, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slowly(file: IO[bytes]) -> AsyncIterator[bytes]:
        yield file.read(10)
        async with store.writing() as connection:
            await connection.execute(delete(sessions))
        while piece := file.read(1000):
            yield piece

    monkeypatch.setattr(while_allowed, "_SESSION_CHECKED_EACH_S", 0.0)
    monkeypatch.setattr(evidence, "blocks", slowly)
    async with await site.log_in("900") as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(PATHS["ours"])
