"""No audio, waveform or export leaves without its entry; nobody changes an entry unnoticed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import event, text

from api.audit import trail
from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError, StoreError
from store.audit.chain import Head, broken_links, has_entry, head_of
from store.audit.signing import AuditKey, is_genuine
from store.audit.write import OPERATOR, write_entry
from store.database.dialect import WRITES, engine_for
from store.database.store import Store
from store.people.accounts import Pbx
from store.selection.scope import Scope
from tests.api.conftest import Site
from tests.data import seed
from tests.intruder.on_both_databases import AUDIO, BEGIN, audio_path, journal, shipped, site
from tests.support.served import api_process

__all__ = ["audio_path", "site"]

DAY = "from=2026-11-22&to=2026-11-22"
# What is asked, and the action of the entry that must be there first.
ASKED = [
    ("{audio}", {}, "listened"),
    ("{audio}", {"Range": "bytes=1-"}, "listened"),
    ("{audio}", {"Range": "bytes=-10"}, "listened"),
    ("{audio}?format=wav", {"Range": "bytes=0-0"}, "listened"),
    ("{audio}?download=1", {"Range": "bytes=1-"}, "downloaded"),
    ("{peaks}", {}, "listened"),
    (f"/api/calls.csv?{DAY}", {}, "exported"),
    (f"/api/calls.xlsx?{DAY}", {}, "exported"),
    (f"/api/calls.zip?{DAY}", {}, "exported"),
]


def filled(template: str, audio: str) -> str:
    return template.replace("{audio}", audio).replace("{peaks}", audio.replace("/audio", "/peaks"))


@asynccontextmanager
async def locked(section: StoreSection) -> AsyncIterator[None]:
    """Hold the index as another process might, so that nobody can write to the audit."""
    engine = engine_for(section.database)
    async with engine.connect() as connection:
        await connection.execution_options(**{WRITES: True})
        await connection.begin()
        if engine.dialect.name == "postgresql":
            await connection.execute(text("LOCK TABLE audit IN EXCLUSIVE MODE"))
        yield
        await connection.rollback()
    await engine.dispose()


async def test_with_the_index_locked_nothing_is_given(
    site: Site, section: StoreSection, store: Store, audio_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "_ENTRY_WITHIN_S", 0.3)
    async with await site.log_in("152") as user:
        async with locked(section):
            for template, headers, _ in ASKED:
                answer = await user.get(filled(template, audio_path), headers=headers)
                refused = (answer.status_code, answer.json()["type"], answer.headers["retry-after"])
                assert refused == (503, "/problems/store-unavailable", "5"), template
                assert answer.headers["content-type"] == "application/problem+json"
        monkeypatch.undo()
        for template, headers, action in ASKED:
            answer = await user.get(filled(template, audio_path), headers=headers)
            assert answer.status_code in (200, 206), template
            assert (await journal(store, action))[-1].login == "152", template


@pytest.mark.parametrize("section", ["sqlite"], indirect=True)  # PostgreSQL's disk is its own
async def test_with_the_disk_full_nothing_is_given_without_its_entry(site: Site, store: Store, audio_path: str) -> None:
    """The index takes entries as long as its last pages have room."""
    engine = site.services.store.engine.sync_engine
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1"))
    given, refused = 0, 0
    async with await site.log_in("152") as user:
        for first in range(0, len(AUDIO) - 10, 40):
            answer = await user.get(audio_path, headers={"Range": f"bytes={first}-{first + 1}"})
            if answer.status_code == 206:
                given += 1
            else:
                assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")
                refused += 1
            if refused == 3:
                break
    assert refused == 3
    (entry,) = await journal(store, "listened") or [None]
    assert given == (len(entry.detail["heard_ms"]) if entry else 0)


@pytest.mark.parametrize(("template", "headers", "action"), [ASKED[place] for place in (0, 2, 5, 6, 7, 8)])
async def test_killed_at_its_first_byte_the_entry_is_there(
    store: Store, pbx: Pbx, section: StoreSection, tmp_path: Path, template: str, headers: dict[str, str], action: str
) -> None:
    async with api_process(section, tmp_path) as api, api.client(seed.PBX_TOKEN) as client:
        path = await shipped(client, 1)
        answer = await client.post("/api/login", json={"domain": "acme", "login": "152", "password": seed.PASSWORD})
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        async with client.stream("GET", filled(template, path), headers=headers) as answer:
            assert answer.status_code in (200, 206)
            async for piece in answer.aiter_raw():
                assert piece
                api.process.kill()
                break
        await api.kill()
    (entry,) = await journal(store, action)
    assert entry.login == "152"


ROW = "domain_id, seq, at, login, address, action, subject, detail, hash"
FORBIDDEN = [
    "UPDATE audit SET login = '152'",
    "UPDATE audit SET detail = '{}' WHERE seq = 1",
    "UPDATE audit SET id = id + 1000",
    "DELETE FROM audit",
    "DELETE FROM audit WHERE seq = (SELECT MAX(seq) FROM audit)",
    f"INSERT INTO audit ({ROW}) VALUES (1, 1, 0, '', '', 'x', '', '{{}}', '')",  # noqa: S608
    f"INSERT INTO audit ({ROW}) SELECT 1, MAX(seq) + 2, 0, '', '', 'x', '', '{{}}', '' FROM audit",  # noqa: S608
]
OF_SQLITE = [
    "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE seq = 1",
    f"INSERT OR REPLACE INTO audit (id, {ROW}) SELECT 1, 1, MAX(seq) + 1, 0, '', '', 'x', '', '{{}}', '' FROM audit",  # noqa: S608
]
OF_POSTGRESQL = ["TRUNCATE audit", "TRUNCATE domains CASCADE"]


async def test_no_entry_is_changed_or_deleted(store: Store, pbx: Pbx) -> None:
    before = await journal(store)
    assert before
    more = OF_SQLITE if store.engine.dialect.name == "sqlite" else OF_POSTGRESQL
    for statement in [*FORBIDDEN, *more]:
        with pytest.raises(StoreError, match="the audit is append-only"):
            async with store.writing() as connection:
                await connection.exec_driver_sql(statement)
    assert await journal(store) == before
    assert [link async for link in broken_links(store, 1)] == []


UNGUARDED = {
    "sqlite": [f"DROP TRIGGER audit_{name}" for name in ("refuses_update", "refuses_delete", "appends")],
    "postgresql": ["ALTER TABLE audit DISABLE TRIGGER ALL"],
}
# What somebody does who may do anything to the database, and what the chain says.
TAMPERED = [
    ("UPDATE audit SET login = 'boss' WHERE seq = 2 AND domain_id = 1", [(2, "changed")]),
    ("UPDATE audit SET at = at + 1 WHERE seq = 2 AND domain_id = 1", [(2, "changed")]),
    ("DELETE FROM audit WHERE seq = 3 AND domain_id = 1", [(3, "missing")]),
    ("DELETE FROM audit WHERE seq < 3 AND domain_id = 1", [(1, "missing")]),
    ("UPDATE audit SET seq = seq + 100 WHERE seq = 4 AND domain_id = 1", [(4, "missing"), (12, "missing")]),
    ("DELETE FROM audit WHERE domain_id = 2", []),  # another domain's chain
]


@pytest.mark.parametrize(("statement", "broken"), TAMPERED)
async def test_the_chain_shows_what_was_changed(store: Store, pbx: Pbx, statement: str, broken: list[tuple[int, str]]) -> None:
    async with store.writing() as connection:
        for line in UNGUARDED[store.engine.dialect.name]:
            await connection.exec_driver_sql(line)
        await connection.exec_driver_sql(statement)
    assert [(link.seq, link.reason) async for link in broken_links(store, 1)] == broken


async def test_the_logged_head_shows_that_the_last_entries_are_gone(site: Site, store: Store) -> None:
    signed, *_ = await site.services.audit_heads.signed(datetime.now(UTC))
    assert (signed.domain, is_genuine(signed), await has_entry(store, 1, signed.head)) == ("acme", True, True)
    async with await site.log_in("152"):
        assert await has_entry(store, 1, signed.head), "the chain may be longer"
    async with store.writing() as connection:
        for line in UNGUARDED[store.engine.dialect.name]:
            await connection.exec_driver_sql(line)
        await connection.execute(text("DELETE FROM audit WHERE domain_id = 1 AND seq >= :seq"), {"seq": signed.head.seq})
    assert [link async for link in broken_links(store, 1)] == []
    assert not await has_entry(store, 1, signed.head)
    forged = Head(seq=signed.head.seq, hash="0" * 64)
    for wrong in (
        replace(signed, head=forged),
        replace(signed, domain="other"),
        replace(signed, at=BEGIN),
        replace(signed, key=""),
    ):
        assert not is_genuine(wrong)


async def test_many_writers_make_one_chain(store: Store, pbx: Pbx) -> None:
    async def write(number: int) -> None:
        async with store.writing() as connection:
            scope = Scope(domain_id=1 + number % 2, login=None)
            await write_entry(connection, scope, OPERATOR, action="x", subject=f"{number}\0", detail={"я": [number]}, now=BEGIN)

    async with store.reading() as connection:
        before = [(await head_of(connection, domain)).seq for domain in (1, 2)]
    await asyncio.gather(*(write(number) for number in range(60)))
    async with store.reading() as connection:
        assert [(await head_of(connection, domain)).seq for domain in (1, 2)] == [seq + 30 for seq in before]
    for domain in (1, 2):
        assert [link async for link in broken_links(store, domain)] == []


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "audit.key"
    made = AuditKey.load(path)
    assert (path.stat().st_mode & 0o777, [file.name for file in path.parent.iterdir()]) == (0o600, ["audit.key"])
    assert AuditKey.load(path).public == made.public
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="can be read by other users"):
        AuditKey.load(path)
    path.chmod(0o600)
    path.write_text("x")
    with pytest.raises(ConfigurationError, match="is not a key that Fonoteka made"):
        AuditKey.load(path)
